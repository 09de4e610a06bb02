using System.Globalization;
using System.Text.Json.Serialization;

using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Remediation.Runbooks;
using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>Holds back what it matches until its end. An empty name matches all.</summary>
public sealed record Pause(
    long Id, string Tenant, string Cluster, string Node, string Runbook, string Reason, string Author, DateTimeOffset From,
    DateTimeOffset Until)
{
    /// <summary>Where it holds back, as wide as a node's or a runbook's pause may be.</summary>
    [JsonIgnore]
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));

    internal bool Covers(NodeId node, string runbook, DateTimeOffset now) =>
        now < Until && Matches(Tenant, node.Tenant) && Matches(Cluster, node.Cluster)
            && Matches(Node, node.Node) && Matches(Runbook, runbook);

    static bool Matches(string mine, string other) => mine.Length == 0 || mine == other;
}

/// <summary>While it is on, nothing is leased and no permit is given.</summary>
public sealed record KillSwitch(bool On, string Reason, string Author, DateTimeOffset Since)
{
    /// <summary>What is recorded where somebody had no time for a reason.</summary>
    public const string NoReason = "no reason given";
}

/// <summary>What somebody set. An empty name means all.</summary>
public sealed record ModeEntry(string Runbook, string Tenant, string Cluster, RunbookMode Mode, string Author, DateTimeOffset At)
{
    /// <summary>Where it counts.</summary>
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));
}

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

        """
        + "CREATE TABLE kill_switch (id INTEGER PRIMARY KEY CHECK (id = 1), active INTEGER NOT NULL, reason TEXT NOT NULL, "
        + "author TEXT NOT NULL, since INTEGER NOT NULL);\n"
        + """
        CREATE TABLE runbook_modes (

        """
        + "    runbook TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, mode TEXT NOT NULL, author TEXT NOT NULL, "
        + "at INTEGER NOT NULL,\n"
        + """
            PRIMARY KEY (runbook, tenant, cluster)) WITHOUT ROWID;
        CREATE TABLE control_timeline (number INTEGER PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL);
        """;

    const string WindowTables =
        """
        CREATE TABLE windows (

        """
        + "    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, recurrence TEXT NOT NULL, start TEXT NOT NULL, "
        + "seconds INTEGER NOT NULL,\n"
        + """
            time_zone TEXT NOT NULL, author TEXT NOT NULL, at INTEGER NOT NULL);
        CREATE TABLE freezes (

        """
        + "    id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, cluster TEXT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL, "
        + "from_at INTEGER NOT NULL,\n"
        + """
            until_at INTEGER NOT NULL);
        """;

    const string Revision = "ALTER TABLE control_timeline ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;";

    public static readonly StateSchema Tables =
        new("control", Schema, WindowTables, Revision, new StateScript(ControlTables.Checksums, ControlTables.SealAsync));

    static readonly RowReader Entries = new(
        "control_timeline",
        "the change is not shown. Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.");

    readonly StateDatabase _database;

    public ControlStore(StateDatabase database)
    {
        _database = database;
        database.Add(Tables);
    }

    /// <summary>All of it as of one moment: rows beside the sums of another would be taken for damaged.</summary>
    internal async Task<ControlState> ReadAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var picture = await connection.BeginReadAsync(cancellation);
        return await ControlState.ReadAsync(connection, cancellation);
    }

    public async Task<IReadOnlyList<Pause>> PausesAsync(DateTimeOffset now, CancellationToken cancellation) =>
        [.. (await ReadAsync(cancellation)).Pauses.Where(p => p.Until > now)];

    public async Task<KillSwitch> KillSwitchAsync(CancellationToken cancellation) => (await ReadAsync(cancellation)).Kill;

    public async Task<IReadOnlyList<ModeEntry>> ModesAsync(CancellationToken cancellation) => (await ReadAsync(cancellation)).Modes;

    /// <summary>The latest first.</summary>
    public async Task<IReadOnlyList<ControlEntry>> TimelineAsync(int most, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Entries.QueryAsync(
            connection, "SELECT number, at, author, text, number FROM control_timeline ORDER BY number DESC LIMIT $most",
            r => new ControlEntry(r.GetInt64(0), r.Instant(1), r.GetString(2), r.GetString(3)), cancellation, ("$most", most));
    }

    /// <summary>Returns the pause with its id.</summary>
    public async Task<Pause> AddAsync(Pause pause, CancellationToken cancellation) => await ChangeAsync(
        pause.From, pause.Author, $"Paused {Words(pause)} until {pause.Until:yyyy-MM-dd HH:mm:ss}Z: {pause.Reason}", async connection =>
            pause with { Id = await ControlTables.InsertAsync(connection, pause, isNew: true, cancellation: cancellation) },
        cancellation);

    /// <summary>False where no such pause is in force.</summary>
    public async Task<bool> EndPauseAsync(long id, string author, DateTimeOffset now, CancellationToken cancellation) =>
        await ChangeAsync(now, author, $"Ended the pause {id}.", async connection =>
            await connection.ExecuteAsync(
                "UPDATE pauses SET until_at = $now, checksum = NULL WHERE id = $id AND until_at > $now", cancellation, ("$id", id),
                ("$now", now)) > 0, cancellation);

    public async Task<IReadOnlyList<MaintenanceWindow>> WindowsAsync(CancellationToken cancellation) =>
        (await ReadAsync(cancellation)).Windows;

    /// <summary>Those that hold or are to come.</summary>
    public async Task<IReadOnlyList<ChangeFreeze>> FreezesAsync(DateTimeOffset now, CancellationToken cancellation) =>
        [.. (await ReadAsync(cancellation)).Freezes.Where(f => f.Until > now)];

    /// <summary>Returns the window with its id.</summary>
    public async Task<MaintenanceWindow> AddAsync(MaintenanceWindow window, CancellationToken cancellation) =>
        await ChangeAsync(
            window.SetAt, window.Author,
            $"Maintenance window of {Words("", "", window.Cluster, window.Tenant)}: "
            + $"{window.Recurrence}, from {window.Start:HH:mm} {window.TimeZone} for {window.Length}",
            async connection =>
                window with
                {
                    Id = (await connection.QueryAsync(
                        "INSERT INTO windows (tenant, cluster, recurrence, start, seconds, time_zone, author, at) "
                        + "VALUES ($tenant, $cluster, $recurrence, $start, $seconds, $zone, $author, $at) RETURNING id",
                        r => r.GetInt64(0), cancellation, ("$tenant", window.Tenant), ("$cluster", window.Cluster),
                        ("$recurrence", window.Recurrence), ("$start", window.Start.ToString("s", CultureInfo.InvariantCulture)),
                        ("$seconds", (long)window.Length.TotalSeconds), ("$zone", window.TimeZone), ("$author", window.Author),
                        ("$at", window.SetAt))).Single(),
                },
            cancellation);

    /// <summary>False where there is no such window.</summary>
    public async Task<bool> RemoveWindowAsync(long id, string author, DateTimeOffset now, CancellationToken cancellation) =>
        await ChangeAsync(
            now, author, $"Removed the maintenance window {id}.",
            async connection => await connection.ExecuteAsync("DELETE FROM windows WHERE id = $id", cancellation, ("$id", id)) > 0,
            cancellation);

    /// <summary>Returns the freeze with its id.</summary>
    public async Task<ChangeFreeze> AddAsync(ChangeFreeze freeze, CancellationToken cancellation) =>
        await ChangeAsync(
            freeze.From, freeze.Author,
            $"Changes are frozen in {Words("", "", freeze.Cluster, freeze.Tenant)} until "
            + $"{freeze.Until:yyyy-MM-dd HH:mm:ss}Z: {freeze.Reason}",
            async connection =>
                freeze with { Id = await ControlTables.InsertAsync(connection, freeze, isNew: true, cancellation: cancellation) },
            cancellation);

    /// <summary>False where no such freeze holds or is to come.</summary>
    public async Task<bool> EndFreezeAsync(long id, string author, DateTimeOffset now, CancellationToken cancellation) =>
        await ChangeAsync(now, author, $"Ended the change freeze {id}.", async connection =>
            (await ControlState.ReadAsync(connection, cancellation)).Freezes.Any(f => f.Id == id && f.Unreadable is not null)
                ? await connection.ExecuteAsync("DELETE FROM freezes WHERE id = $id", cancellation, ("$id", id)) > 0
                : await connection.ExecuteAsync(
                    "UPDATE freezes SET until_at = $now, checksum = NULL WHERE id = $id AND until_at > $now", cancellation, ("$id", id),
                    ("$now", now)) > 0, cancellation);

    public async Task SetAsync(KillSwitch kill, CancellationToken cancellation) => await ChangeAsync(
        kill.Since, kill.Author, kill.On ? $"Kill switch on: {kill.Reason}" : $"Kill switch off: {kill.Reason}", async connection =>
            await ControlTables.SetAsync(connection, kill, cancellation),
        cancellation);

    /// <summary>Stops all repairs, until a person has looked; who has stopped them already stays named.</summary>
    public async Task StopAfterRestoreAsync(string reason, DateTimeOffset now, CancellationToken cancellation)
    {
        if (!(await KillSwitchAsync(cancellation)).On)
            await SetAsync(new KillSwitch(true, reason, "whistle", now), cancellation);
    }

    public async Task SetAsync(ModeEntry entry, CancellationToken cancellation) =>
        await ChangeAsync(entry.At, entry.Author, $"{Words(entry)}: {entry.Mode.ToString().ToLowerInvariant()}", async connection =>
            await ControlTables.SetAsync(connection, entry, cancellation), cancellation);

    /// <summary>
    /// The strictest of all that was set for it. Where nothing names the runbook, its file's mode joins in; where nothing names the
    /// cluster, observe does: a new cluster is only watched.
    /// </summary>
    public static (RunbookMode Mode, string From) ModeOf(IReadOnlyList<ModeEntry> entries, Runbook runbook, ClusterId cluster)
    {
        ModeEntry? strictest = null;
        var (namesRunbook, namesCluster) = (false, false);
        foreach (var entry in entries)
        {
            if (!Applies(entry, runbook.Name, cluster))
                continue;
            namesRunbook |= entry.Runbook == runbook.Name;
            namesCluster |= entry.Cluster == cluster.Cluster;
            if (strictest is null || entry.Mode < strictest.Mode)
                strictest = entry;
        }

        if (!namesRunbook && !(strictest?.Mode <= runbook.Mode) && (namesCluster || runbook.Mode <= RunbookMode.Observe))
            return (runbook.Mode, "the runbook's file");
        return !namesCluster && !(strictest?.Mode <= RunbookMode.Observe)
            ? (RunbookMode.Observe, "nobody has turned the cluster to approve or automatic")
            : (strictest!.Mode, $"{Words(strictest)}, set by {strictest.Author}");
    }

    static bool Applies(ModeEntry entry, string runbook, ClusterId cluster) =>
        (entry.Runbook.Length == 0 || entry.Runbook == runbook) && (entry.Tenant.Length == 0 || entry.Tenant == cluster.Tenant)
            && (entry.Cluster.Length == 0 || entry.Cluster == cluster.Cluster);

    async Task<T> ChangeAsync<T>(
        DateTimeOffset at, string author, string text, Func<StateConnection, Task<T>> change, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(StateScopes.Brakes, cancellation);
        foreach (var repaired in await ControlTables.RepairAsync(connection, cancellation))
            await NoteAsync(connection, at, "whistle", repaired, cancellation);
        var result = await change(connection);
        if (result is not false)
            await NoteAsync(connection, at, author, text, cancellation);
        await ControlTables.SealAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
        return result;
    }

    /// <summary>Notes what else people should see beside the brakes.</summary>
    public Task NoteAsync(DateTimeOffset at, string author, string text, CancellationToken cancellation) =>
        ChangeAsync(at, author, text, _ => Task.FromResult(true), cancellation);

    static async Task NoteAsync(
        StateConnection connection, DateTimeOffset at, string author, string text, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            "INSERT INTO control_timeline (at, author, text, revision) VALUES ($at, $author, $text, $revision)",
            cancellation, ("$at", at), ("$author", author), ("$text", text), ("$revision", StateSql.NewRevision()));

    static string Words(ModeEntry entry) =>
        $"the mode of {(entry.Runbook.Length > 0 ? entry.Runbook : "all runbooks")} in "
        + $"{(entry.Cluster.Length > 0 ? $"cluster {entry.Cluster}" : "all clusters")}"
            + (entry.Tenant.Length > 0 ? $" of {entry.Tenant}" : "");

    static string Words(Pause pause) => Words(pause.Runbook, pause.Node, pause.Cluster, pause.Tenant);

    static string Words(params string[] parts) =>
        parts.Any(p => p.Length > 0) ? string.Join(", ", parts.Where(p => p.Length > 0)) : "everything";
}
