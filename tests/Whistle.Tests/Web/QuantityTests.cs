using Whistle.Web.Text;

using Xunit;

namespace Whistle.Tests.Web;

public sealed class QuantityTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1023.9 * 1024, "1.0 MiB")]
    [InlineData(7.6 * 1024 * 1024 * 1024, "7.6 GiB")]
    [InlineData(99.97 * 1024 * 1024, "100 MiB")]
    [InlineData(double.NaN, "–")]
    public void Bytes_have_binary_units(double bytes, string text) => Assert.Equal(text, Quantity.Bytes(bytes));

    [Theory]
    [InlineData(0.4, "0 s")]
    [InlineData(59.9, "59 s")]
    [InlineData(3599, "59 min")]
    [InlineData(7260, "2 h 1 min")]
    [InlineData(86400, "1 d")]
    [InlineData(-90000, "1 d 1 h")]
    public void A_span_has_its_two_largest_units(double seconds, string text) =>
        Assert.Equal(text, Quantity.Span(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(-2.5, "2 s ago")]
    [InlineData(0.4, "just now")]
    [InlineData(3, "just now")]
    [InlineData(20, "in 20 s")]
    public void A_time_that_is_barely_ahead_is_now(double seconds, string text)
    {
        var now = new DateTimeOffset(2026, 3, 1, 0, 10, 0, TimeSpan.Zero);
        Assert.Equal(text, Quantity.Ago(now.AddSeconds(seconds), now));
    }

    [Fact]
    public void A_time_of_another_day_has_its_date()
    {
        var now = new DateTimeOffset(2026, 3, 1, 0, 10, 0, TimeSpan.Zero);

        Assert.Equal("00:05", Quantity.ShortInstant(now.AddMinutes(-5), now));
        Assert.Equal("28 Feb 23:55", Quantity.ShortInstant(now.AddMinutes(-15), now));
    }

    [Theory]
    [InlineData(
        "Waiting since 2026-03-01 14:05:09Z: Paused by ann until 2026-03-02T01:00:00Z.",
        "Waiting since 14:05: Paused by ann until 2 Mar 01:00.")]
    [InlineData(
        "/backups/2026-03-01 is kept; 2026-99-99 99:99:99Z is no time", "/backups/2026-03-01 is kept; 2026-99-99 99:99:99Z is no time")]
    [InlineData(null, "")]
    public void A_sentence_has_times_as_people_write_them(string? text, string expected) =>
        Assert.Equal(expected, Quantity.Prose(text, new DateTimeOffset(2026, 3, 1, 15, 0, 0, TimeSpan.Zero)));
}
