using System.Globalization;

using Confluent.Kafka;
using Confluent.Kafka.Admin;

using Microsoft.Extensions.Logging;

using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Kafka;

/// <summary>What the brokers have of the topic: how many partitions, and whether its settings keep what they promise.</summary>
sealed class KafkaTopics(KafkaOptions options, HealthBoard health, ILogger<KafkaTopics> logger)
{
    const string Subject = "topic";

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    int _partitions;

    /// <summary>Partitions of the telemetry's topic; 0 before <see cref="Open"/>.</summary>
    public int Partitions => _partitions;

    public int PartitionOf(ClusterId cluster) => _partitions > 0
        ? Murmur2.PartitionOf(LogRecord.KeyOf(cluster), _partitions)
        : throw new InvalidOperationException("The topic was not looked at yet.");

    /// <summary>Asks the brokers, and says in the health what is wrong with the topic.</summary>
    /// <exception cref="StoreException">They cannot be reached, or the topic is not there.</exception>
    public void Open()
    {
        try
        {
            using var admin = NewClient();
            var topic = admin.GetMetadata(options.Topic, Patience).Topics.Find(t => t.Topic == options.Topic);
            if (topic is null || topic.Error.IsError || topic.Partitions.Count == 0)
                throw new StoreException(
                    $"Kafka at {options.Brokers} has no topic {options.Topic}: {topic?.Error.Reason ?? "it is not listed"}. "
                    + "Make it, with one partition or more for each process of the role detect, or let the brokers make topics "
                    + "(auto.create.topics.enable).");
            _partitions = topic.Partitions.Count;
            var replicas = topic.Partitions.Min(p => p.Replicas.Length);
            // Brokers that do not tell take their time not to.
            _ = Task.Run(async () => Say(TopicCheck.Findings(options.Topic, replicas, await SettingsAsync())));
        }
        catch (KafkaException e)
        {
            throw new StoreException(
                $"Kafka at {options.Brokers} does not answer: {e.Error.Reason}. Check Kafka:Brokers and Kafka:Client, and that the brokers "
                + "run.", e);
        }
    }

    void Say(IReadOnlyList<string> findings)
    {
        foreach (var finding in findings)
            logger.TopicFinding(finding);
        if (findings.Count > 0)
            health.Report(KafkaLog.Component, Subject, HealthState.Warning, string.Join(' ', findings));
        else
            health.Clear(KafkaLog.Component, Subject);
    }

    IAdminClient NewClient() => new AdminClientBuilder(options.ForAdmin()).SetLogHandler((_, _) => { }).Build();

    // A client may be allowed to write and read, and not to look at settings.
    async Task<Dictionary<string, string>?> SettingsAsync()
    {
        try
        {
            using var admin = NewClient();
            var resource = new ConfigResource { Type = ResourceType.Topic, Name = options.Topic };
            var answers = await admin.DescribeConfigsAsync([resource], new() { RequestTimeout = Patience });
            return answers.Single().Entries.ToDictionary(e => e.Key, e => e.Value.Value);
        }
        catch (KafkaException e)
        {
            logger.KafkaSaid("admin", e.Error.Reason);
            return null;
        }
    }
}

/// <summary>What is wrong with a topic that is to lose nothing.</summary>
static class TopicCheck
{
    // An outage of the store at night, and over a weekend's first day.
    static readonly TimeSpan LeastRetention = TimeSpan.FromHours(24);

    /// <param name="topic">Its name.</param>
    /// <param name="replicas">Of the partition that has the fewest.</param>
    /// <param name="settings">As the brokers describe it; null where they do not.</param>
    /// <returns>Sentences that say the fix; none where all is well.</returns>
    public static IReadOnlyList<string> Findings(string topic, int replicas, IReadOnlyDictionary<string, string>? settings)
    {
        var findings = new List<string>();
        if (replicas < 2)
            findings.Add($"The topic {topic} has one replica: what the gateway took is lost with a broker's disk. Give it three.");
        if (settings is null)
        {
            findings.Add($"The settings of the topic {topic} cannot be read. Allow this client DescribeConfigs to have them checked.");
            return findings;
        }

        if (replicas >= 2 && Number(settings, "min.insync.replicas") is { } inSync)
        {
            if (inSync < 2)
                findings.Add($"min.insync.replicas of the topic {topic} is {inSync}: one broker alone may acknowledge. Set it to 2.");
            else if (inSync >= replicas)
                findings.Add(
                    $"min.insync.replicas of the topic {topic} is {inSync} of {replicas} replicas: nothing is taken while one broker "
                    + $"restarts. Set it to {replicas - 1}.");
        }

        if (Number(settings, "retention.ms") is >= 0 and var kept && kept < LeastRetention.TotalMilliseconds)
            findings.Add(
                $"The topic {topic} keeps records for {TimeSpan.FromMilliseconds(kept).TotalHours:0.#} hours: what the store misses in a "
                + "longer outage is lost. Set retention.ms to 86400000 (24 hours) or more.");
        if (Number(settings, "retention.bytes") is >= 0 and var bytes)
            findings.Add(
                $"The topic {topic} drops records beyond {bytes} bytes a partition, however new they are. Set retention.bytes to -1, or "
                + "watch that it holds 24 hours.");
        if (settings.GetValueOrDefault("cleanup.policy") is { Length: > 0 } policy && policy != "delete")
            findings.Add(
                $"cleanup.policy of the topic {topic} is {policy}, which keeps one record of each cluster alone. Set it to delete.");
        if (settings.GetValueOrDefault("unclean.leader.election.enable") == "true")
            findings.Add(
                $"The topic {topic} lets a replica lead that lacks what was acknowledged. Set unclean.leader.election.enable to false.");
        return findings;
    }

    static long? Number(IReadOnlyDictionary<string, string> settings, string name) =>
        long.TryParse(settings.GetValueOrDefault(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number : null;
}
