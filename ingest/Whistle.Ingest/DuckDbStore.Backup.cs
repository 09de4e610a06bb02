using System.Globalization;

using DuckDB.NET.Data;

namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    const string HotFile = "hot.duckdb";

    /// <summary>Copies all that is stored into an empty folder, while samples come in and hours are sealed.</summary>
    /// <remarks>
    /// <para>The hot database goes first, as of one moment. What was sealed at that moment is in a sealed file then and later: files are
    /// only ever replaced by ones that hold more, or deleted past retention. What is sealed in between is in both, as after a crash between
    /// the rename of a sealed file and the drop of its table, and whoever reads drops a time that it has seen.</para>
    /// <para>The files of one hour are copied under one lock, so they belong together.</para>
    /// </remarks>
    /// <param name="copied">Told each file once it is on the disk.</param>
    /// <exception cref="StoreException">The store does not answer, or a copy is not what was read.</exception>
    /// <exception cref="IOException">The folder takes nothing more.</exception>
    internal void CopyTo(string folder, Action<FileSum> copied, CancellationToken cancellation)
    {
        copied(CopyHot(folder));
        FileCopy.MakeFolder(Path.Combine(folder, "sealed"));
        foreach (var hour in Directory.EnumerateFiles(SealedFolder).Select(HourOf).Distinct().Order(StringComparer.Ordinal).ToList())
        {
            cancellation.ThrowIfCancellationRequested();
            Still(() =>
            {
                foreach (var file in Directory.EnumerateFiles(SealedFolder).Where(f => HourOf(f) == hour && !f.EndsWith(".tmp", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToList())
                    copied(FileCopy.Make(file, folder, Path.Combine("sealed", Path.GetFileName(file))));
            });
        }
    }

    /// <summary>Opens a copy that no server uses. Returns how many samples its hot database holds, and how many its sealed files.</summary>
    /// <exception cref="StoreException">A part of it cannot be opened.</exception>
    internal static (long Hot, long Sealed) Count(string folder, string memoryLimit = "128MB")
    {
        try
        {
            using var connection = new DuckDBConnection($"DataSource={Path.Combine(folder, HotFile)};access_mode=READ_ONLY;memory_limit={memoryLimit};threads=1");
            connection.Open();
            var hot = CountHot(connection, null);
            var parquet = 0L;
            foreach (var file in Directory.EnumerateFiles(Path.Combine(folder, "sealed"), "*.parquet").Order(StringComparer.Ordinal))
                parquet += Number(connection, $"SELECT count(*) FROM read_parquet({Quote(file)})") * (file.EndsWith(".samples.parquet", StringComparison.Ordinal) ? 1 : 0);
            return (hot, parquet);
        }
        catch (DuckDBException e)
        {
            throw new StoreException($"The telemetry in {folder} cannot be opened: {e.Message.TrimEnd()}", e);
        }
    }

    // Never read as a file: when this process closes any handle on it, the lock that keeps other processes out is gone.
    FileSum CopyHot(string folder)
    {
        var target = Path.Combine(folder, HotFile);
        Connected(connection =>
        {
            Execute(connection, $"ATTACH {Quote(target)} AS backup");
            try
            {
                // One transaction, so that all tables are of one moment.
                Execute(connection, "BEGIN");
                var samples = CountHot(connection, null);
                Execute(connection, $"COPY FROM DATABASE {Identifier(Text(connection, "SELECT current_database()"))} TO backup");
                Execute(connection, "COMMIT");
                if (CountHot(connection, "backup") is var count && count != samples)
                    throw new StoreException($"{count} of {samples} samples of the hot store came to {target}.");
            }
            finally
            {
                // A transaction that failed would hold it.
                Attempt(connection, "ROLLBACK");
                Attempt(connection, "DETACH backup");
            }
        });
        FileCopy.Settle(target);
        return FileCopy.Describe(folder, HotFile);
    }

    static long CountHot(DuckDBConnection connection, string? database)
    {
        var from = database is null ? "current_database()" : Quote(database);
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT table_name FROM duckdb_tables() WHERE database_name = {from} AND (table_name LIKE 'hot\\_%' ESCAPE '\\' OR table_name = '{LateTable}')";
        var tables = new List<string>();
        using (var reader = command.ExecuteReader())
        {
            while (reader.Read())
                tables.Add(reader.GetString(0));
        }

        return tables.Sum(t => Number(connection, $"SELECT count(*) FROM {(database is null ? "" : $"{Identifier(database)}.")}{Identifier(t)}"));
    }

    static string HourOf(string file) => Path.GetFileName(file).Split('.')[0];

    static string Identifier(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    static long Number(DuckDBConnection connection, string sql) => Convert.ToInt64(Scalar(connection, sql), CultureInfo.InvariantCulture);

    static string Text(DuckDBConnection connection, string sql) => (string)Scalar(connection, sql);

    static object Scalar(DuckDBConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar()!;
    }

    static void Attempt(DuckDBConnection connection, string sql)
    {
        try
        {
            Execute(connection, sql);
        }
        catch (DuckDBException)
        {
            // There is nothing to roll back, or the database is closed already.
        }
    }
}
