using System.Buffers.Binary;
using System.Globalization;

using Microsoft.Data.Sqlite;

using SQLitePCL;

using Whistle.State.Health;

namespace Whistle.State;

/// <summary>How a state file is opened.</summary>
public sealed record StateOpening
{
    /// <summary>The folder holds what a server only leaves beside a state: without one, something was lost.</summary>
    public bool HasHistory { get; init; }

    /// <summary>Continues if the state is missing, older than it was, or another's. Never if it is damaged.</summary>
    public bool Accept { get; init; }

    /// <summary>Whether all of the file is checked.</summary>
    public bool Verify { get; init; } = true;
}

/// <param name="Accepted">What was wrong and is accepted; null where nothing was.</param>
sealed record StateFound(bool IsNew, string? Accepted);

/// <summary>Looks at a state file before anything opens it for use, and changes nothing in it.</summary>
static class StateInspection
{
    /// <summary>The option that <see cref="StateOpening.Accept"/> comes from.</summary>
    const string Option = "--accept-state";

    // Beyond this, the comparison of tables with their indexes would hold up the start.
    const long WholeCheckBytes = 1L << 30;

    // What `whistle backup restore` leaves in a folder: the first start turns the kill switch on by itself.
    const string Restored = "restored.json";

    const string Unmarked = "It remembers how far the state had come, so changes may be missing without a trace.";

    const string Restore = "Restore a backup with `whistle backup restore` (docs/operations.md).";

    /// <exception cref="StateException">It cannot be used as it is.</exception>
    public static StateFound Look(string file, StateOpening opening)
    {
        foreach (var path in new[] { file, file + "-wal", file + "-shm", file + StateMark.Suffix })
        {
            if (Directory.Exists(path))
                throw new StateException($"{path} is a folder, but a file of the state belongs there. "
                    + $"Move it away; if the state was there, {char.ToLowerInvariant(Restore[0])}{Restore[1..]}");
        }

        StateMark? mark = null;
        string? doubt = null;
        try
        {
            mark = StateMark.Read(file + StateMark.Suffix);
        }
        catch (Exception e) when (e is StateException or IOException or UnauthorizedAccessException)
        {
            doubt = $"{file + StateMark.Suffix} cannot be read: {e.Message} {Unmarked}";
        }

        if (Length(file) == 0)
            return Missing(
                file, File.Exists(file) ? "is empty" : "is missing", mark is not null || doubt is not null, opening,
                Length(file + "-wal") > 0);
        try
        {
            return LookInto(file, mark, doubt, opening);
        }
        catch (SqliteException e)
        {
            throw new StateException(Explain(file, e), e);
        }
    }

    /// <summary>Checks that a whole file has the tables, columns and indexes that its migrations made.</summary>
    /// <returns>False where a newer program made it: its tables are not known here.</returns>
    /// <exception cref="StateException">Something is missing.</exception>
    public static async Task<bool> HasShapeAsync(string file, IReadOnlyList<StateSchema> program, CancellationToken cancellation)
    {
        try
        {
            using var connection = OpenToLook(file);
            var applied = Migrations(connection, file);
            if (applied.Any(m => program.FirstOrDefault(s => s.Stage == m.Stage) is not { } schema || m.Number >= schema.Scripts.Count))
                return false;
            return await StateDatabase.ShapeFaultAsync(connection, program, applied, cancellation) is { } fault
                ? throw new StateException(Damaged(file, fault)) : true;
        }
        catch (SqliteException e)
        {
            throw new StateException(Explain(file, e), e);
        }
    }

    static List<(string Stage, long Number)> Migrations(SqliteConnection connection, string file)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT DISTINCT stage, number FROM migrations";
        using var reader = command.ExecuteReader();
        var rows = new List<(string, long)>();
        while (reader.Read())
            rows.Add(StateDatabase.MigrationOf(reader) ?? throw new StateException(Damaged(file, StateDatabase.NoMigration)));
        return rows;
    }

    public static string Explain(string file, SqliteException e) => e.SqliteErrorCode switch
    {
        // The plain error is a head or a schema that cannot be read.
        raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB or raw.SQLITE_ERROR => Damaged(file, e.Message),
        raw.SQLITE_FULL => $"The disk of {file} is full: {e.Message}. Free some space there.",
        raw.SQLITE_IOERR =>
            $"{file} or its log (-wal, -shm) cannot be read or written: {e.Message}. Check the disk and its file system.{SizeLimit()}",
        raw.SQLITE_CANTOPEN or raw.SQLITE_PERM or raw.SQLITE_AUTH => $"{file} or its log (-wal, -shm) cannot be opened: {e.Message}. "
            + "Check that they are files which the user of the server may read and write, and that it may create files in their folder.",
        raw.SQLITE_READONLY => $"{file} or its log (-wal, -shm) cannot be written: {e.Message}. "
            + "Check that the user of the server may write them and their folder, and that the disk is not mounted read-only.",
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => $"{file} is locked by another process: {e.Message}. Stop that process.",
        _ => $"{file} cannot be used: {e.Message}.",
    };

    // SQLite does not tell this error from others.
    static string SizeLimit() => ProcessWatch.FileSizeLimit() is var limit and < long.MaxValue
        ? $" Or a file has reached the {limit >> 20} MiB that this process may write (`ulimit -f`, LimitFSIZE=)." : "";

    static StateFound LookInto(string file, StateMark? mark, string? doubt, StateOpening opening)
    {
        using var connection = OpenToLook(file);
        var tables = Texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'table'");
        if (raw.sqlite3_db_readonly(connection.Handle, "main") == 1)
            throw new StateException($"{file} cannot be written. Check that the user of the server may write it and its folder, "
                + "and that the disk is not mounted read-only.");
        if (opening.Verify)
            Verify(connection, file);
        if (tables.Count == 0)
            return Missing(file, "holds nothing", mark is not null || doubt is not null, opening, hasLog: false);
        if (!tables.Contains("migrations"))
            throw new StateException($"{file} is a SQLite database, but not Whistle's: it has the tables "
                + $"{string.Join(", ", tables.Take(5))}. Move it away, and put the state back. {Restore}");
        doubt ??= Doubt(connection, file, mark, tables.Contains("seals"), opening.HasHistory);
        if (doubt is not null && !opening.Accept)
            throw new StateException($"{doubt} {Restore} Or start with {Option}, which continues with this state: "
                + "what it lost is lost, and the kill switch is turned on, so that nothing is repaired until somebody has looked.");
        return new(false, doubt);
    }

    static SqliteConnection OpenToLook(string file)
    {
        var connection = new SqliteConnection(StateDatabase.FileConnection(file, SqliteOpenMode.ReadWrite));
        connection.Open();
        // Whatever is found, the log is not written into the file.
        raw.sqlite3_db_config(connection.Handle, raw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, out _);
        return connection;
    }

    static void Verify(SqliteConnection connection, string file)
    {
        var check = Length(file) > WholeCheckBytes ? "quick_check" : "integrity_check";
        if (Texts(connection, $"PRAGMA {check}(1)") is not ["ok"] and var faults)
            throw new StateException(Damaged(file, string.Join("; ", faults).ReplaceLineEndings(" ")));
        if (!HasWholePages(connection, file))
            throw new StateException(Damaged(file, "its last page is cut"));
        if (Texts(connection, "SELECT \"table\" || ' refers to ' || parent FROM pragma_foreign_key_check LIMIT 1") is [var lost])
            throw new StateException(Damaged(file, $"a row of {lost}, where there is no such row"));
    }

    // SQLite takes what is cut off its last page for zeros. While the log has the page, it is written again.
    static bool HasWholePages(SqliteConnection connection, string file)
    {
        var size = long.Parse(Texts(connection, "PRAGMA page_size")[0], CultureInfo.InvariantCulture);
        var length = Length(file);
        return length % size == 0 || StateLog.Has($"{file}-wal", (length / size) + 1);
    }

    /// <summary>Why this may not be the state that was last written here; null where it is.</summary>
    static string? Doubt(SqliteConnection connection, string file, StateMark? mark, bool hasSeals, bool hasHistory)
    {
        // Versions without seals kept no mark.
        if (mark is null)
            return hasSeals && hasHistory && !File.Exists(Path.Combine(Path.GetDirectoryName(file)!, Restored))
                ? $"{file + StateMark.Suffix} is missing. {Unmarked}" : null;
        if (!hasSeals)
            return $"{file} is older than it was: it is from before an upgrade.";
        if (Texts(connection, "SELECT id FROM instance") is not [var id] || id != mark.Id)
            return $"{file} is not the state that was last here: {file}{StateMark.Suffix} belongs to another one.";
        var commits = Number(connection);
        if (commits is null || commits < mark.Commits)
            return $"{file} or its log (-wal) is older than it was: it ends with change {commits}, but change {mark.Commits} was written.";
        return Length(file + "-wal") > 0 && InFile(file) < mark.Base
            ? $"{file} is older than its log (-wal): changes between the two are missing." : null;
    }

    static StateFound Missing(string file, string what, bool wasMarked, StateOpening opening, bool hasLog)
    {
        var evidence = hasLog
            ? $"its log {file}-wal is there"
            : wasMarked ? $"{file}{StateMark.Suffix} says that there was one"
            : opening.HasHistory ? "its folder holds what a server left"
            : null;
        if (evidence is null)
            return new(true, null);
        if (!opening.Accept)
            throw new StateException(
                $"The state {file} {what}, but {evidence}. Restore a backup with `whistle backup restore`. "
                + $"Or start with {Option}, which continues with an empty state: the tokens of agents are unknown, "
                + "so enrol them again; incidents, runs, pauses and freezes are gone; "
                + "every cluster is only observed, and the kill switch is on until somebody turns it off.");
        if (hasLog)
            File.Move($"{file}-wal", $"{file}-wal.aside", overwrite: true);
        return new(true, $"The state {file} {what}, but {evidence}.");
    }

    public static string Damaged(string file, string what) =>
        $"The state {file} is damaged: {what}. Nothing was changed in it. {Restore}";

    /// <summary>The count of commits in the file alone; null if it cannot be read.</summary>
    static long? InFile(string file)
    {
        try
        {
            using var connection = new SqliteConnection(new SqliteConnectionStringBuilder
            {
                DataSource = $"{new Uri(file).AbsoluteUri}?immutable=1",
                Mode = SqliteOpenMode.ReadOnly,
                Pooling = false,
            }.ToString());
            connection.Open();
            return Number(connection);
        }
        catch (SqliteException)
        {
            // Amid a migration or a checkpoint; what is damaged was found before.
            return null;
        }
    }

    static long? Number(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT total FROM seals WHERE scope = '{StateMark.Scope}'";
        return command.ExecuteScalar() as long?;
    }

    static List<string> Texts(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this file.
        command.CommandText = sql;
#pragma warning restore CA2100
        using var reader = command.ExecuteReader();
        var texts = new List<string>();
        while (reader.Read())
            texts.Add(reader.IsDBNull(0) ? "" : reader.GetString(0));
        return texts;
    }

    static long Length(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : 0;
}

/// <summary>SQLite's log, as its file format describes it: a head of 32 bytes, then frames of 24 bytes and a page.</summary>
static class StateLog
{
    /// <summary>Whether a frame of the log's own has the page.</summary>
    public static bool Has(string path, long page)
    {
        if (!File.Exists(path))
            return false;
        using var log = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        Span<byte> head = stackalloc byte[32];
        Span<byte> frame = stackalloc byte[24];
        if (log.ReadAtLeast(head, head.Length, throwOnEndOfStream: false) < head.Length)
            return false;
        var size = BinaryPrimitives.ReadUInt32BigEndian(head[8..]);
        while (log.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false) == frame.Length)
        {
            // Frames of the log before it began again have other salts.
            if (BinaryPrimitives.ReadUInt32BigEndian(frame) == page && frame[8..16].SequenceEqual(head[16..24]))
                return true;
            log.Seek(size, SeekOrigin.Current);
        }

        return false;
    }
}
