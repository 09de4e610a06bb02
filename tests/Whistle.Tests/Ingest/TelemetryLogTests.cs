using System.Buffers;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class TelemetryLogTests : IAsyncDisposable
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-log").FullName;
    readonly FakeTimeProvider _time = new(Start);
    readonly CancellationTokenSource _stop = new();
    readonly HealthBoard _health;
    readonly Sender _sender = new(new NodeId("t", "c", "n"));
    readonly Head _head;
    readonly DuckDbStore _store;
    TelemetryLog _log;
    Task _running;

    public TelemetryLogTests()
    {
        _health = new HealthBoard(_time);
        _head = new Head(_time, 100_000);
        _store = new DuckDbStore(new StoreOptions(_folder, TimeSpan.FromDays(2)), _time);
        (_log, _running) = Run(new MemoryOptions());
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _store.Dispose();
        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(CommitMoment.Staging)]
    [InlineData(CommitMoment.Storing)]
    [InlineData(CommitMoment.Publishing)]
    public async Task Out_of_memory_in_a_commit_costs_that_batch_and_nothing_else(object moment)
    {
        await SendAsync("before", 1);
        _log.Fault = at =>
        {
            if (at == (CommitMoment)moment)
                RunOutOfMemory();
        };

        var refused = await Assert.ThrowsAsync<StoreException>(() => SendAsync("during", 2));
        // The sender learns that it is to be sent again, and whoever runs the server learns why.
        Assert.DoesNotContain("Array dimensions exceeded", refused.Message, StringComparison.Ordinal);
        Assert.Contains("Array dimensions exceeded", refused.InnerException!.Message, StringComparison.Ordinal);
        Assert.Equal(0, _log.PendingBytes);
        _log.Fault = null;

        // Sent again, as a sender does; it may have become durable the first time.
        await UntilTakenAsync("during", 2);
        await SendAsync("after", 3);
        Assert.False(_running.IsCompleted);
        foreach (var (name, value) in new[] { ("before", 1.0), ("during", 2.0), ("after", 3.0) })
        {
            Assert.Equal([value], Assert.Single(_head.Select(Named(name), 0, long.MaxValue)).Values);
            Assert.Equal([value], Assert.Single(_store.Select(Named(name), 0, long.MaxValue)).Values);
        }

        Assert.Equal(HealthState.Ok, _health.State);
    }

    [Fact]
    public async Task While_the_store_takes_nothing_the_head_has_what_the_server_records_and_senders_are_refused()
    {
        _log.Refuse("The disk is full, says the test.");
        var refused = await Assert.ThrowsAsync<StoreException>(() => SendAsync("sent", 1));
        await _log.RecordAsync([new(new(Labels.OfMetric("recorded")), _time.GetUtcNow().ToUnixTimeMilliseconds(), 7)]);

        Assert.Equal("The disk is full, says the test.", refused.Message);
        Assert.Equal([7], Assert.Single(_head.Select(Named("recorded"), 0, long.MaxValue)).Values);
        Assert.Empty(_store.Select(Named("recorded"), 0, long.MaxValue));

        _log.Refuse(null);
        _time.Advance(TimeSpan.FromSeconds(15));
        await _log.RecordAsync([new(new(Labels.OfMetric("recorded")), _time.GetUtcNow().ToUnixTimeMilliseconds(), 8)]);
        Assert.Equal([7, 8], Assert.Single(_head.Select(Named("recorded"), 0, long.MaxValue)).Values);
        Assert.Equal([8], Assert.Single(_store.Select(Named("recorded"), 0, long.MaxValue)).Values);
    }

    [Fact]
    public async Task A_store_that_fails_is_on_the_board_until_it_is_well()
    {
        _log.Fault = _ => throw new StoreException("it is broken, says the test");
        await Assert.ThrowsAsync<StoreException>(() => SendAsync("m", 1));
        var problem = Assert.Single(_health.Problems());
        _log.Fault = null;
        await UntilTakenAsync("m", 1);

        Assert.Equal(("telemetry-store", HealthState.Degraded), (problem.Component, problem.State));
        Assert.Contains("it is broken, says the test", problem.Reason, StringComparison.Ordinal);
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public async Task Labels_of_new_series_count_by_their_bytes_and_are_given_back()
    {
        await _stop.CancelAsync();
        await _running;
        using var stop = new CancellationTokenSource();
        var log = Log(new MemoryOptions { PendingSamples = 1 << 20 });
        var running = log.RunAsync(stop.Token);
        var wide = new string('x', 8000);

        // One sample each: by their count they are nothing.
        var many = Assert.Throws<BusyException>(() =>
        {
            _ = log.AppendAsync(
                _sender, RemoteWriteVersion.V1,
                Body([.. Enumerable.Range(0, 80).Select(i => One(Labels.OfMetric("m", ("i", $"{i}{wide}")), 1))]));
        });
        Assert.Contains("1 MiB", many.Message, StringComparison.Ordinal);
        Assert.Equal(0, log.PendingBytes);
        await log.AppendAsync(
            _sender, RemoteWriteVersion.V1,
            Body([.. Enumerable.Range(0, 40).Select(i => One(Labels.OfMetric("m", ("i", $"{i}{wide}")), 1))]));

        Assert.Equal(0, log.PendingBytes);
        Assert.Equal(40, _head.Select(Named("m"), 0, long.MaxValue).Count);
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task A_series_whose_batch_failed_gets_its_labels_with_the_next()
    {
        _log.Fault = at =>
        {
            if (at is CommitMoment.Storing)
                RunOutOfMemory();
        };
        await Assert.ThrowsAsync<StoreException>(() => SendAsync("m", 1));
        _log.Fault = null;
        await UntilTakenAsync("m", 1);

        Assert.Equal("n", Assert.Single(_store.Select(Named("m"), 0, long.MaxValue)).Labels["node"]);
    }

    (TelemetryLog, Task) Run(MemoryOptions memory)
    {
        var log = Log(memory);
        return (log, log.RunAsync(_stop.Token));
    }

    TelemetryLog Log(MemoryOptions memory) => new(
        new TelemetryLogOptions { GroupCommit = TimeSpan.Zero }, memory, _head, _store,
        new IngestMetrics(Prometheus.Metrics.NewCustomRegistry()), _health, _time, NullLogger<TelemetryLog>.Instance);

    Task<AppendResult> SendAsync(string name, double value) =>
        _log.AppendAsync(_sender, RemoteWriteVersion.V1, Body([One(Labels.OfMetric(name), value)]));

    // The runtime's own: there is no array of this length.
    static void RunOutOfMemory() => _ = new byte[Array.MaxLength + 1];

    // The store is tried again once a second of real time.
    async Task UntilTakenAsync(string name, double value)
    {
        while (true)
        {
            try
            {
                await SendAsync(name, value);
                return;
            }
            catch (StoreException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
            }
        }
    }

    TimeSeries One(Labels labels, double value) => new(labels, [new Sample(_time.GetUtcNow().ToUnixTimeMilliseconds(), value)]);

    static byte[] Body(IReadOnlyList<TimeSeries> series)
    {
        var buffer = new ArrayBufferWriter<byte>();
        RemoteWriteEncoder.EncodeV1(series, buffer);
        return buffer.WrittenSpan.ToArray();
    }

    static LabelMatcher[] Named(string name) => [new(Labels.MetricName, MatchOperator.Equal, name)];
}
