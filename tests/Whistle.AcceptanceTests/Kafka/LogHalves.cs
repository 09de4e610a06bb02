using System.Buffers;

using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Kafka;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.AcceptanceTests.Kafka;

/// <summary>The gateway's half of the log, on a cluster and topics of a test's own.</summary>
sealed class WritingHalf : IDisposable
{
    readonly KafkaLog _log;

    public WritingHalf(KafkaOptions options)
    {
        var time = TimeProvider.System;
        Health = new HealthBoard(time);
        _log = new KafkaLog(
            options, new TelemetryLogOptions(), new MemoryOptions(), new IngestMetrics(Metrics.NewCustomRegistry()), Health, time,
            NullLogger<KafkaLog>.Instance);
    }

    public HealthBoard Health { get; }

    public async Task<AppendResult> SendAsync(ClusterId cluster, params TimeSeries[] series)
    {
        var message = new ArrayBufferWriter<byte>();
        RemoteWriteEncoder.EncodeV1(series, message);
        return await Send(new Sender(cluster, "n"), message.WrittenSpan);
    }

    Task<AppendResult> Send(Sender sender, ReadOnlySpan<byte> message)
    {
        using var body = RemoteWriteBody.Compress(message);
        return _log.AppendAsync(sender, new ReceivedWrite(RemoteWriteVersion.V1, body.Span, message));
    }

    public void Dispose() => _log.Dispose();
}

/// <summary>A process of the role <c>detect</c> without its rules: the group's member, store and head.</summary>
sealed class ReadingHalf : IAsyncDisposable
{
    readonly CancellationTokenSource _stopping = new();
    readonly Task _log;
    readonly Task _replay;
    readonly Task _reader;
    readonly DeadLetters _letters;

    public ReadingHalf(KafkaOptions options, ITelemetryStore store, int partitions, params ClusterId[] clusters)
    {
        var time = TimeProvider.System;
        var metrics = new IngestMetrics(Metrics.NewCustomRegistry());
        Health = new HealthBoard(time);
        Head = new Head(time, 100_000);
        Log = new TelemetryLog(
            new TelemetryLogOptions { GroupCommit = TimeSpan.FromMilliseconds(10) }, new MemoryOptions(), Head, store, metrics, Health,
            time, NullLogger<TelemetryLog>.Instance);
        int PartitionOf(ClusterId cluster) => Murmur2.PartitionOf(LogRecord.KeyOf(cluster), partitions);
        Own = OwnClusters.Of(PartitionOf);
        _letters = new DeadLetters(options, metrics, Health, time, NullLogger.Instance);
        var taker = new RecordTaker(Log, 64 << 20);
        var heads = new PartitionHead(
            Head, store, Log, Own, PartitionOf, _ => Task.FromResult<IReadOnlyCollection<ClusterId>>(clusters), Health, time,
            NullLogger.Instance);
        Reader = new KafkaReader(options, taker, heads, _letters, metrics, Health, NullLogger.Instance);
        _log = Log.RunAsync(_stopping.Token);
        _reader = Task.Factory.StartNew(
            () => Reader.Run(_stopping.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        _replay = new StoreReplay(options, taker, Log, metrics, Health, time, NullLogger.Instance)
            .RunAsync(() => Reader.Readings, _stopping.Token);
    }

    public HealthBoard Health { get; }

    public Head Head { get; }

    public TelemetryLog Log { get; }

    public OwnClusters Own { get; }

    public KafkaReader Reader { get; }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_reader, _replay, _log);
        _letters.Dispose();
        _stopping.Dispose();
    }
}
