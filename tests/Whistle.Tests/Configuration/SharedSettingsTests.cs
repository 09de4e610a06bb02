using Whistle.Configuration;
using Whistle.Fixtures;

using Xunit;

namespace Whistle.Tests.Configuration;

/// <summary>What processes that share the work are told: roles, the log, and the store.</summary>
public sealed class SharedSettingsTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-shared").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Every_key_reaches_its_option()
    {
        PrivateText.Write(Path.Combine(_folder, "token"), "t1\n");
        PrivateText.Write(Path.Combine(_folder, "password"), "p1");

        var configuration = Load(
            ("Roles", "gateway, Detect"), ("Database", "Host=db"), ("Kafka__Brokers", "k:9092"), ("Kafka__Topic", "a"),
            ("Kafka__DeadLetterTopic", "b"), ("Kafka__Group", "c"), ("Kafka__MaxMessageBytes", "20000"), ("Kafka__DeliveryTimeout", "3s"),
            ("Kafka__SessionTimeout", "7s"), ("Kafka__Client__sasl.username", "u"),
            ("Kafka__ClientFiles__sasl.password", Path.Combine(_folder, "password")), ("InfluxDb__Url", "https://i:1"),
            ("InfluxDb__Bucket", "bu"), ("InfluxDb__Org", "or"), ("InfluxDb__TokenFile", Path.Combine(_folder, "token")),
            ("InfluxDb__RetryFor", "4s"), ("InfluxDb__WriteTime", "5s"), ("InfluxDb__AnswerTime", "6s"), ("InfluxDb__Gzip", "false"),
            ("InfluxDb__Others__big__Url", "https://j:2"), ("InfluxDb__Others__big__Clusters__0", "acme/*"), ("Retention", "9d"));

        Assert.Empty(configuration.Errors);
        var (kafka, influx) = (configuration.Options.Kafka, configuration.Options.InfluxDb!);
        Assert.Equal(ServerRoles.Gateway | ServerRoles.Detect, configuration.Options.Roles);
        Assert.Equal(("k:9092", "a", "b", "c"), (kafka.Brokers, kafka.Topic, kafka.DeadLetterTopic, kafka.Group));
        Assert.Equal(20_000, kafka.MaxMessageBytes);
        Assert.Equal((TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(7)), (kafka.DeliveryTimeout, kafka.SessionTimeout));
        Assert.Equal("u", kafka.ForAdmin().SaslUsername);
        Assert.Equal("p1", kafka.ForAdmin().SaslPassword);
        Assert.Equal(["https://j:2/", "https://i:1/"], influx.Endpoints.Select(e => e.Url.AbsoluteUri));
        Assert.Equal(["acme/*"], influx.Endpoints[0].Clusters);
        Assert.Equal(("bu", "or", "t1"), (influx.Endpoints[1].Bucket, influx.Endpoints[1].Org, influx.Endpoints[1].Token!()));
        Assert.Equal((4.0, 5.0, 6.0), (influx.RetryFor.TotalSeconds, influx.WriteTime.TotalSeconds, influx.AnswerTime.TotalSeconds));
        Assert.Equal((TimeSpan.FromDays(9), false), (influx.Retention, influx.Gzip));
    }

    [Theory]
    [InlineData("Roles", "gatway", "\"gatway\" is none of gateway, detect, remediate, alert, web, all. Write one or more.")]
    [InlineData("Roles", "web", "neither Database nor DatabaseFile is set")]
    [InlineData("Kafka__Brokers", "k:1", "with Kafka the state is in PostgreSQL")]
    [InlineData("InfluxDb__Others__a__Clusters", "acme/*", "InfluxDb:Others:a:Url: the address of this InfluxDB is missing")]
    [InlineData("InfluxDb__Org", "x", "InfluxDb:Url: the address of this InfluxDB is missing")]
    [InlineData("InfluxDb__Url", "nowhere", "\"nowhere\" is not an http or https address")]
    public void A_mistake_is_said_with_its_mend(string key, string value, string says) =>
        Assert.Contains(Load((key, value)).Errors, e => e.Contains(says, StringComparison.Ordinal));

    [Theory]
    [InlineData("Kafka__Topic", "a b", "is not the name of a topic")]
    [InlineData("Kafka__DeadLetterTopic", "whistle.telemetry", "it is the topic of the telemetry")]
    [InlineData("Kafka__Client__security.protocl", "ssl", "security.protocl")]
    [InlineData("Kafka__ClientFiles__sasl.password", "/nowhere", "/nowhere")]
    [InlineData("Kafka__SessionTimeout", "1s", "is not between 6 seconds and 5 minutes")]
    public void A_mistake_about_Kafka_is_said_before_anything_is_asked_of_it(string key, string value, string says) =>
        Assert.Contains(
            says, Assert.Single(Load((key, value), ("Kafka__Brokers", "k:1"), ("Database", "Host=db")).Errors), StringComparison.Ordinal);

    ServeConfiguration Load(params (string Key, string Value)[] variables) =>
        ServeConfiguration.Load(null, variables.Append(("DATA", _folder)).ToDictionary(v => $"WHISTLE_{v.Item1}", v => v.Item2), []);
}
