using System.Data.Common;
using System.Globalization;

using Whistle.Remediation.Runbooks;
using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>Holds back what it matches until its end. An empty name matches all.</summary>
public sealed record Pause(long Id, string Tenant, string Cluster, string Node, string Runbook, string Reason, string Author, DateTimeOffset From, DateTimeOffset Until)
{
    internal bool Holds(string tenant, string cluster, string node, string runbook, DateTimeOffset now) =>
        now < Until && Matches(Tenant, tenant) && Matches(Cluster, cluster) && Matches(Node, node) && Matches(Runbook, runbook);

    static bool Matches(string mine, string other) => mine.Length == 0 || mine == other;
}

/// <summary>While it is on, nothing is leased and no permit is given.</summary>
public sealed record KillSwitch(bool On, string Reason, string Author, DateTimeOffset Since)
{
    /// <summary>What is recorded where somebody had no time for a reason.</summary>
    public const string NoReason = "no reason given";
}

/// <summary>What somebody set. An empty name means all.</summary>
public sealed record ModeEntry(string Runbook, string Tenant, string Cluster, RunbookMode Mode, string Author, DateTimeOffset At);

/// <summary>One change of pauses, kill switch or modes, never edited.</summary>
public sealed record ControlEntry(long Number, DateTimeOffset At, string Author, string Text);

/// <summary>What people set to hold repairs back or let them go, each change with its line on the timeline.</summary>
public sealed class ControlStore
{
    const string Schema =
        """
        CREATE TABLE pauses (
            id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, node TEXT NOT NULL, runbook TEXT NOT NULL,
            reason TEXT NOT NULL, author TEXT NOT NULL, from_at INTEGER NOT NULL, until_at INTEGER NOT NULL);
        CREATE TABLE kill_switch (id INTEGER PRIMARY KEY CHECK (id = 1), active INTEGER NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL, since INTEGER NOT NULL);
        CREATE TABLE runbook_modes (
            runbook TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, mode TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (runbook, tenant, cluster)) WITHOUT ROWID;
        CREATE TABLE control_timeline (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL);
        """;

    const string WindowTables =
        """
        CREATE TABLE windows (
            id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, recurrence TEXT NOT NULL, start TEXT NOT NULL, seconds INTEGER NOT NULL,
            time_zone TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL);
        CREATE TABLE freezes (
            id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL, from_at INTEGER NOT NULL,
            until_at INTEGER NOT NULL);
        """;

    const string Revision = "ALTER TABLE control_timeline ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;";

    public static readonly StateSchema Tables = new("control", Schema, WindowTables, Revision, new StateScript(ControlTables.Checksums, ControlTables.Seal));

    static readonly RowReader Entries = new("control_timeline", "the change is not shown. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");

    readonly StateDatabase _database;

    public ControlStore(StateDatabase database)
    {
        _database = database;
        database.Migrate(Tables);
    }

    /// <summary>All of it as of one moment: rows beside the sums of another would be taken for damaged.</summary>
    internal ControlState Read()
    {
        using var connection = _database.Open();
        using var picture = connection.BeginRead();
        return ControlState.Read(connection);
    }

    public IReadOnlyList<Pause> Pauses(DateTimeOffset now) => [.. Read().Pauses.Where(p => p.Until > now)];

    public KillSwitch KillSwitch() => Read().Kill;

    public IReadOnlyList<ModeEntry> Modes() => Read().Modes;

    /// <summary>The latest first.</summary>
    public IReadOnlyList<ControlEntry> Timeline(int most)
    {
        using var connection = _database.Open();
        return Entries.Query(
            connection, "SELECT number, at, author, text, number FROM control_timeline ORDER BY number DESC LIMIT $most",
            r => new ControlEntry(r.GetInt64(0), r.Instant(1), r.GetString(2), r.GetString(3)), ("$most", most));
    }

    /// <summary>Returns the pause with its id.</summary>
    public Pause Add(Pause pause) => Change(pause.From, pause.Author, $"Paused {Words(pause)} until {pause.Until:yyyy-MM-dd HH:mm:ss}Z: {pause.Reason}", connection =>
        pause with { Id = ControlTables.Insert(connection, pause, isNew: true) });

    /// <summary>False where no such pause is in force.</summary>
    public bool EndPause(long id, string author, DateTimeOffset now) => Change(now, author, $"Ended the pause {id}.", connection =>
        connection.Execute("UPDATE pauses SET until_at = $now, checksum = NULL WHERE id = $id AND until_at > $now", ("$id", id), ("$now", now)) > 0);

    public IReadOnlyList<MaintenanceWindow> Windows() => Read().Windows;

    /// <summary>Those that hold or are to come.</summary>
    public IReadOnlyList<ChangeFreeze> Freezes(DateTimeOffset now) => [.. Read().Freezes.Where(f => f.Until > now)];

    /// <summary>Returns the window with its id.</summary>
    public MaintenanceWindow Add(MaintenanceWindow window) =>
        Change(window.SetAt, window.Author, $"Maintenance window of {Words("", "", window.Cluster, window.Tenant)}: {window.Recurrence}, from {window.Start:HH:mm} {window.TimeZone} for {window.Length}", connection =>
            window with
            {
                Id = connection.Query(
                    "INSERT INTO windows (tenant, cluster, recurrence, start, seconds, time_zone, author, at) VALUES ($tenant, $cluster, $recurrence, $start, $seconds, $zone, $author, $at) RETURNING id",
                    r => r.GetInt64(0),
                    ("$tenant", window.Tenant), ("$cluster", window.Cluster), ("$recurrence", window.Recurrence), ("$start", window.Start.ToString("s", CultureInfo.InvariantCulture)),
                    ("$seconds", (long)window.Length.TotalSeconds), ("$zone", window.TimeZone), ("$author", window.Author), ("$at", window.SetAt)).Single(),
            });

    /// <summary>False where there is no such window.</summary>
    public bool RemoveWindow(long id, string author, DateTimeOffset now) =>
        Change(now, author, $"Removed the maintenance window {id}.", connection => connection.Execute("DELETE FROM windows WHERE id = $id", ("$id", id)) > 0);

    /// <summary>Returns the freeze with its id.</summary>
    public ChangeFreeze Add(ChangeFreeze freeze) =>
        Change(freeze.From, freeze.Author, $"Changes are frozen in {Words("", "", freeze.Cluster, freeze.Tenant)} until {freeze.Until:yyyy-MM-dd HH:mm:ss}Z: {freeze.Reason}", connection =>
            freeze with { Id = ControlTables.Insert(connection, freeze, isNew: true) });

    /// <summary>False where no such freeze holds or is to come.</summary>
    public bool EndFreeze(long id, string author, DateTimeOffset now) => Change(now, author, $"Ended the change freeze {id}.", connection =>
        ControlState.Read(connection).Freezes.Any(f => f.Id == id && f.Unreadable is not null)
            ? connection.Execute("DELETE FROM freezes WHERE id = $id", ("$id", id)) > 0
            : connection.Execute("UPDATE freezes SET until_at = $now, checksum = NULL WHERE id = $id AND until_at > $now", ("$id", id), ("$now", now)) > 0);

    public void Set(KillSwitch kill) => Change(kill.Since, kill.Author, kill.On ? $"Kill switch on: {kill.Reason}" : $"Kill switch off: {kill.Reason}", connection =>
        ControlTables.Set(connection, kill));

    /// <summary>Stops all repairs, until a person has looked; who has stopped them already stays named.</summary>
    public void StopAfterRestore(string reason, DateTimeOffset now)
    {
        if (!KillSwitch().On)
            Set(new KillSwitch(true, reason, "whistle", now));
    }

    public void Set(ModeEntry entry) => Change(entry.At, entry.Author, $"{Words(entry)}: {entry.Mode.ToString().ToLowerInvariant()}", connection =>
        ControlTables.Set(connection, entry));

    /// <summary>
    /// The strictest of all that was set for it. Where nothing names the runbook, its file's mode joins in; where nothing names the
    /// cluster, observe does: a new cluster is only watched.
    /// </summary>
    public static (RunbookMode Mode, string From) ModeOf(IReadOnlyList<ModeEntry> entries, Runbook runbook, string tenant, string cluster)
    {
        ModeEntry? strictest = null;
        var (namesRunbook, namesCluster) = (false, false);
        foreach (var entry in entries)
        {
            if (!Applies(entry, runbook.Name, tenant, cluster))
                continue;
            namesRunbook |= entry.Runbook == runbook.Name;
            namesCluster |= entry.Cluster == cluster;
            if (strictest is null || entry.Mode < strictest.Mode)
                strictest = entry;
        }

        if (!namesRunbook && !(strictest?.Mode <= runbook.Mode) && (namesCluster || runbook.Mode <= RunbookMode.Observe))
            return (runbook.Mode, "the runbook's file");
        return !namesCluster && !(strictest?.Mode <= RunbookMode.Observe)
            ? (RunbookMode.Observe, "nobody has turned the cluster to approve or automatic")
            : (strictest!.Mode, $"{Words(strictest)}, set by {strictest.Author}");
    }

    static bool Applies(ModeEntry entry, string runbook, string tenant, string cluster) =>
        (entry.Runbook.Length == 0 || entry.Runbook == runbook) && (entry.Tenant.Length == 0 || entry.Tenant == tenant)
            && (entry.Cluster.Length == 0 || entry.Cluster == cluster);

    T Change<T>(DateTimeOffset at, string author, string text, Func<DbConnection, T> change)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginWrite();
        foreach (var mended in ControlTables.Mend(connection))
            Note(connection, at, "whistle", mended);
        var result = change(connection);
        if (result is not false)
            Note(connection, at, author, text);
        ControlTables.Seal(connection);
        transaction.Commit();
        return result;
    }

    static void Note(DbConnection connection, DateTimeOffset at, string author, string text) => connection.Execute(
        "INSERT INTO control_timeline (at, author, text, revision) VALUES ($at, $author, $text, $revision)",
        ("$at", at), ("$author", author), ("$text", text), ("$revision", StateSql.NewRevision()));

    static string Words(ModeEntry entry) =>
        $"the mode of {(entry.Runbook.Length > 0 ? entry.Runbook : "all runbooks")} in {(entry.Cluster.Length > 0 ? $"cluster {entry.Cluster}" : "all clusters")}"
            + (entry.Tenant.Length > 0 ? $" of {entry.Tenant}" : "");

    static string Words(Pause pause) => Words(pause.Runbook, pause.Node, pause.Cluster, pause.Tenant);

    static string Words(params string[] parts) => parts.Any(p => p.Length > 0) ? string.Join(", ", parts.Where(p => p.Length > 0)) : "everything";
}
