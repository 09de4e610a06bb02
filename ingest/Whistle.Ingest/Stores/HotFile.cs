using System.Globalization;
using System.Text.RegularExpressions;

using DuckDB.NET.Data;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>
/// The file of the hot store: opens it, proves that all of it can be read, and where it cannot, keeps it aside and saves what can be read
/// into a new one. DuckDB holds a checksum of each block and of each entry of its log.
/// </summary>
sealed partial class HotFile(StoreOptions options, SetAside setAside, TimeProvider time, ILogger? logger)
{
    public const string Name = "hot.duckdb";

    /// <summary>1 had series ids of one numbering for all files, and no manifests.</summary>
    public const int Format = 2;

    // What a person or time may still set right: the file is not to blame.
    static readonly string[] Passing =
    [
        "Could not set lock", "Conflicting lock", "No space left", "Permission denied", "Too many open files", "Out of Memory",
        "Cannot allocate memory", "Read-only file system", "Is a directory", "Disk quota exceeded", "already attached",
    ];

    static readonly string[] Schema =
    [
        "CREATE TABLE IF NOT EXISTS series (id UINTEGER, name VARCHAR, labels VARCHAR, last_hour BIGINT)",
        "CREATE TABLE IF NOT EXISTS late (series UINTEGER, time TIMESTAMP_MS, value DOUBLE)",
        // One row: the number of the last commit, and the highest id ever given in this file.
        "CREATE TABLE IF NOT EXISTS store (format INTEGER, commits BIGINT, last_id UINTEGER)",
        "CREATE TABLE IF NOT EXISTS hours (hour BIGINT, manifest VARCHAR)",
        "INSERT INTO store SELECT 2, 0, coalesce(max(id), 0) FROM series HAVING NOT EXISTS (SELECT 1 FROM store)",
        // One row: which file this is. Ids of one file mean nothing in another.
        "CREATE TABLE IF NOT EXISTS lineage (id VARCHAR)",
        "INSERT INTO lineage SELECT uuid()::VARCHAR WHERE NOT EXISTS (SELECT 1 FROM lineage)",
    ];

    string? _lineage;
    // A FileIdentity; boxed, since it is read without the lock.
    volatile object? _opened;

    string Path => System.IO.Path.Combine(options.Folder, Name);

    string Log => Path + ".wal";

    string Damaged => Path + ".damaged";

    // The new file, until all that can be saved is in it.
    string Salvaged => Path + ".salvaged";

    public bool Exists => File.Exists(Path);

    /// <summary>What happened to the file since it was opened; null where it is still in its place.</summary>
    public string? Loss => !Exists
        ? $"{Name} was deleted or moved."
        : _opened is FileIdentity opened && FileIdentity.Of(Path) is { } now && now != opened ? $"{Name} was replaced by another file."
        : null;

    /// <summary>Whether the failure says that the file is damaged, and not that something around it is in the way.</summary>
    public static bool IsDamage(string message) => !Passing.Any(p => message.Contains(p, StringComparison.OrdinalIgnoreCase));

    // Connections of one process to one file share the database.
    public DuckDBConnection Connect() => Connect(Path);

    /// <summary>Reads all of it and changes nothing. Returns the number of its last commit.</summary>
    /// <exception cref="DuckDBException">It cannot be opened, or not be read whole.</exception>
    public long Look()
    {
        using var connection = Connect(Path, ";access_mode=READ_ONLY");
        ReadAll(connection);
        if (!Tables(connection, null).Contains("store"))
            return 0;
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT commits FROM store";
        return (long)command.ExecuteScalar()!;
    }

    /// <summary>
    /// True where it is another file than before: what was there could not be read whole, and a new file has what could be saved; or it was
    /// exchanged since it was last opened here.
    /// </summary>
    /// <exception cref="DuckDBException">It cannot be opened now, and is not to blame.</exception>
    /// <exception cref="StoreException">What is damaged cannot be set aside.</exception>
    public DuckDBConnection Open(out bool isReplaced)
    {
        isReplaced = false;
        foreach (var file in (string[])[Path, Log, Damaged, Salvaged])
        {
            if (Directory.Exists(file))
                throw new StoreException($"{file} is a folder, but a file of the telemetry belongs there. Move it away and start again.");
        }

        // A process that ended while it replaced a damaged file left that one. Once the new
        // file has its name, all that could be saved is in it.
        if (File.Exists(Damaged) && File.Exists(Path))
            Away($"{Name}.damaged was left where a damaged file had been replaced", 0, Damaged, Damaged + ".wal", Damaged + ".wal.damaged");
        else if (File.Exists(Damaged))
            return Save("it was found beside the hot store", out isReplaced);
        try
        {
            return OpenOurs(out isReplaced);
        }
        catch (DuckDBException e) when (File.Exists(Path) && IsDamage(e.Message))
        {
            logger?.HotStoreDamaged(Path, e.Message.TrimEnd());
            File.Move(Path, Damaged, overwrite: true);
            return Save(Line(e.Message), out isReplaced);
        }
    }

    // A file that somebody put in the place of ours while we ran: its ids are not those that the head knows.
    DuckDBConnection OpenOurs(out bool isReplaced)
    {
        var (existed, before) = (File.Exists(Path), _lineage);
        var connection = OpenWhole();
        isReplaced = before is not null && before != _lineage;
        if (!isReplaced || !existed)
            return connection;
        connection.Dispose();
        Away($"{Name} was replaced by another one while the server ran", 0, Path, Log);
        return OpenWhole();
    }

    void Away(string reason, long from, params IReadOnlyList<string> files)
    {
        if (!setAside.Add("hot", reason, from, time.GetUtcNow().ToUnixTimeMilliseconds(), files))
            throw new StoreException($"{reason}, and it cannot be set aside. "
                + $"See that the server's user may write {options.Folder} and all that is in it, and that the disk has space; "
                + $"or move {files[0]} away.");
    }

    // A connection that is left open keeps the database open, and one that has failed is refused until the last is closed.
    DuckDBConnection OpenWhole()
    {
        // A log without its file is of a file that is gone; DuckDB would play it into the new one.
        if (!File.Exists(Path) && File.Exists(Log))
            Away($"{Name} is missing, and its log {Name}.wal alone is useless", 0, Log);
        if (!File.Exists(Path))
            logger?.HotStoreMade(Path);
        var connection = OpenWhole(Path);
        _opened = FileIdentity.Of(Path);
        return connection;
    }

    DuckDBConnection OpenWhole(string file)
    {
        var connection = Connect(file);
        try
        {
            foreach (var statement in Schema)
                Execute(connection, statement);
            ReadAll(connection);
            _lineage = LineageOf(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // What can be read of the damaged file goes into a new one, and the damaged one aside.
    // Begun again from the start where it was interrupted.
    DuckDBConnection Save(string reason, out bool isReplaced)
    {
        isReplaced = true;
        // It belongs to the damaged file, and would be played into the new one.
        if (File.Exists(Log))
            File.Move(Log, Damaged + ".wal", overwrite: true);
        File.Delete(Salvaged);
        File.Delete(Salvaged + ".wal");
        string lost;
        long from;
        using (var connection = OpenWhole(Salvaged))
        {
            lost = Salvage(connection, Damaged);
            from = FromOf(connection);
            Execute(connection, "CHECKPOINT");
        }

        DurableFile.Sync(Salvaged);
        File.Move(Salvaged, Path);
        Away($"{Name} is damaged ({reason}). {lost}", from, Damaged, Damaged + ".wal", Damaged + ".wal.damaged");
        return OpenWhole();
    }

    // Only what can be read whole, table by table. With its log first; then with the log up to what is damaged in it; then without.
    static string Salvage(DuckDBConnection connection, string damaged)
    {
        var (log, whole, cut) = (damaged + ".wal", damaged + ".wal.damaged", "");
        // A process that ended in the midst of this kept the whole log, and left less than that in its place.
        if (File.Exists(whole))
            File.Move(whole, log, overwrite: true);
        if (!TryAttach(connection, damaged, out var reason))
        {
            if (!File.Exists(log))
                return $"Nothing could be saved from it ({Line(reason)})";
            File.Move(log, whole);
            if (EndOf(reason) is { } end)
            {
                CopyStart(whole, log, end);
                cut = $", up to byte {end} of its log";
            }

            if (cut.Length == 0 || !TryAttach(connection, damaged, out _))
            {
                File.Delete(log);
                cut = ", without its log";
                if (!TryAttach(connection, damaged, out reason))
                    return $"Nothing could be saved from it ({Line(reason)})";
            }
        }

        try
        {
            return SaveTables(connection) + cut;
        }
        finally
        {
            Execute(connection, "DETACH damaged");
        }
    }

    // DuckDB says where in the log the entry is that does not have its checksum.
    static long? EndOf(string reason) =>
        Position().Match(reason) is { Success: true } found ? long.Parse(found.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : null;

    [GeneratedRegex("byte position ([0-9]+)")]
    private static partial Regex Position();

    static void CopyStart(string from, string to, long bytes)
    {
        File.Copy(from, to, overwrite: true);
        using var file = File.OpenHandle(to, FileMode.Open, FileAccess.Write);
        RandomAccess.SetLength(file, Math.Min(bytes, RandomAccess.GetLength(file)));
    }

    static bool TryAttach(DuckDBConnection connection, string file, out string reason)
    {
        reason = "";
        try
        {
            Execute(connection, $"ATTACH '{file.Replace("'", "''", StringComparison.Ordinal)}' AS damaged (READ_ONLY)");
            return true;
        }
        catch (DuckDBException e) when (IsDamage(e.Message))
        {
            reason = e.Message;
            return false;
        }
    }

    static string SaveTables(DuckDBConnection connection)
    {
        var lost = new List<string>();
        // Without their series, samples belong to nobody.
        if (!TrySave(connection, "series", "INSERT INTO series SELECT * FROM damaged.series"))
            return "Its list of series could not be read, so none of its samples could be saved";
        TrySave(connection, "store", "UPDATE store SET commits = d.commits, last_id = d.last_id FROM damaged.store d");
        TrySave(connection, "hours", "INSERT INTO hours SELECT * FROM damaged.hours");
        foreach (var table in Tables(connection, "damaged").Where(t => t == "late" || t.StartsWith("hot_", StringComparison.Ordinal)))
        {
            if (!TrySave(connection, table, $"CREATE TABLE IF NOT EXISTS {table} (series UINTEGER, time TIMESTAMP_MS, value DOUBLE); "
                + $"INSERT INTO {table} SELECT * FROM damaged.{table}"))
                lost.Add(table);
        }

        // Where the list of series lacks one that samples refer to, its id is not given again.
        foreach (var table in Tables(connection, null).Where(
            t => t is "series" or "late" || t.StartsWith("hot_", StringComparison.Ordinal)))
            Execute(connection, "UPDATE store SET last_id = greatest(last_id, (SELECT "
                + $"coalesce(max({(table == "series" ? "id" : "series")}), 0) FROM {table}))");
        return lost.Count == 0 ? "All of its tables could be saved" : $"These tables could not be saved: {string.Join(", ", lost)}";
    }

    static bool TrySave(DuckDBConnection connection, string table, string sql)
    {
        try
        {
            Execute(connection, $"BEGIN; {sql}; COMMIT");
            return true;
        }
        catch (DuckDBException e)
        {
            try
            {
                Execute(connection, "ROLLBACK");
            }
            catch (DuckDBException)
            {
                // A commit that failed has ended the transaction already.
            }

            // The damaged file still has it, and may be read when there is room again.
            if (!IsDamage(e.Message))
                throw;
            // What was made of it would be half.
            if (table.StartsWith("hot_", StringComparison.Ordinal))
                Execute(connection, $"DROP TABLE IF EXISTS {table}");
            return false;
        }
    }

    // Reading is what proves the checksums: a file that opens may still be damaged in the middle.
    static void ReadAll(DuckDBConnection connection)
    {
        foreach (var table in Tables(connection, null))
        {
            var columns = table is "late" || table.StartsWith("hot_", StringComparison.Ordinal)
                ? "bit_xor(series), max(time), sum(value)"
                : table is "series" ? "bit_xor(id), max(name), max(labels), max(last_hour)"
                : table is "hours" ? "max(hour), max(manifest)"
                : "count(*)";
            Execute(connection, $"SELECT {columns} FROM \"{table.Replace("\"", "\"\"", StringComparison.Ordinal)}\"");
        }
    }

    static string LineageOf(DuckDBConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT max(id) FROM lineage";
        return (string)command.ExecuteScalar()!;
    }

    // The newest sample that is there tells from when on some may be missing.
    static long FromOf(DuckDBConnection connection)
    {
        var newest = 0L;
        foreach (var table in Tables(connection, null).Where(t => t.StartsWith("hot_", StringComparison.Ordinal)))
        {
            using var command = connection.CreateCommand();
            command.CommandText = $"SELECT coalesce(max(epoch_ms(time)), 0) FROM {table}";
            newest = Math.Max(newest, (long)command.ExecuteScalar()!);
        }

        return newest;
    }

    public static List<string> Tables(DuckDBConnection connection, string? database)
    {
        var tables = new List<string>();
        using var command = connection.CreateCommand();
        command.CommandText = database is null
            ? "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary"
            : $"SELECT table_name FROM duckdb_tables() WHERE database_name = '{database}'";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            tables.Add(reader.GetString(0));
        return tables;
    }

    public static void Execute(DuckDBConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    DuckDBConnection Connect(string file, string also = "")
    {
        var connection = new DuckDBConnection(
            $"DataSource={file};memory_limit={options.MemoryLimit};threads=1;temp_directory="
            + $"{System.IO.Path.Combine(options.Folder, "spill")}{also}");
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    static string Line(string text) => text.TrimEnd().Split('\n')[0];
}
