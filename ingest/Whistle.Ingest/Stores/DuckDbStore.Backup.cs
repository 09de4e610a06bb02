using System.Globalization;

using DuckDB.NET.Data;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

public sealed partial class DuckDbStore
{
    /// <summary>The file beside the hot store that says how far it was committed.</summary>
    public const string CommitsFile = CommitMark.FileName;

    const string CopyName = "backup";

    /// <summary>
    /// Copies all that is stored into an empty folder, while samples come in and hours are sealed. What is damaged is set aside first.
    /// </summary>
    /// <remarks>
    /// <para>The hot database goes first, as of one moment. What was sealed at that moment is in a sealed file then and later: an hour is
    /// only ever replaced by a generation that holds more, or that lacks what is past retention, or deleted. What is sealed in between is
    /// in both, as after a crash between the renaming of a sealed file and the drop of its table, and whoever reads drops a time that it
    /// has seen.</para>
    /// <para>The files of one hour are copied under one lock, so they belong together. What the copy's catalogue knows of hours that went
    /// while it was made is taken out of it, and its mark is that of its own last commit, not of the store's.</para>
    /// </remarks>
    /// <param name="copied">Called with each file once it is on the disk.</param>
    /// <exception cref="StoreException">The store does not answer, or a copy is not what was read.</exception>
    /// <exception cref="IOException">The folder takes nothing more.</exception>
    public void CopyTo(string folder, Action<FileSum> copied, CancellationToken cancellation)
    {
        ProveAll();
        CopyHotTo(folder);
        FileCopy.MakeFolder(Path.Combine(folder, "sealed"));
        foreach (var hour in SealedHours())
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (var file in CopyHour(folder, hour.Hour))
                copied(file);
        }

        Settle(folder);
        foreach (var name in (string[])[HotFile.Name, CommitMark.FileName])
        {
            FileCopy.Settle(Path.Combine(folder, name));
            copied(FileCopy.Describe(folder, name));
        }
    }

    /// <summary>Opens a copy that no server uses. Returns how many samples its hot database holds, and how many its sealed files.</summary>
    /// <exception cref="StoreException">A part of it cannot be opened.</exception>
    public static (long Hot, long Sealed) Count(string folder, string memoryLimit = "128MB")
    {
        try
        {
            using var connection = new DuckDBConnection(
                $"DataSource={Path.Combine(folder, HotFile.Name)};access_mode=READ_ONLY;memory_limit={memoryLimit};threads=1");
            connection.Open();
            var hot = CountHot(connection, null);
            var parquet = 0L;
            foreach (var file in Directory.EnumerateFiles(Path.Combine(folder, "sealed"), "*.parquet").Order(StringComparer.Ordinal))
                parquet += Number(connection, $"SELECT count(*) FROM read_parquet({Quote(file)})")
                    * (file.EndsWith(".samples.parquet", StringComparison.Ordinal) ? 1 : 0);
            return (hot, parquet);
        }
        catch (DuckDBException e)
        {
            throw new StoreException($"The telemetry in {folder} cannot be opened: {e.Message.TrimEnd()}", e);
        }
    }

    // Never read as a file: when this process closes any handle on it, the lock that keeps other processes out is gone.
    void CopyHotTo(string folder) => WithCopy(folder, connection =>
    {
        // One transaction, so that all tables are of one moment.
        HotFile.Execute(connection, "BEGIN");
        var samples = CountHot(connection, null);
        HotFile.Execute(connection, $"COPY FROM DATABASE {Identifier(Text(connection, "SELECT current_database()"))} TO {CopyName}");
        HotFile.Execute(connection, "COMMIT");
        if (CountHot(connection, CopyName) is var count && count != samples)
            throw new StoreException($"{count} of {samples} samples of the hot store were copied to {folder}.");
    });

    // Only what the hour is made of: files of a generation that was replaced lie beside it until whoever replaced it has deleted them.
    List<FileSum> CopyHour(string folder, long hour)
    {
        _layout.EnterReadLock();
        try
        {
            return _sealed.Find(hour) is not { } known ? [] : [.. known.Files.Select(f => f.Name).Prepend(known.ManifestName).Select(
                n => FileCopy.Make(_sealed.PathOf(n), folder, Path.Combine("sealed", n)))];
        }
        finally
        {
            _layout.ExitReadLock();
        }
    }

    void Settle(string folder) => WithCopy(folder, connection =>
    {
        HotFile.Execute(connection, $"DELETE FROM {CopyName}.hours WHERE hour NOT IN (SELECT hour FROM hours)");
        using var mark = new CommitMark(Path.Combine(folder, CommitMark.FileName));
        mark.Write(Number(connection, $"SELECT commits FROM {CopyName}.store"));
    });

    void WithCopy(string folder, Action<DuckDBConnection> work) => Connected(connection =>
    {
        HotFile.Execute(connection, $"ATTACH {Quote(Path.Combine(folder, HotFile.Name))} AS {CopyName}");
        try
        {
            work(connection);
        }
        finally
        {
            // A transaction that failed would hold it.
            Attempt(connection, "ROLLBACK");
            Attempt(connection, $"DETACH {CopyName}");
        }
    });

    static long CountHot(DuckDBConnection connection, string? database) => HotFile.Tables(connection, database)
        .Where(t => t == LateTable || t.StartsWith(HotPrefix, StringComparison.Ordinal))
        .Sum(t => Number(connection, $"SELECT count(*) FROM {(database is null ? "" : $"{database}.")}{Identifier(t)}"));

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
            HotFile.Execute(connection, sql);
        }
        catch (DuckDBException)
        {
            // There is nothing to roll back, or the database is closed already.
        }
    }
}
