using Confluent.Kafka;

namespace Whistle.AcceptanceTests.Harness;

/// <summary>
/// A Kafka cluster: the real one whose first broker <c>WHISTLE_TEST_KAFKA</c> names, or librdkafka's mock of the protocol, which keeps all
/// in the memory of this process.
/// </summary>
sealed class KafkaCluster : IDisposable
{
    readonly IProducer<byte[], byte[]>? _owner;

    public KafkaCluster(int brokers = 1)
    {
        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_KAFKA") is { Length: > 0 } real)
        {
            Brokers = real;
            return;
        }

        var config = new ProducerConfig { BootstrapServers = "localhost:1" };
        config.Set("test.mock.num.brokers", $"{brokers}");
        _owner = new ProducerBuilder<byte[], byte[]>(config).SetLogHandler((_, _) => { }).Build();
        using var admin = new DependentAdminClientBuilder(_owner.Handle).Build();
        Brokers = string.Join(
            ',', admin.GetMetadata(TimeSpan.FromSeconds(10)).Brokers.Select(b => $"{b.Host}:{b.Port}"));
    }

    public string Brokers { get; }

    /// <summary>A name that no other test has used.</summary>
    public static string NewName(string prefix) => $"{prefix}-{Guid.NewGuid():N}";

    public void Dispose() => _owner?.Dispose();
}
