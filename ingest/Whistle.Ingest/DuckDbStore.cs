using System.Globalization;

using DuckDB.NET.Data;

namespace Whistle.Ingest;

/// <summary>Where and how much the embedded store keeps.</summary>
public sealed record StoreOptions(string Folder, TimeSpan Retention, string MemoryLimit = "128MB");

/// <summary>
/// The embedded time-series store. Samples arrive in one hot DuckDB table an hour; a finished hour is sealed into a
/// Parquet file sorted by (series, time); late samples wait in a table of their own until their hour is sealed (again).
/// </summary>
/// <remarks>
/// <para>Within the hot tables and a sealed file no (series, time) comes twice: the committer sends only what is newer than
/// all that a series has to <c>hot_…</c>, the rest to <c>late</c>. A crash between the rename of a sealed file and the drop of its
/// table leaves both, so whoever reads drops a time it has seen.</para>
/// <para>One thread appends; sealing and reading run beside it on connections of their own.</para>
/// </remarks>
public sealed partial class DuckDbStore : IDisposable
{
    public const long Hour = 3_600_000;

    readonly StoreOptions _options;
    readonly TimeProvider _time;
    // Readers share it; renaming a sealed file and dropping its table, and reopening, exclude them.
    readonly ReaderWriterLockSlim _layout = new(LockRecursionPolicy.SupportsRecursion);
    // Held while a batch is written, and while sealing decides which hours are closed.
    readonly Lock _appending = new();
    readonly SortedSet<long> _hot = [];
    readonly SortedSet<long> _sealed = [];
    DuckDBConnection _connection;
    long _openFrom = long.MinValue;

    /// <exception cref="StoreException">The database cannot be opened.</exception>
    public DuckDbStore(StoreOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        Directory.CreateDirectory(SealedFolder);
        try
        {
            _connection = Open();
            ReadLayout();
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            _connection?.Dispose();
            throw CannotOpen(e);
        }
    }

    public TimeSpan Retention => _options.Retention;

    StoreException CannotOpen(Exception e) => new($"The store in {_options.Folder} cannot be opened: {e.Message.TrimEnd()}", e);

    string SealedFolder => Path.Combine(_options.Folder, "sealed");

    public void Dispose()
    {
        _connection.Dispose();
        _layout.Dispose();
    }

    /// <summary>Writes the batch in one transaction: when this returns, it survives the loss of the process.</summary>
    /// <exception cref="StoreException">Nothing was written, or it is not known; see <see cref="Recover"/>.</exception>
    internal void Append(CommitBatch batch)
    {
        lock (_appending)
        {
            var (appenders, created) = (new Dictionary<long, SampleAppender>(), new List<long>());
            try
            {
                Execute("BEGIN");
                AppendSeries(batch);
                AppendSamples(batch, appenders, created);
                foreach (var appender in appenders.Values)
                    appender.Flush();
                Execute("COMMIT");
            }
            catch (Exception e) when (e is DuckDBException or StoreException or InvalidOperationException)
            {
                // InvalidOperation: the connection is closed, since the store did not recover from the failure before.
                _hot.ExceptWith(created);
                throw new StoreException($"The store in {_options.Folder} did not take a batch of {batch.Count} samples: {e.Message.TrimEnd()}", e);
            }
            finally
            {
                foreach (var appender in appenders.Values)
                    appender.Dispose();
            }
        }
    }

    /// <summary>
    /// Opens the database anew after a failure: DuckDB refuses everything after an I/O error until it is opened again.
    /// True where the failed batch turns out to be durable after all.
    /// </summary>
    /// <exception cref="StoreException">It cannot be opened (yet).</exception>
    internal bool Recover(CommitBatch failed)
    {
        _layout.EnterWriteLock();
        try
        {
            lock (_appending)
            {
                _connection.Dispose();
                _connection = Open();
                ReadLayout();
            }
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            // Nothing is appended before the layout is known.
            _connection.Dispose();
            throw CannotOpen(e);
        }
        finally
        {
            _layout.ExitWriteLock();
        }

        return failed.Count > 0 && HoldsAll(failed);
    }

    // One sample does not tell for all, though a transaction is all or nothing: a sample that was sent again may be there from before.
    bool HoldsAll(CommitBatch batch)
    {
        var (missing, ids, last) = (new HashSet<(uint, long)>(), new HashSet<uint>(), long.MinValue);
        for (var i = 0; i < batch.Count; i++)
        {
            missing.Add((batch.Series[i].Id, batch.Times[i]));
            ids.Add(batch.Series[i].Id);
            last = Math.Max(last, batch.Times[i]);
        }

        Read(ids, batch.MinTime, last, (series, time, _) => missing.Remove((series, time)));
        return missing.Count == 0;
    }

    void AppendSeries(CommitBatch batch)
    {
        if (batch.NewSeries.Count == 0)
            return;
        using var appender = _connection.CreateAppender("series");
        foreach (var series in batch.NewSeries)
        {
            appender.CreateRow().AppendValue(series.Id).AppendValue(series.Labels.Name).AppendValue(LabelsJson.Write(series.Labels))
                .AppendValue(batch.MinTime / Hour).EndRow();
        }
    }

    void AppendSamples(CommitBatch batch, Dictionary<long, SampleAppender> appenders, List<long> created)
    {
        var (from, until, current) = (0L, 0L, default(SampleAppender));
        for (var i = 0; i < batch.Count; i++)
        {
            var time = batch.Times[i];
            if (batch.Late[i])
            {
                Appender(LateKey).Append(batch.Series[i].Id, time, batch.Values[i]);
                continue;
            }

            if (current is null || time < from || time >= until)
            {
                var hour = FloorHour(time);
                (from, until) = (hour * Hour, (hour + 1) * Hour);
                current = Appender(hour < _openFrom ? LateKey : hour);
            }

            current.Append(batch.Series[i].Id, time, batch.Values[i]);
        }

        SampleAppender Appender(long key)
        {
            if (appenders.TryGetValue(key, out var appender))
                return appender;
            if (key != LateKey && _hot.Add(key))
            {
                created.Add(key);
                Execute($"CREATE TABLE IF NOT EXISTS {HotTable(key)} (series UINTEGER, time TIMESTAMP_MS, value DOUBLE)");
            }

            return appenders[key] = new SampleAppender(_connection, key == LateKey ? LateTable : HotTable(key));
        }
    }

    const long LateKey = long.MinValue;
    const string LateTable = "late";

    static long FloorHour(long time) => time >= 0 ? time / Hour : (time - Hour + 1) / Hour;

    static string HotTable(long hour) => $"hot_{hour}";

    string SealedFile(long hour) => Path.Combine(SealedFolder, $"{HourName(hour)}.samples.parquet");

    string SealedSeriesFile(long hour) => Path.Combine(SealedFolder, $"{HourName(hour)}.series.parquet");

    static string HourName(long hour) =>
        DateTimeOffset.FromUnixTimeMilliseconds(hour * Hour).ToString("yyyy-MM-dd'T'HH'Z'", CultureInfo.InvariantCulture);

    // Connections of one process to one file share the database.
    DuckDBConnection Connect()
    {
        var connection = new DuckDBConnection(
            $"DataSource={Path.Combine(_options.Folder, "hot.duckdb")};memory_limit={_options.MemoryLimit};threads=1;temp_directory={Path.Combine(_options.Folder, "spill")}");
        connection.Open();
        return connection;
    }

    // A connection that is left open keeps the database open, and one that has failed is refused until the last is closed.
    DuckDBConnection Open()
    {
        var connection = Connect();
        try
        {
            Execute(connection, "CREATE TABLE IF NOT EXISTS series (id UINTEGER, name VARCHAR, labels VARCHAR, last_hour BIGINT)");
            Execute(connection, "CREATE TABLE IF NOT EXISTS late (series UINTEGER, time TIMESTAMP_MS, value DOUBLE)");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    void ReadLayout()
    {
        // Both are replaced at the end, so that a failure leaves them whole.
        var (hot, parquet) = (new List<long>(), new List<long>());
        foreach (var left in Directory.EnumerateFiles(SealedFolder, "*.tmp"))
            File.Delete(left);
        foreach (var file in Directory.EnumerateFiles(SealedFolder, "*.samples.parquet"))
        {
            var name = Path.GetFileName(file).Split('.')[0];
            // A file of another name is somebody else's.
            if (DateTimeOffset.TryParseExact(name, "yyyy-MM-dd'T'HH'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var hour))
                parquet.Add(hour.ToUnixTimeMilliseconds() / Hour);
        }

        using var command = _connection.CreateCommand();
        command.CommandText = "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'hot\\_%' ESCAPE '\\'";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            hot.Add(long.Parse(reader.GetString(0)["hot_".Length..], CultureInfo.InvariantCulture));
        Replace(_hot, hot);
        Replace(_sealed, parquet);
        // A hot table of a sealed hour is what a crash left of sealing it; nothing may be added there.
        if (_sealed.Count > 0)
            _openFrom = Math.Max(_openFrom, _sealed.Max + 1);
    }

    static void Replace(SortedSet<long> hours, List<long> with)
    {
        hours.Clear();
        hours.UnionWith(with);
    }

    void Execute(string sql) => Execute(_connection, sql);

    static void Execute(DuckDBConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
