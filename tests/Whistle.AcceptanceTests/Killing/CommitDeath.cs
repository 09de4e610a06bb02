using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Whistle.AcceptanceTests.Killing;

/// <summary>
/// Ends this process at its first commit to SQLite that is a step of an incident, a run, a command or a notification: right before it
/// becomes durable, and where an earlier process died before the same step, right after it has. SQLite itself says when: its authorizer
/// what a transaction writes, its commit hook that it is about to be durable, its hook for the write-ahead log that it is.
/// </summary>
static unsafe partial class CommitDeath
{
    /// <summary>
    /// A file with a line for each death, "before" or "after" with the kind of step: "after incidents,alerting_outbox(state)", tables with
    /// the columns that were updated.
    /// </summary>
    public const string Variable = "WHISTLE_TEST_DEATHS";

    /// <summary>Set where the process lives, and only notes its steps as "done".</summary>
    public const string Lives = "WHISTLE_TEST_LIVES";

    public const string Before = "before";
    public const string After = "after";

    const string Library = "e_sqlite3";
    const int Insert = 18;
    const int Update = 23;

    // A run changes hands. Where processes always died at it, nothing slower would ever be reached, so it counts once.
    const string Lease = "runs(owner,token)";

    static readonly ConcurrentDictionary<nint, SortedSet<string>> Written = new();
    static readonly Lock Noting = new();
    static string _notes = "";
    static string[] _pending = [];
    static string? _repeated;
    static bool _leases;
    static bool _lives;

    public static void Install(string notes)
    {
        (_notes, _lives) = (notes, Environment.GetEnvironmentVariable(Lives) is { Length: > 0 });
        string[] deaths = File.Exists(notes) ? File.ReadAllLines(notes) : [];
        var done = Array.FindLastIndex(deaths, d => d.StartsWith(After, StringComparison.Ordinal));
        _pending = [.. deaths[(done + 1)..].Select(KindOf)];
        _leases = !deaths.Contains($"{After} {Lease}");
        // The agent had no answer and asks again, and a notification that was begun is begun
        // again: let through, or what follows would never come.
        if (done >= 0 && KindOf(deaths[done]) is var kind
            && (kind.StartsWith("commands(", StringComparison.Ordinal) || kind.StartsWith("alerting_outbox(", StringComparison.Ordinal)))
            _repeated = kind;
        if (AutoExtension(&Opened) != 0)
            throw new InvalidOperationException("SQLite does not take the extension.");
    }

    public static string KindOf(string note) => note[(note.IndexOf(' ', StringComparison.Ordinal) + 1)..];

    static bool IsStep(string table) =>
        table is "incidents" or "incident_timeline" or "runs" or "run_timeline" or "commands" or "approvals"
        || (table.StartsWith("alerting_", StringComparison.Ordinal) && table != "alerting_watermark");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Opened(nint database, nint message, nint api)
    {
        CommitHook(database, &Committing, database);
        return SetAuthorizer(database, &Authorize, database);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Authorize(nint database, int action, nint table, nint column, nint schema, nint trigger)
    {
        if (action is Insert or Update && Marshal.PtrToStringUTF8(table) is { } name && IsStep(name))
            Written.GetOrAdd(database, _ => []).Add(action is Update ? $"{name}.{Marshal.PtrToStringUTF8(column)}" : name);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Committing(nint database)
    {
        if (!Written.TryRemove(database, out var written))
            return 0;
        var kind = Kind(written);
        if (!_lives && (kind == _repeated || (kind == Lease && !_leases)))
            return 0;
        if (!_lives && !_pending.Contains(kind))
            Die(Before, kind);
        Written[database] = written;
        // Only now: opening a database sets a hook of SQLite's own after the extensions.
        WalHook(database, &Committed, database);
        return 0;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int Committed(nint database, nint same, nint schema, int pages)
    {
        if (!Written.TryRemove(database, out var written))
            return 0;
        if (!_lives)
            Die(After, Kind(written));
        lock (Noting)
            File.AppendAllText(_notes, $"done {Kind(written)}\n");
        return 0;
    }

    static string Kind(IEnumerable<string> written) => string.Join(',', written.Select(w => w.Split('.')).GroupBy(w => w[0], w => w[1..])
        .Select(t => t.SelectMany(c => c).ToList() is { Count: > 0 } columns ? $"{t.Key}({string.Join(',', columns)})" : t.Key));

    static void Die(string side, string kind)
    {
        // One death a process, whoever else commits in this instant.
        Noting.Enter();
        File.AppendAllText(_notes, $"{side} {kind}\n");
        Death.Now();
    }

    [LibraryImport(Library, EntryPoint = "sqlite3_auto_extension")]
    private static partial int AutoExtension(delegate* unmanaged[Cdecl]<nint, nint, nint, int> entry);

    [LibraryImport(Library, EntryPoint = "sqlite3_set_authorizer")]
    private static partial int SetAuthorizer(
        nint database, delegate* unmanaged[Cdecl]<nint, int, nint, nint, nint, nint, int> callback, nint argument);

    [LibraryImport(Library, EntryPoint = "sqlite3_commit_hook")]
    private static partial nint CommitHook(nint database, delegate* unmanaged[Cdecl]<nint, int> callback, nint argument);

    [LibraryImport(Library, EntryPoint = "sqlite3_wal_hook")]
    private static partial nint WalHook(nint database, delegate* unmanaged[Cdecl]<nint, nint, nint, int, int> callback, nint argument);
}
