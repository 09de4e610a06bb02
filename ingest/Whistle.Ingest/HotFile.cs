using DuckDB.NET.Data;

using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

/// <summary>
/// The file of the hot store: opens it, proves that all of it can be read, and where it cannot, keeps it aside and saves what can be read into a
/// new one. DuckDB holds a checksum of each block and of each entry of its log.
/// </summary>
sealed class HotFile(StoreOptions options, SetAside setAside, TimeProvider time, ILogger? logger)
{
    public const string Name = "hot.duckdb";

    /// <summary>1 had series ids of one numbering for all files, and no manifests.</summary>
    public const int Format = 2;

    // What a person or time may still set right: the file is not to blame.
    static readonly string[] Passing =
    [
        "Could not set lock", "Conflicting lock", "No space left", "Permission denied", "Too many open files", "Out of Memory", "Cannot allocate memory",
        "Read-only file system", "Is a directory", "Disk quota exceeded", "already attached",
    ];

    static readonly string[] Schema =
    [
        "CREATE TABLE IF NOT EXISTS series (id UINTEGER, name VARCHAR, labels VARCHAR, last_hour BIGINT)",
        "CREATE TABLE IF NOT EXISTS late (series UINTEGER, time TIMESTAMP_MS, value DOUBLE)",
        // One row: the number of the last commit, and the highest id ever given in this file.
        "CREATE TABLE IF NOT EXISTS store (format INTEGER, commits BIGINT, last_id UINTEGER)",
        "CREATE TABLE IF NOT EXISTS hours (hour BIGINT, manifest VARCHAR)",
        "INSERT INTO store SELECT 2, 0, coalesce(max(id), 0) FROM series HAVING NOT EXISTS (SELECT 1 FROM store)",
    ];

    string Path => System.IO.Path.Combine(options.Folder, Name);

    string Log => Path + ".wal";

    string Damaged => Path + ".damaged";

    public bool Exists => File.Exists(Path);

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

    /// <summary>True where what was there could not be read whole: a new file has what could be saved.</summary>
    /// <exception cref="DuckDBException">It cannot be opened now, and is not to blame.</exception>
    public DuckDBConnection Open(out bool isReplaced)
    {
        // A process that ended while it replaced a damaged file left that one.
        isReplaced = File.Exists(Damaged);
        try
        {
            return isReplaced ? Save("it was found beside the hot store") : OpenWhole();
        }
        catch (DuckDBException e) when (File.Exists(Path) && IsDamage(e.Message))
        {
            isReplaced = true;
            logger?.HotStoreDamaged(Path, e.Message.TrimEnd());
            File.Move(Path, Damaged, overwrite: true);
            if (File.Exists(Log))
                File.Move(Log, Damaged + ".wal", overwrite: true);
            return Save(Line(e.Message));
        }
    }

    // A connection that is left open keeps the database open, and one that has failed is refused until the last is closed.
    DuckDBConnection OpenWhole()
    {
        // A log without its file is of a file that is gone; DuckDB would play it into the new one.
        if (!File.Exists(Path) && File.Exists(Log))
            setAside.Add("hot", $"{Name} is missing, and its log {Name}.wal alone tells nothing", 0, time.GetUtcNow().ToUnixTimeMilliseconds(), Log);
        var connection = Connect();
        try
        {
            foreach (var statement in Schema)
                Execute(connection, statement);
            ReadAll(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // What can be read of the damaged file goes into a new one, and the damaged one aside.
    DuckDBConnection Save(string reason)
    {
        var connection = OpenWhole();
        try
        {
            var lost = Salvage(connection, Damaged);
            setAside.Add("hot", $"{Name} is damaged ({reason}). {lost}", FromOf(connection), time.GetUtcNow().ToUnixTimeMilliseconds(), Damaged, Damaged + ".wal", Damaged + ".wal.damaged");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    // Only what can be read whole, table by table. With its log first; where that is what is damaged, without.
    static string Salvage(DuckDBConnection connection, string damaged)
    {
        if (!TryAttach(connection, damaged, out var reason))
        {
            if (!File.Exists(damaged + ".wal"))
                return $"Nothing could be saved from it ({Line(reason)})";
            File.Move(damaged + ".wal", damaged + ".wal.damaged", overwrite: true);
            if (!TryAttach(connection, damaged, out reason))
                return $"Nothing could be saved from it ({Line(reason)})";
        }

        try
        {
            return SaveTables(connection);
        }
        finally
        {
            Execute(connection, "DETACH damaged");
        }
    }

    static bool TryAttach(DuckDBConnection connection, string file, out string reason)
    {
        reason = "";
        try
        {
            Execute(connection, $"ATTACH '{file.Replace("'", "''", StringComparison.Ordinal)}' AS damaged (READ_ONLY)");
            return true;
        }
        catch (DuckDBException e)
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
        if (!TrySave(connection, "store", "UPDATE store SET commits = d.commits, last_id = d.last_id FROM damaged.store d"))
            TrySave(connection, "store", "UPDATE store SET last_id = (SELECT coalesce(max(id), 0) FROM series)");
        TrySave(connection, "hours", "INSERT INTO hours SELECT * FROM damaged.hours");
        foreach (var table in Tables(connection, "damaged").Where(t => t == "late" || t.StartsWith("hot_", StringComparison.Ordinal)))
        {
            if (!TrySave(connection, table, $"CREATE TABLE IF NOT EXISTS {table} (series UINTEGER, time TIMESTAMP_MS, value DOUBLE); INSERT INTO {table} SELECT * FROM damaged.{table}"))
                lost.Add(table);
        }

        return lost.Count == 0 ? "All of its tables could be saved" : $"These tables could not be saved: {string.Join(", ", lost)}";
    }

    static bool TrySave(DuckDBConnection connection, string table, string sql)
    {
        try
        {
            Execute(connection, $"BEGIN; {sql}; COMMIT");
            return true;
        }
        catch (DuckDBException)
        {
            Execute(connection, "ROLLBACK");
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
            var columns = table is "late" || table.StartsWith("hot_", StringComparison.Ordinal) ? "bit_xor(series), max(time), sum(value)"
                : table is "series" ? "bit_xor(id), max(name), max(labels), max(last_hour)" : table is "hours" ? "max(hour), max(manifest)" : "count(*)";
            Execute(connection, $"SELECT {columns} FROM \"{table.Replace("\"", "\"\"", StringComparison.Ordinal)}\"");
        }
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
            $"DataSource={file};memory_limit={options.MemoryLimit};threads=1;temp_directory={System.IO.Path.Combine(options.Folder, "spill")}{also}");
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
