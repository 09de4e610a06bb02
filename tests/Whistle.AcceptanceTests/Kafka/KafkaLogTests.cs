using System.Text;

using Confluent.Kafka;

using Whistle.AcceptanceTests.Harness;
using Whistle.Ingest.Kafka;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests.Kafka;

/// <summary>From the gateway over Kafka into store and head, over the real protocol.</summary>
public sealed class KafkaLogTests : IDisposable
{
    static readonly ClusterId A = new("t", "a");
    static readonly ClusterId B = new("t", "b");

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-kafka").FullName;
    readonly KafkaCluster _cluster = new();
    readonly DuckDbStore _store;
    readonly KafkaOptions _options;
    readonly long _now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    public KafkaLogTests()
    {
        _store = new DuckDbStore(new StoreOptions(_folder, TimeSpan.FromDays(30)), TimeProvider.System);
        _options = new()
        {
            Brokers = _cluster.Brokers,
            Topic = KafkaCluster.NewName("telemetry"),
            DeadLetterTopic = KafkaCluster.NewName("dead"),
            Group = KafkaCluster.NewName("group"),
            SessionTimeout = TimeSpan.FromSeconds(6),
        };
    }

    public void Dispose()
    {
        _store.Dispose();
        _cluster.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task What_the_gateway_took_is_in_store_and_head_once_and_a_second_process_goes_on_where_the_first_ended()
    {
        using var gateway = new WritingHalf(_options);
        Assert.Equal(2, (await gateway.SendAsync(A, Of("m", 1, 2))).Stored);
        await using (var first = new ReadingHalf(_options, _store, await PartitionsAsync(), A, B))
        {
            await Eventually(() => Stored(A) is [1, 2]);
            await Eventually(() => first.Own.Has(A));
            Assert.Equal([1.0, 2], InHead(first, A));
            await gateway.SendAsync(B, Of("m", 7));
            await Eventually(() => Stored(B) is [7]);
        }

        await gateway.SendAsync(A, Of("m", 1, 2, 3));
        await using var second = new ReadingHalf(_options, _store, await PartitionsAsync(), A, B);
        await Eventually(() => Stored(A) is [1, 2, 3]);
        // The head has what was stored before it began.
        Assert.Equal([1.0, 2, 3], InHead(second, A));
        Assert.Equal([7.0], InHead(second, B));
        Assert.Empty(second.Health.Problems());
    }

    [Fact]
    public async Task While_the_store_takes_nothing_the_head_goes_on_and_the_store_gets_all_of_it_later()
    {
        using var gateway = new WritingHalf(_options);
        await gateway.SendAsync(A, Of("m", 1));
        await using var detect = new ReadingHalf(_options, _store, await PartitionsAsync(), A, B);
        await Eventually(() => Stored(A) is [1]);
        var isDown = true;
        _store.Fault = moment =>
        {
            if (isDown && moment == StoreMoment.BeforeCommit)
                throw new StoreException("The store is down.");
        };
        for (var i = 2; i <= 40; i++)
            await gateway.SendAsync(A, Of("m", [.. Enumerable.Range(1, i).Select(v => (double)v)]));
        await Eventually(() => InHead(detect, A) is [.., 40]);
        Assert.Equal([1.0], Stored(A));

        isDown = false;
        await gateway.SendAsync(A, Of("m", [.. Enumerable.Range(1, 41).Select(v => (double)v)]));
        await Eventually(() => Stored(A).Length == 41);

        Assert.Equal(Enumerable.Range(1, 41).Select(v => (double)v), Stored(A));
        Assert.Equal(Stored(A), InHead(detect, A));
        await Eventually(() => detect.Health.Problems().Count == 0);
    }

    [Fact]
    public async Task What_cannot_be_decoded_goes_to_the_dead_letters_with_its_reason_and_stops_nothing()
    {
        using var gateway = new WritingHalf(_options);
        using (var stranger = new ProducerBuilder<byte[], byte[]>(new ProducerConfig { BootstrapServers = _cluster.Brokers }).Build())
        {
            var key = LogRecord.KeyOf(A);
            await stranger.ProduceAsync(_options.Topic, new() { Key = key, Value = "nonsense"u8.ToArray() }, Cancellation);
            var headers = new LogRecord(new(A, "n"), RemoteWriteVersion.V1, TimeProvider.System.GetUtcNow()).ToHeaders();
            await stranger.ProduceAsync(_options.Topic, new() { Key = key, Value = [1, 2, 3], Headers = headers }, Cancellation);
            await stranger.ProduceAsync(_options.Topic, new() { Key = key, Value = null!, Headers = headers }, Cancellation);
        }

        await gateway.SendAsync(A, Of("m", 1));
        await using var detect = new ReadingHalf(_options, _store, await PartitionsAsync(), A, B);
        await Eventually(() => Stored(A) is [1]);

        var letters = await ReadAsync(_options.DeadLetterTopic, 3);
        Assert.Equal(["nonsense", "\u0001\u0002\u0003", ""], letters.Select(l => Encoding.ASCII.GetString(l.Message.Value ?? [])));
        Assert.Contains("has no header whistle-format", Header(letters[0], DeadLetters.ReasonHeader), StringComparison.Ordinal);
        Assert.Contains("Snappy", Header(letters[1], DeadLetters.ReasonHeader), StringComparison.Ordinal);
        Assert.Equal(_options.Topic, Header(letters[1], DeadLetters.TopicHeader));
    }

    [Fact]
    public async Task Records_lie_in_the_partition_that_every_process_computes()
    {
        using var gateway = new WritingHalf(_options);
        var clusters = Enumerable.Range(0, 40).Select(i => new ClusterId($"tenant-{i}", $"c{new string('x', i)}")).ToList();
        foreach (var cluster in clusters)
            await gateway.SendAsync(cluster, Of("m", 1));
        var partitions = await PartitionsAsync();

        var records = await ReadAsync(_options.Topic, clusters.Count);

        Assert.All(records, r => Assert.Equal(r.Partition.Value, Murmur2.PartitionOf(r.Message.Key, partitions)));
        Assert.Equal(clusters.ToHashSet(), records.Select(r => LogRecord.Of(r.Message.Headers).Sender.ClusterId).ToHashSet());
        Assert.True(records.Select(r => r.Partition.Value).Distinct().Count() > 1);
    }

    [Fact]
    public async Task Two_processes_share_the_clusters_and_one_that_leaves_gives_its_share_to_the_other()
    {
        using var gateway = new WritingHalf(_options);
        ClusterId[] clusters = [.. Enumerable.Range(0, 24).Select(i => new ClusterId("t", $"c{i}"))];
        foreach (var cluster in clusters)
            await gateway.SendAsync(cluster, Of("m", 1));
        var partitions = await PartitionsAsync();
        await using var first = new ReadingHalf(_options, _store, partitions, clusters);
        await Eventually(() => first.Own.Partitions.Count == partitions);
        await using (var second = new ReadingHalf(_options, _store, partitions, clusters))
        {
            await Eventually(() => second.Own.Partitions.Count == partitions / 2 && first.Own.Partitions.Count == partitions / 2);
            Assert.All(clusters, c => Assert.True(first.Own.Has(c) ^ second.Own.Has(c)));
            Assert.All(clusters, c => Assert.Equal(first.Own.Has(c) ? [1.0] : [], InHead(first, c)));
            Assert.All(clusters, c => Assert.Equal(second.Own.Has(c) ? [1.0] : [], InHead(second, c)));
        }

        await Eventually(() => first.Own.Partitions.Count == partitions);
        Assert.All(clusters, c => Assert.Equal([1.0], InHead(first, c)));
    }

    TimeSeries Of(string name, params double[] values) => new(
        Labels.OfMetric(name), [.. values.Select((v, i) => new Sample(_now + i, v))]);

    double[] Stored(ClusterId cluster) =>
        _store.Select(MatchersOf(cluster), 0, long.MaxValue / 2).SingleOrDefault()?.Values.ToArray() ?? [];

    static double[] InHead(ReadingHalf half, ClusterId cluster) =>
        half.Head.Select(MatchersOf(cluster), 0, long.MaxValue / 2).SingleOrDefault()?.Values.ToArray() ?? [];

    static LabelMatcher[] MatchersOf(ClusterId cluster) =>
    [
        new(Labels.MetricName, MatchOperator.Equal, "m"), new("tenant", MatchOperator.Equal, cluster.Tenant),
        new("cluster", MatchOperator.Equal, cluster.Cluster),
    ];

    static string Header(ConsumeResult<byte[], byte[]> letter, string name) =>
        Encoding.UTF8.GetString(letter.Message.Headers.GetLastBytes(name));

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    Task<int> PartitionsAsync() => Task.Run(
        () =>
        {
            using var admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = _cluster.Brokers }).Build();
            return admin.GetMetadata(_options.Topic, TimeSpan.FromSeconds(10)).Topics.Single().Partitions.Count;
        },
        Cancellation);

    // As anybody reads it, without the product.
    Task<List<ConsumeResult<byte[], byte[]>>> ReadAsync(string topic, int count) => Task.Run(
        () =>
        {
            using var consumer = new ConsumerBuilder<byte[], byte[]>(new ConsumerConfig
            {
                BootstrapServers = _cluster.Brokers,
                GroupId = KafkaCluster.NewName("reader"),
                AutoOffsetReset = AutoOffsetReset.Earliest,
                EnableAutoCommit = false,
            }).Build();
            consumer.Subscribe(topic);
            var found = new List<ConsumeResult<byte[], byte[]>>();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
            while (found.Count < count)
            {
                limit.Token.ThrowIfCancellationRequested();
                try
                {
                    if (consumer.Consume(TimeSpan.FromSeconds(1)) is { Message: not null } record)
                        found.Add(record);
                }
                catch (ConsumeException e) when (e.Error.Code == ErrorCode.UnknownTopicOrPart)
                {
                    // It is made with the first record in it.
                }
            }

            consumer.Close();
            return found;
        },
        Cancellation);

    static async Task Eventually(Func<bool> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while (!holds())
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, limit.Token);
    }
}
