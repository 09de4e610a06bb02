using Confluent.Kafka;

namespace Whistle.Ingest.Kafka;

/// <summary>The Kafka cluster that keeps telemetry between gateway and detectors.</summary>
public sealed record KafkaOptions
{
    /// <summary>The first brokers to ask, such as <c>kafka-1:9092,kafka-2:9092</c>; null where the log is embedded.</summary>
    public string? Brokers { get; init; }

    public string Topic { get; init; } = "whistle.telemetry";

    /// <summary>Takes what cannot be decoded, with the reason.</summary>
    public string DeadLetterTopic { get; init; } = "whistle.telemetry.dead-letter";

    /// <summary>The consumer group that the processes with the role <c>detect</c> form.</summary>
    public string Group { get; init; } = "whistle-detect";

    /// <summary>Bytes of the largest record: no more than the topic's <c>max.message.bytes</c>. Larger bodies are split.</summary>
    public int MaxMessageBytes { get; init; } = 900_000;

    /// <summary>How long the gateway waits for the brokers before it asks a sender to retry.</summary>
    public TimeSpan DeliveryTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>After how long without a sign of life a process loses its partitions to others.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Settings of librdkafka, such as <c>security.protocol</c>, over those that follow from the rest.</summary>
    public IReadOnlyDictionary<string, string> Client { get; init; } = new Dictionary<string, string>();

    /// <summary>Settings as in <see cref="Client"/> whose values are secrets, each in a file of its own: <c>sasl.password</c>.</summary>
    public IReadOnlyDictionary<string, string> ClientFiles { get; init; } = new Dictionary<string, string>();

    /// <summary>What is wrong with them, by the name of the option.</summary>
    public IEnumerable<(string Name, string Reason)> Errors()
    {
        if (Brokers is null)
            yield break;
        foreach (var (name, topic) in new[] { (nameof(Topic), Topic), (nameof(DeadLetterTopic), DeadLetterTopic) })
        {
            if (topic.Length is 0 or > 249 || !topic.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
                yield return (name, $"\"{topic}\" is not the name of a topic: letters of ASCII, digits, dots, _ and -, 249 at most.");
        }

        if (Topic == DeadLetterTopic)
            yield return (nameof(DeadLetterTopic), $"it is the topic of the telemetry, {Topic}. Name another.");
        if (Group.Length == 0)
            yield return (nameof(Group), "it is empty. Write it like whistle-detect.");
        if (MaxMessageBytes is < 10_000 or > 100_000_000)
            yield return (nameof(MaxMessageBytes), $"{MaxMessageBytes} is not between 10000 and 100000000. Write it like 900000.");
        if (DeliveryTimeout < TimeSpan.FromSeconds(1) || DeliveryTimeout > TimeSpan.FromMinutes(2))
            yield return (nameof(DeliveryTimeout), $"{DeliveryTimeout} is not between a second and two minutes. Write it like 10s.");
        if (SessionTimeout < TimeSpan.FromSeconds(6) || SessionTimeout > TimeSpan.FromMinutes(5))
            yield return (nameof(SessionTimeout), $"{SessionTimeout} is not between 6 seconds and 5 minutes. Write it like 10s.");
    }

    /// <summary>What librdkafka does not take of the settings; null where it takes all. It knows them itself.</summary>
    public string? ClientFault()
    {
        try
        {
            using var client = new AdminClientBuilder(ForAdmin()).SetLogHandler((_, _) => { }).Build();
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or KafkaException)
        {
            return $"{e.Message} See librdkafka's list of settings.";
        }
    }

    /// <summary>Reads a secret from its file.</summary>
    public Func<string, string> ReadSecret { get; init; } = File.ReadAllText;

    internal ProducerConfig ForProducer(long maxBytes) => With(new ProducerConfig
    {
        Acks = Acks.All,
        EnableIdempotence = true,
        // As the standard client of Java does: other tools find a cluster's partition too.
        Partitioner = Partitioner.Murmur2Random,
        // Bodies are compressed already; what many of them have in common still is not.
        CompressionType = CompressionType.Lz4,
        LingerMs = 5,
        MessageTimeoutMs = (int)DeliveryTimeout.TotalMilliseconds,
        MessageMaxBytes = MaxMessageBytes + (64 << 10),
        QueueBufferingMaxKbytes = (int)Math.Clamp(maxBytes >> 10, 1 << 10, int.MaxValue),
        AllowAutoCreateTopics = true,
    });

    internal ConsumerConfig ForGroup() => With(new ConsumerConfig
    {
        GroupId = Group,
        PartitionAssignmentStrategy = PartitionAssignmentStrategy.CooperativeSticky,
        AutoOffsetReset = AutoOffsetReset.Earliest,
        // Offsets are stored by hand, once the store has flushed, and committed from there.
        EnableAutoOffsetStore = false,
        EnableAutoCommit = true,
        AutoCommitIntervalMs = 1000,
        SessionTimeoutMs = (int)SessionTimeout.TotalMilliseconds,
        HeartbeatIntervalMs = (int)SessionTimeout.TotalMilliseconds / 4,
        AllowAutoCreateTopics = true,
        QueuedMaxMessagesKbytes = 32 << 10,
    });

    /// <summary>For a reader of its own that nobody shares partitions with.</summary>
    internal ConsumerConfig ForReplay() => With(new ConsumerConfig
    {
        GroupId = Group,
        AutoOffsetReset = AutoOffsetReset.Error,
        EnableAutoOffsetStore = false,
        EnableAutoCommit = false,
        QueuedMaxMessagesKbytes = 16 << 10,
    });

    internal AdminClientConfig ForAdmin() => With(new AdminClientConfig { AllowAutoCreateTopics = true });

    T With<T>(T config)
        where T : ClientConfig
    {
        config.BootstrapServers = Brokers;
        config.ClientId = "whistle";
        foreach (var (name, value) in Client)
            config.Set(name, value);
        foreach (var (name, file) in ClientFiles)
            config.Set(name, ReadSecret(file));
        return config;
    }
}
