using System.Text;

using Confluent.Kafka;

using Whistle.Ingest.Kafka;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest.Kafka;

public sealed class LogRecordTests
{
    static readonly DateTimeOffset At = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    // What a release wrote is read by each that follows: these never change.
    [Fact]
    public void Records_of_format_1_are_read_for_ever()
    {
        var headers = new Headers
        {
            { "whistle-format", "1"u8.ToArray() }, { "whistle-tenant", "acme"u8.ToArray() }, { "whistle-cluster", "prod"u8.ToArray() },
            { "whistle-remote-write", "2"u8.ToArray() }, { "whistle-received-at", "1772359200000"u8.ToArray() },
            { "whistle-node", "n1"u8.ToArray() }, { "somebody-elses", [0xFF] },
        };

        Assert.Equal(new(new(new("acme", "prod"), "n1"), RemoteWriteVersion.V2, At), LogRecord.Of(headers));
        headers.Remove("whistle-node");
        Assert.Equal(new(new(new("acme", "prod"), null), RemoteWriteVersion.V2, At), LogRecord.Of(headers));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("n1")]
    [InlineData("ünd/so \n weiter")]
    public void What_is_written_is_read(string? node)
    {
        var record = new LogRecord(new(new("a", "b"), node), RemoteWriteVersion.V1, At);
        Assert.Equal(record, LogRecord.Of(record.ToHeaders()));
        Assert.Equal("a\nb", Encoding.UTF8.GetString(LogRecord.KeyOf(new("a", "b"))));
    }

    [Theory]
    [InlineData("whistle-format", null, "no header whistle-format")]
    [InlineData("whistle-format", "2", "run the newer program")]
    [InlineData("whistle-tenant", "", "no header whistle-tenant")]
    [InlineData("whistle-cluster", null, "no header whistle-cluster")]
    [InlineData("whistle-remote-write", "3", "neither 1 nor 2")]
    [InlineData("whistle-received-at", "-1", "not a time")]
    [InlineData("whistle-received-at", "9223372036854775807", "not a time")]
    [InlineData("whistle-received-at", "now", "not a time")]
    public void A_record_that_says_nothing_of_use_is_refused_with_the_reason(string header, string? value, string reason)
    {
        var headers = new LogRecord(new(new("a", "b"), null), RemoteWriteVersion.V1, At).ToHeaders();
        headers.Remove(header);
        if (value is not null)
            headers.Add(header, Encoding.UTF8.GetBytes(value));

        Assert.Contains(reason, Assert.Throws<FormatException>(() => LogRecord.Of(headers)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_that_are_not_UTF_8_and_a_record_without_headers_are_refused()
    {
        var headers = new LogRecord(new(new("a", "b"), null), RemoteWriteVersion.V1, At).ToHeaders();
        headers.Add("whistle-cluster", [0xC3, 0x28]);
        Assert.Throws<FormatException>(() => LogRecord.Of(headers));
        Assert.Throws<FormatException>(() => LogRecord.Of(null));
    }
}
