using Microsoft.Extensions.Logging;

using Whistle.Ingest.Heads;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Logs;

/// <summary>Limits and pace of the embedded log.</summary>
public sealed record TelemetryLogOptions
{
    /// <summary>How long the first of a group waits for others to share its commit. Real time, whatever clock the engine is on.</summary>
    public TimeSpan GroupCommit { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Samples that may wait for the store before senders are asked to retry.</summary>
    public int MaxPendingSamples { get; init; } = 1_000_000;

    /// <summary>Samples of one request: they wait in memory together. Prometheus sends 2,000.</summary>
    public int MaxSamplesPerRequest { get; init; } = 250_000;

    public TimeSpan MaxPast { get; init; } = TimeSpan.FromHours(24);

    public TimeSpan MaxFuture { get; init; } = TimeSpan.FromMinutes(10);

    public LabelLimits LabelLimits { get; init; } = new();
}

/// <summary>When <see cref="TelemetryLog.Fault"/> is called.</summary>
enum CommitMoment
{
    Staging,
    Storing,

    /// <summary>The store has the batch; the head does not.</summary>
    Publishing,
}

/// <summary>
/// The embedded telemetry log: an append completes when the store has committed the samples and the head holds them.
/// Requests are decoded on their own threads; one committer groups what waits into a transaction.
/// </summary>
/// <remarks>
/// What the server itself records is in the head even where the store does not take it: rules judge by the head, and nobody would send it
/// again. Whatever goes wrong with a batch, only that batch is refused.
/// </remarks>
public sealed class TelemetryLog : ITelemetryLog
{
    const string Component = "telemetry-store";

    // A group that is this large is committed at once; one transaction takes no more than the second.
    const int WorthwhileSamples = 4_096;
    const int GroupSamples = 65_536;

    // A larger request becomes durable in parts, so that others' come in between. What the server records stays whole: rules read it.
    const int PartSamples = 2_048;

    // A series that the store does not have yet costs it as much as so many samples.
    const int NewSeriesSamples = 32;

    static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    readonly TelemetryLogOptions _options;
    readonly Head _head;
    readonly ITelemetryStore _store;
    readonly IngestMetrics _metrics;
    readonly HealthBoard _health;
    readonly TimeProvider _time;
    readonly ILogger<TelemetryLog> _logger;
    readonly FairQueue _queue = new();
    readonly SeriesResolver _resolver;
    readonly FairBudgets _pending;
    readonly ByteBudget _recorded = new(long.MaxValue, "");
    readonly CommitBatch _batch = new();
    // Held while samples go from the batch into the head, and while the head is pruned.
    readonly Lock _committing = new();
    int _pendingSamples;
    long _failedAt;
    volatile bool _failed;
    // What the head has is not yet in a store that replaced a damaged one.
    bool _mustRefill;
    volatile string? _refusal;
    bool _isUnpublished;

    internal TelemetryLog(
        TelemetryLogOptions options, MemoryOptions memory, Head head, ITelemetryStore store, IngestMetrics metrics, HealthBoard health,
        TimeProvider time, ILogger<TelemetryLog> logger)
    {
        (_options, _head, _store, _metrics, _health, _time, _logger) = (options, head, store, metrics, health, time, logger);
        _resolver = new(head, options, time);
        _pending = new(memory.PendingSamples, "The samples that wait for the store", "tenant");
    }

    /// <summary>Called within every commit; what it throws is as if it had happened there.</summary>
    internal Action<CommitMoment>? Fault { get; set; }

    /// <summary>Bytes that wait for the store.</summary>
    internal long PendingBytes => _pending.Held;

    /// <summary>The store took nothing when it was last tried.</summary>
    internal bool IsFailing => _failed || _refusal is not null;

    /// <summary>Nothing goes to the store, for this reason, until it is called with null.</summary>
    public void Refuse(string? reason) => _refusal = reason;

    Task<AppendResult> ITelemetryLog.AppendAsync(Sender sender, ReceivedWrite write) => AppendAsync(sender, write.Version, write.Message);

    /// <summary>Decodes the request, resolves its series, and waits until its samples are durable.</summary>
    /// <exception cref="RemoteWriteException">The body can never be taken.</exception>
    /// <exception cref="StoreException">The samples are not known to be durable; send them again.</exception>
    /// <exception cref="BusyException">There is no memory for them now; likewise.</exception>
    public Task<AppendResult> AppendAsync(Sender sender, RemoteWriteVersion version, ReadOnlySpan<byte> body)
    {
        ThrowIfFull(sender.Tenant);
        return AppendAsync(sender, version, body, WriteOrigin.Sender, null);
    }

    /// <summary>
    /// Takes what a log keeps, in the log's order: into the head at once, and into the store unless the result says otherwise.
    /// </summary>
    /// <param name="isReplay">It was taken before, and the store did not get it: an error of the store is one of this call.</param>
    /// <exception cref="RemoteWriteException">The body can never be taken.</exception>
    /// <exception cref="StoreException">It was not taken.</exception>
    /// <exception cref="BusyException">There is no memory for it now.</exception>
    internal Task<AppendResult> TakeAsync(
        Sender sender, RemoteWriteVersion version, ReadOnlySpan<byte> body, DateTimeOffset receivedAt, bool isReplay = false) =>
        AppendAsync(sender, version, body, isReplay ? WriteOrigin.Replay : WriteOrigin.Log, receivedAt);

    Task<AppendResult> AppendAsync(
        Sender sender, RemoteWriteVersion version, ReadOnlySpan<byte> body, WriteOrigin origin, DateTimeOffset? receivedAt)
    {
        var write = new StagedWrite(sender.Tenant, origin, _options.MaxSamplesPerRequest, _pending.Open(sender.Tenant));
        try
        {
            _metrics.Histograms.Inc(_resolver.Decode(sender, version, body, write, receivedAt));
            _metrics.Renamed.Inc(write.Renamed);
        }
        catch
        {
            write.Dispose();
            throw;
        }

        return EnqueueAsync(write);
    }

    /// <summary>
    /// Appends what the server itself records; the labels are taken as they are. Once it completes the head has them, and the store unless
    /// it takes nothing now.
    /// </summary>
    public Task<AppendResult> RecordAsync(IReadOnlyList<RecordedSample> samples)
    {
        var write = new StagedWrite("", WriteOrigin.Server, int.MaxValue, _recorded.Open());
        _resolver.Add(samples, write);
        return EnqueueAsync(write);
    }

    /// <summary>Commits until it is stopped, and then what was accepted before.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        await using var _ = stopping.Register(() => _queue.Complete());
        try
        {
            while (await _queue.WaitToReadAsync(CancellationToken.None))
                await CommitGroupAsync(stopping);
        }
        catch (Exception e)
        {
            _health.Report(Component, "log", HealthState.Failed, $"The telemetry log stopped: {e.Message} Restart the server.");
            _logger.LogStopped(e);
            _queue.Complete();
            while (_queue.TryRead(out var write))
                write.Fail(new StoreException("The telemetry log stopped.", e));
            throw;
        }
    }

    /// <summary>Drops from the head what fell out of its window. Runs between two commits.</summary>
    public void Prune()
    {
        foreach (var part in _head.Parts())
        {
            lock (_committing)
                _head.Prune(part);
        }

        _head.ForgetTexts();
        _metrics.HeadSeries.Set(_head.SeriesCount);
    }

    /// <summary>Drops series from the head, whatever they have. Runs between two commits.</summary>
    internal void Evict(Func<HeadSeries, bool> which)
    {
        foreach (var part in _head.Parts())
        {
            lock (_committing)
                _head.Evict([.. part.Where(which)]);
        }

        _head.ForgetTexts();
        _metrics.HeadSeries.Set(_head.SeriesCount);
    }

    // While the store fails, one group a second tries it; opening it again for each would leave no time for queries.
    string? WhyNot() => _refusal
        ?? (_failed && TimeProvider.System.GetElapsedTime(Volatile.Read(ref _failedAt)) < RetryPause
            ? "The store accepts no samples; see the server's log." : null);

    void ThrowIfFull(string tenant)
    {
        if (WhyNot() is { } reason)
            throw new StoreException(reason);
        if (Volatile.Read(ref _pendingSamples) >= _options.MaxPendingSamples)
            throw new StoreException($"{_pendingSamples} samples wait for the store, which cannot keep up.");
        // One alone must not use up what there is for all.
        if (_queue.Samples(tenant) is var ofTenant && ofTenant >= _options.MaxPendingSamples / 4 * 3)
            throw new StoreException($"{ofTenant} samples of this tenant wait for the store.");
    }

    async Task<AppendResult> EnqueueAsync(StagedWrite write)
    {
        using var _ = write;
        foreach (var (reason, count) in write.Refusals)
            _metrics.Dropped.WithLabels(reason).Inc(count);
        if (write.Count == 0)
            return write.Result();
        var parts = write.Parts(write.Origin == WriteOrigin.Server ? int.MaxValue : PartSamples);
        foreach (var part in parts)
            Enqueue(part);
        await Task.WhenAll(parts.Select(p => p.Completion.Task));
        write.IsUnstored = parts.Any(p => p.IsUnstored);
        return write.Result();
    }

    void Enqueue(StagedWrite part)
    {
        Interlocked.Add(ref _pendingSamples, part.Count);
        if (_queue.TryWrite(part))
            return;
        Interlocked.Add(ref _pendingSamples, -part.Count);
        throw new StoreException("The server is stopping.");
    }

    async Task CommitGroupAsync(CancellationToken stopping)
    {
        var group = new List<StagedWrite>();
        try
        {
            var samples = Take(group);
            if (_options.GroupCommit > TimeSpan.Zero && samples < WorthwhileSamples)
                await GatherAsync(group, samples, stopping);
            lock (_committing)
                Commit(group);
        }
        catch (Exception e)
        {
            // Most likely out of memory. The senders send it again, and the log continues.
            _logger.CommitFailed(e);
            var reason = new StoreException("The batch could not be committed; the server's log says why.", e);
            group.ForEach(write => write.Fail(reason));
        }
        finally
        {
            foreach (var write in group)
            {
                Interlocked.Add(ref _pendingSamples, -write.Count);
                write.Dispose();
            }
        }
    }

    // A transaction has its price whatever is in it, so a small group waits a little for company; a large one does not.
    async Task GatherAsync(List<StagedWrite> group, int samples, CancellationToken stopping)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(_options.GroupCommit);
        try
        {
            while (samples < WorthwhileSamples && await _queue.WaitToReadAsync(limit.Token))
                samples += Take(group);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
        }
    }

    int Take(List<StagedWrite> group)
    {
        var (samples, cost) = (0, 0);
        // What is read must be in the group, or its sender would wait forever.
        while (cost < GroupSamples && group.EnsureCapacity(group.Count + 1) > 0 && _queue.TryRead(out var write))
        {
            group.Add(write);
            samples += write.Count;
            cost += Cost(write);
        }

        return samples;
    }

    // The group that runs is what everybody else's next write waits for.
    static int Cost(StagedWrite write)
    {
        var cost = write.Count;
        foreach (var series in write.Series.AsSpan(0, write.Count))
        {
            if (!series.Persisted)
                cost += NewSeriesSamples;
        }

        return cost;
    }

    void Commit(List<StagedWrite> group)
    {
        // What the store has and the head could not take then comes before all else.
        if (_isUnpublished)
            Publish();
        if (WhyNot() is { } reason)
        {
            Refuse(group, new StoreException(reason));
            return;
        }

        if (!TryStore(group))
            return;
        if (_failed)
            _logger.StoreRecovered();
        _failed = false;
        _health.Clear(Component, "");
        Publish();
        group.ForEach(write => write.Complete());
    }

    bool TryStore(List<StagedWrite> group)
    {
        _batch.Clear();
        try
        {
            if (_store.IsSuspect || _mustRefill)
                Reopen();
            Fault?.Invoke(CommitMoment.Staging);
            foreach (var write in group)
                Stage(write);
            if (_batch.Count > 0)
                Store();
            return _isUnpublished = true;
        }
        catch (Exception e)
        {
            Unstage();
            _metrics.StoreFailures.WithLabels("append").Inc();
            if (!_failed)
                _logger.BatchFailed(_batch.Count, e.Message);
            (_failedAt, _failed) = (TimeProvider.System.GetTimestamp(), true);
            _health.Failing(Component, "", $"The store accepts no samples, and senders are asked to retry: {e.Message}");
            // What it says names files, which are the operator's business and not the senders'.
            Refuse(group, new StoreException("The store took none of the batch; the server's health says why.", e));
            return false;
        }
    }

    void Refuse(List<StagedWrite> group, StoreException reason)
    {
        foreach (var write in group)
        {
            if (write.Origin is WriteOrigin.Server or WriteOrigin.Log)
                PublishAlone(write);
            else
                write.Fail(reason);
        }
    }

    void PublishAlone(StagedWrite write)
    {
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        for (var i = 0; i < write.Count; i++)
        {
            var series = write.Series[i].Evicted ? _head.Revive(write.Series[i]) : write.Series[i];
            series.Append(write.Times[i], write.Values[i]);
            series.StagedTime = Math.Max(series.StagedTime, series.LastTime);
            series.HeardAt = now;
        }

        write.IsUnstored = true;
        if (write.Origin == WriteOrigin.Server)
            _metrics.Unstored.Inc(write.Count);
        write.Complete();
    }

    // What its series already holds is left out: a sender that got no answer sends again.
    void Stage(StagedWrite write)
    {
        for (var i = 0; i < write.Count; i++)
        {
            var series = write.Series[i].Evicted ? _head.Revive(write.Series[i]) : write.Series[i];
            var at = write.Times[i];
            var late = at <= series.StagedTime;
            if (late && (at == series.StagedTime || series.Contains(at)))
            {
                // The head had it from the log; the store did not. A second value for that time is left out as ever.
                if (write.Origin == WriteOrigin.Replay && series.Holds(at, write.Values[i]))
                {
                    StageOne(series, at, write.Values[i], late: true);
                    continue;
                }

                if (series.IsProof)
                    continue;
                write.Duplicates++;
                _metrics.Dropped.WithLabels("duplicate").Inc();
                continue;
            }

            StageOne(series, at, write.Values[i], late);
            if (late)
                _metrics.Late.Inc();
            else
                series.StagedTime = at;
        }
    }

    void StageOne(HeadSeries series, long at, double value, bool late)
    {
        if (!series.Persisted)
        {
            // In this order: a series that is thought to be stored and is not would lose its labels.
            _batch.NewSeries.Add(series);
            series.Persisted = true;
        }

        _batch.Add(series, at, value, late);
    }

    void Store()
    {
        using var timer = Prometheus.TimerExtensions.NewTimer(_metrics.CommitSeconds);
        var number = _store.NextCommit;
        try
        {
            Fault?.Invoke(CommitMoment.Storing);
            _store.Append(_batch);
        }
        catch (Exception)
        {
            // Whatever it was, a transaction may be open.
            if (Reopen() < number)
                throw;
        }
    }

    /// <returns>The number of the last commit that the store holds: whether the batch that failed is durable after all.</returns>
    long Reopen()
    {
        var recovery = _store.Recover();
        _mustRefill |= recovery.IsReplaced;
        if (_mustRefill)
            Refill();
        _mustRefill = false;
        return recovery.IsReplaced ? 0 : recovery.Commits;
    }

    // The hot store was damaged and is a new one: what the head has of hours that are not sealed is written to it again. As late samples,
    // since it may have some of them, and those are compared with it when their hour is sealed.
    void Refill()
    {
        var (batch, samples, sealedUntil) = (new CommitBatch(), 0L, _store.SealedUntil);
        foreach (var series in _head.Parts().SelectMany(part => part))
        {
            series.Persisted = false;
            if (series.Read(sealedUntil, long.MaxValue) is not { } recent)
                continue;
            batch.NewSeries.Add(series);
            for (var i = 0; i < recent.Times.Length; i++)
                batch.Add(series, recent.Times[i], recent.Values[i], late: true);
            if (batch.Count >= GroupSamples)
                Flush();
        }

        Flush();
        _logger.HotStoreRefilled(samples);

        void Flush()
        {
            if (batch.Count > 0)
                _store.Append(batch);
            batch.NewSeries.ForEach(s => s.Persisted = true);
            samples += batch.Count;
            batch.Clear();
        }
    }

    void Unstage()
    {
        foreach (var series in _batch.NewSeries)
            series.Persisted = false;
        for (var i = _batch.Count - 1; i >= 0; i--)
            _batch.Series[i].StagedTime = _batch.StagedBefore[i];
    }

    void Publish()
    {
        // Done again from the start where it was interrupted: what a series has is not added twice.
        Fault?.Invoke(CommitMoment.Publishing);
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        for (var i = 0; i < _batch.Count; i++)
        {
            _batch.Series[i].Append(_batch.Times[i], _batch.Values[i]);
            _batch.Series[i].HeardAt = now;
        }

        _isUnpublished = false;
        _metrics.Samples.Inc(_batch.Count);
    }
}
