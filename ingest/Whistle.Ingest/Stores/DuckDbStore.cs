using System.Globalization;

using DuckDB.NET.Data;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Stores;

/// <summary>Where and how much the embedded store keeps.</summary>
public sealed record StoreOptions(string Folder, TimeSpan Retention, string MemoryLimit = "128MB")
{
    /// <summary>There was telemetry in the folder before: where there is none now, it was lost.</summary>
    public bool HasHistory { get; init; }
}

/// <summary>When <see cref="DuckDbStore.Fault"/> is called.</summary>
enum StoreMoment
{
    BeforeCommit,

    /// <summary>The batch is durable; nobody knows yet.</summary>
    AfterCommit,
}

/// <summary>
/// The embedded time-series store. Samples arrive in one hot DuckDB table an hour; a finished hour is sealed into Parquet files sorted by
/// (series, time); late samples wait in a table of their own until their hour is sealed (again).
/// </summary>
/// <remarks>
/// <para>A series is its labels. An id stands for them within one file only: the hot file's <c>series</c> table for its own tables, an
/// hour's series file for its samples file. So no file, lost or old, can give samples to another series.</para>
/// <para>Within the hot tables and a sealed file no (series, time) comes twice: the committer sends only what is newer than
/// all that a series has to <c>hot_…</c>, the rest to <c>late</c>. A crash between the renaming of a sealed file and the drop of its
/// table leaves both, so whoever reads drops a time it has seen.</para>
/// <para>One thread appends; sealing and reading run beside it on connections of their own.</para>
/// </remarks>
public sealed partial class DuckDbStore : ITelemetryStore, IDisposable
{
    public const long Hour = 3_600_000;

    readonly StoreOptions _options;
    readonly TimeProvider _time;
    readonly HealthBoard? _health;
    readonly ILogger? _logger;
    readonly HotFile _hotFile;
    readonly SetAside _setAside;
    readonly CommitMark _mark;
    // Readers share it; renaming a sealed file and dropping its table, setting files aside, and reopening, exclude them.
    readonly ReaderWriterLockSlim _layout = new(LockRecursionPolicy.SupportsRecursion);
    // Held while a batch is written, and while sealing decides which hours are closed.
    readonly Lock _appending = new();
    // Connections of one process share one open database: it is opened again only while sealing has none.
    readonly Lock _maintaining = new();
    readonly SortedSet<long> _hot = [];
    readonly SealedFolder _sealed;
    DuckDBConnection _connection;
    long _openFrom = long.MinValue;
    long _commits;
    volatile bool _isSuspect;

    /// <exception cref="StoreException">The database cannot be opened, or is of a newer program.</exception>
    public DuckDbStore(StoreOptions options, TimeProvider time, HealthBoard? health = null, ILogger<DuckDbStore>? logger = null)
    {
        (_options, _time, _health, _logger) = (options, time, health, logger);
        Directory.CreateDirectory(SealedFolder);
        _setAside = new SetAside(Path.Combine(options.Folder, SetAside.FolderName), health, logger, time);
        _hotFile = new HotFile(options, _setAside, time, logger);
        _mark = new CommitMark(Path.Combine(options.Folder, CommitMark.FileName));
        _sealed = new SealedFolder(SealedFolder);
        try
        {
            _setAside.Load();
            if (options.HasHistory && !File.Exists(FormatFile) && !_hotFile.Exists
                && !Directory.EnumerateFileSystemEntries(SealedFolder).Any())
                _setAside.Add(
                    "telemetry",
                    $"There was no telemetry in {options.Folder} when the server started, although its state is older: "
                    + "everything before that is missing. Is its disk mounted?",
                    0, time.GetUtcNow().ToUnixTimeMilliseconds());
            var isLegacy = CheckFormat();
            _connection = _hotFile.Open(out var isReplaced);
            ReadLayout(isLegacy, isReplaced);
            WriteFormat();
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            _connection?.Dispose();
            throw CannotOpen(e);
        }
        catch (StoreException)
        {
            _connection?.Dispose();
            throw;
        }
    }

    public TimeSpan Retention => _options.Retention;

    /// <summary>Called around each commit. What it throws goes the way of a failure there.</summary>
    internal Action<StoreMoment>? Fault { get; set; }

    /// <summary>
    /// What it reads of the hot store is damaged, or the file is no longer there: it should be opened again (<see cref="Recover"/>).
    /// </summary>
    public bool IsSuspect => _isSuspect;

    /// <summary>The highest id given so far in the hot file; a new series must get a higher one.</summary>
    public uint LastSeriesId { get; private set; }

    /// <summary>The number that the next batch has where it becomes durable.</summary>
    public long NextCommit => _commits + 1;

    /// <summary>What is older was sealed, in milliseconds since 1970 UTC.</summary>
    public long SealedUntil
    {
        get
        {
            _layout.EnterReadLock();
            try
            {
                return _sealed.Last is { } last ? (last + 1) * Hour : long.MinValue;
            }
            finally
            {
                _layout.ExitReadLock();
            }
        }
    }

    StoreException CannotOpen(Exception e) => new($"The store in {_options.Folder} cannot be opened: {e.Message.TrimEnd()}", e);

    string SealedFolder => Path.Combine(_options.Folder, "sealed");

    public void Dispose()
    {
        _connection.Dispose();
        _mark.Dispose();
        _layout.Dispose();
    }

    /// <summary>Writes the batch in one transaction: when this returns, it survives the loss of the process.</summary>
    /// <exception cref="StoreException">Nothing was written, or it is not known; see <see cref="Recover"/>.</exception>
    internal void Append(CommitBatch batch)
    {
        lock (_appending)
        {
            var (appenders, created) = (new Dictionary<long, SampleAppender>(), new List<long>());
            var number = NextCommit;
            try
            {
                Execute("BEGIN");
                AppendSeries(batch);
                AppendSamples(batch, appenders, created);
                foreach (var appender in appenders.Values)
                    appender.Flush();
                Execute($"UPDATE store SET commits = {number}, last_id = "
                    + $"{Math.Max(LastSeriesId, batch.NewSeries.Select(s => s.Id).DefaultIfEmpty().Max())}");
                Fault?.Invoke(StoreMoment.BeforeCommit);
                Execute("COMMIT");
                Fault?.Invoke(StoreMoment.AfterCommit);
            }
            catch (Exception e) when (e is DuckDBException or StoreException or InvalidOperationException or OutOfMemoryException)
            {
                // InvalidOperation: the connection is closed, since the store did not recover from the failure before.
                _hot.ExceptWith(created);
                throw new StoreException(
                    $"The store in {_options.Folder} rejected a batch of {batch.Count} samples: {e.Message.TrimEnd()}", e);
            }
            finally
            {
                foreach (var appender in appenders.Values)
                    appender.Dispose();
            }

            LastSeriesId = Math.Max(LastSeriesId, batch.NewSeries.Select(s => s.Id).DefaultIfEmpty().Max());
            Committed(number);
        }
    }

    void ITelemetryStore.Append(CommitBatch batch) => Append(batch);

    Recovery ITelemetryStore.Recover() => Recover();

    void ITelemetryStore.Maintain(IReadOnlyDictionary<string, TimeSpan> own) => Maintain(own);

    void ITelemetryStore.Warn(long minTime, long maxTime) => Warn(minTime, maxTime);

    /// <summary>
    /// Opens the database again after a failure: DuckDB refuses everything after an I/O error until it is opened again.
    /// </summary>
    /// <exception cref="StoreException">It cannot be opened (yet).</exception>
    internal Recovery Recover()
    {
        lock (_maintaining)
            return Reopen();
    }

    Recovery Reopen()
    {
        _layout.EnterWriteLock();
        try
        {
            lock (_appending)
            {
                var before = _commits;
                _connection.Dispose();
                _connection = _hotFile.Open(out var isReplaced);
                var held = ReadLayout(isLegacy: false, isReplaced);
                _isSuspect = false;
                _health?.Clear(SetAside.Component, HotSubject);
                return new Recovery(held, isReplaced || held < before);
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
    }

    const string HotSubject = "hot-store";

    void Suspect(string reason)
    {
        _isSuspect = true;
        _health?.Report(SetAside.Component, HotSubject, HealthState.Degraded, $"The hot store in {_options.Folder} cannot be read whole: "
            + $"{reason} It is opened again with the next batch, and what is damaged is set aside.");
    }

    // The mark is a hint for the next start; what cannot be written makes it older, which does no harm.
    void Committed(long commits)
    {
        _commits = commits;
        try
        {
            _mark.Write(commits);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _logger?.MarkNotWritten(_options.Folder, e.Message);
        }
    }

    void AppendSeries(CommitBatch batch)
    {
        if (batch.NewSeries.Count == 0)
            return;
        var hour = FloorHour(_time.GetUtcNow().ToUnixTimeMilliseconds());
        using var appender = _connection.CreateAppender("series");
        foreach (var series in batch.NewSeries)
            appender.CreateRow().AppendValue(series.Id).AppendValue(series.Labels.Name).AppendValue(LabelsJson.Write(series.Labels))
                .AppendValue(hour).EndRow();
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
    const string HotPrefix = "hot_";

    static long FloorHour(long time) => time / Hour - (time % Hour < 0 ? 1 : 0);

    static string HotTable(long hour) => string.Create(CultureInfo.InvariantCulture, $"{HotPrefix}{hour}");

    void Execute(string sql) => HotFile.Execute(_connection, sql);
}
