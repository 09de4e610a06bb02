using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

public sealed class ListOutputTests
{
    static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Csv_quotes_what_would_end_a_cell_and_has_small_names()
    {
        var writer = new StringWriter();
        CsvText.Write(writer, new(["ENDED AS", "SUMMARY"], [["cleared", "say \"yes\", or no"], [" padded", ""]]));

        Assert.Equal("ended_as,summary\ncleared,\"say \"\"yes\"\", or no\"\n\" padded\",\n", writer.ToString());
    }

    [Theory]
    [InlineData(false, false, "3 min ago", "7.6 GiB", "2 h", "0.3333", "12:01 UTC")]
    [InlineData(true, true, "2026-01-01T11:57:00Z", "8160437862", "7200", "0.33333333", "2026-01-01T12:01:00Z")]
    public void Times_are_ages_and_numbers_have_units_unless_asked_otherwise(
        bool raw, bool instants, string time, string bytes, string span, string value, string clock)
    {
        var view = new View(Now, raw, instants);

        Assert.Equal(time, view.Time(Now.AddMinutes(-3)));
        Assert.Equal(bytes, view.Bytes("8160437862"));
        Assert.Equal(span, view.Span(TimeSpan.FromHours(2)));
        Assert.Equal(value, view.Value("0.33333333"));
        Assert.Equal(clock, view.Clock(Now.AddMinutes(1)));
        Assert.Equal("", view.Time(null));
    }

    [Theory]
    [InlineData("node_filesystem_avail_bytes", "8160437862", "7.6 GiB")]
    [InlineData("node_cpu_seconds", "12345.678", "1.235E+04 s")]
    [InlineData("node_pressure_ratio", "0.25", "25.0 %")]
    [InlineData("node_boot_time_seconds", "1767225600", "1767225600")]
    [InlineData("process_start_timestamp_seconds", "1767225600", "1767225600")]
    [InlineData("up", "1", "1")]
    [InlineData("", "8160437862", "8160437862")]
    [InlineData("x_bytes", "NaN", "NaN")]
    public void A_sample_has_the_unit_that_its_name_ends_with(string name, string text, string shown)
    {
        Assert.Equal(shown, new View(Now).Sample(name, text));
        Assert.Equal(text, new View(Now, Raw: true).Sample(name, text));
    }
}
