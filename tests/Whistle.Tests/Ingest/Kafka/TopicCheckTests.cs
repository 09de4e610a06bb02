using Whistle.Ingest.Kafka;

using Xunit;

namespace Whistle.Tests.Ingest.Kafka;

public sealed class TopicCheckTests
{
    static Dictionary<string, string> Good() => new()
    {
        ["min.insync.replicas"] = "2", ["retention.ms"] = "604800000", ["retention.bytes"] = "-1", ["cleanup.policy"] = "delete",
        ["unclean.leader.election.enable"] = "false",
    };

    [Fact]
    public void A_topic_that_keeps_what_it_promises_has_no_finding() => Assert.Empty(TopicCheck.Findings("t", 3, Good()));

    [Theory]
    [InlineData(3, "min.insync.replicas", "1", "Set it to 2.")]
    [InlineData(3, "min.insync.replicas", "3", "Set it to 2.")]
    [InlineData(3, "retention.ms", "3600000", "keeps records for 1 hours")]
    [InlineData(3, "retention.bytes", "1000", "Set retention.bytes to -1")]
    [InlineData(3, "cleanup.policy", "compact", "Set it to delete.")]
    [InlineData(3, "cleanup.policy", "compact,delete", "Set it to delete.")]
    [InlineData(3, "unclean.leader.election.enable", "true", "to false")]
    [InlineData(1, "min.insync.replicas", "1", "Give it three.")]
    public void What_can_lose_telemetry_is_said_with_its_fix(int replicas, string setting, string value, string fix)
    {
        var settings = Good();
        settings[setting] = value;

        Assert.Contains(fix, Assert.Single(TopicCheck.Findings("t", replicas, settings)), StringComparison.Ordinal);
    }

    [Fact]
    public void Brokers_that_do_not_tell_leave_it_open_and_say_so() =>
        Assert.Contains("cannot be read", Assert.Single(TopicCheck.Findings("t", 3, null)), StringComparison.Ordinal);

    [Fact]
    public void For_ever_is_long_enough()
    {
        var settings = Good();
        settings["retention.ms"] = "-1";
        Assert.Empty(TopicCheck.Findings("t", 3, settings));
    }
}
