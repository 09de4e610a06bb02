using System.Text.Json;

using Spectre.Console;

using Whistle.Commands;
using Whistle.Printing;

using Xunit;

namespace Whistle.Tests.Commands;

public sealed class ConsoleTableTests
{
    const string Signals =
        """
        [{"labels":{"alertname":"Odd","tenant":"default","cluster":"c","node":"n2","device":"sda","severity":"info"},
        "annotations":{},"state":"pending",
          "activeAt":"2026-01-01T11:59:30Z","value":"1e+00"},
         {"labels":{"alertname":"NodeFilesystemAlmostOutOfSpace","tenant":"acme","cluster":"prod","node":"n1",
         "mountpoint":"/data\u001b[2J","severity":"critical"},
          "annotations":{"summary":"/data on n1 has less than 3 % of its space left, and nobody has looked"},"state":"firing",
          "activeAt":"2026-01-01T09:00:00Z","firingSince":"2026-01-01T10:00:00Z","value":"2.5e-02"},
         {"labels":{"alertname":"Low","tenant":"default","cluster":"c","node":"n1","severity":"warning"},
         "annotations":{},"state":"unknown","stateBefore":"firing",
          "activeAt":"2026-01-01T09:00:00Z","firingSince":"2026-01-01T10:00:00Z","unknownSince":"2026-01-01T11:00:00Z","value":"5e+00"}]
        """;

    static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Alerts_are_lines_the_worst_first_and_control_characters_are_shown() => Assert.Equal(
        [
            @"STATE                 SEVERITY  NAME                            WHERE                        SINCE     VALUE  SUMMARY",
            @"firing                critical  NodeFilesystemAlmostOutOfSpace  acme/prod/n1 /data\u001b[2J  2 h ago   0.025  "
                + "/data on n1 has less than 3 % of its space left, and nobody has looked",
            @"unknown (was firing)  warning   Low                             c/n1                         1 h ago   5",
            @"pending               info      Odd                             c/n2 device=sda              30 s ago  1",
        ],
        Lines(null));

    [Theory]
    [InlineData(80, "     VALUE", "   0.025")]
    [InlineData(76, "", "")]
    public void A_narrow_terminal_has_place_and_summary_under_the_row_and_goes_without_what_is_spare(
        int width, string header, string value) => Assert.Equal(
        [
            $"STATE                 SEVERITY  NAME                            SINCE{header}",
            $"firing                critical  NodeFilesystemAlmostOutOfSpace  2 h ago{value}",
            """    acme/prod/n1 /data\u001b[2J""",
            "    /data on n1 has less than 3 % of its space left, and nobody has looked",
        ],
        Lines(width).Take(4));

    [Fact]
    public void A_terminal_that_is_narrower_still_has_one_thing_a_line() => Assert.Equal(
        [
            "  STATE     firing",
            "  SEVERITY  critical",
            "  NAME      NodeFilesystemAlmostOutOfSpace",
            """  WHERE     acme/prod/n1 /data\u001b[2J""",
            "  SINCE     2 h ago",
            "  VALUE     0.025",
            "  SUMMARY   /data on n1 has less than 3 %",
            "            of its space left, and nobody",
            "            has looked",
            "",
            "  STATE     unknown (was firing)",
        ],
        Lines(42).Take(11));

    [Fact]
    public void Wide_characters_keep_the_columns_in_line_and_are_not_cut_in_half()
    {
        var table = new Listing(["NAME", "SUMMARY"], [["磁盘", "満杯です"], ["e\u0301", "x"], ["disk", "full"]]) { Details = ["SUMMARY"] };

        Assert.Equal(["NAME  SUMMARY", "磁盘  満杯です", "e\u0301     x", "disk  full"], Lines(table, null));
        var wide = new Listing(["NAME", "SUMMARY"], [["磁盘", string.Concat(Enumerable.Repeat("満", 40))]]) { Details = ["SUMMARY"] };
        Assert.Equal($"磁盘  {string.Concat(Enumerable.Repeat("満", 16))}…", Lines(wide, 40)[1]);
    }

    [Theory]
    [InlineData("\u001b]0;title\u0007", @"\u001b]0;title\u0007")]
    [InlineData("\u009b2J", @"\u009b2J")]
    [InlineData("a\u202eb", @"a\u202eb")]
    [InlineData("a\u200bb\u2028c", @"a\u200bb\u2028c")]
    [InlineData("\U000e0041", @"\udb40\udc41")]
    [InlineData("é磁😀", "é磁😀")]
    public void What_a_terminal_would_obey_is_shown(string text, string shown)
    {
        Assert.Equal(shown, Printable.Of(text));
        Assert.Equal($"\"{shown}\"\n", Printable.OfJson($"\"{text}\"\n"));
    }

    [Fact]
    public void Half_a_character_is_shown_as_what_it_is()
    {
        // No attribute can hold it.
        Assert.Equal(@"a\ud800", Printable.Of("a" + (char)0xd800));
        Assert.Equal(@"\udc00a", Printable.Of((char)0xdc00 + "a"));
    }

    [Fact]
    public void A_detail_of_many_lines_is_shortened_on_a_narrow_terminal()
    {
        var table = new Listing(["NAME", "WHY"], [["x", string.Join(' ', Enumerable.Repeat("word", 30))]]) { Details = ["WHY"] };

        Assert.Equal(["NAME", "x", "    word word word", "    word word word", "    word word word …"], Lines(table, 20));
    }

    [Fact]
    public void Ten_thousand_rows_cost_one_pass_over_them()
    {
        string[] row = ["firing", "critical", "NodeFilesystemAlmostOutOfSpace", "prod/node-1 /data", "3 min ago", "0.025",
            "/data on n1 is full"];
        var table = new Listing(["STATE", "SEVERITY", "NAME", "WHERE", "SINCE", "VALUE", "SUMMARY"], [.. Enumerable.Repeat(row, 10_000)]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var count = ConsoleTable.Lines(table, 160, StateColours.Of).Sum(line => line.Count());

        Assert.Equal(10_001 * 13, count);
        // A few hundred bytes a segment. Spectre's own table takes tens of times that.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 60_000_000);
    }

    [Fact]
    public void A_summary_is_cut_at_the_border_of_the_terminal()
    {
        var line = Lines(160)[1];

        Assert.Equal(160, line.Length);
        Assert.EndsWith("…", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Colours_are_around_the_padded_cell() =>
        Assert.Contains("\e[1;31mfiring              \e[0m  \e[1;31mcritical\e[0m  Node", Lines(Active(), null, hasColour: true)[1],
            StringComparison.Ordinal);

    [Fact]
    public void A_detail_that_is_longer_than_the_terminal_is_broken_between_words() => Assert.Equal(
        ["NAME", "x", "    one two", "    three"], Lines(new(["NAME", "WHY"], [["x", "one two three"]]) { Details = ["WHY"] }, 12));

    [Fact]
    public void A_paragraph_hangs_and_leaves_what_is_copied_whole() => Assert.Equal(
        ["  at  one two", "      0123456789abcdef", "      three"], ConsoleTable.Paragraph("  at  ", "one two 0123456789abcdef three", 14));

    [Fact]
    public void Incidents_are_the_worst_first_and_the_closed_last()
    {
        using var json = JsonDocument.Parse(
            """
            [{"id":"i1","tenant":"default","cluster":"c","subject":{"node":"n"},"state":"closed","severity":"critical",
            "openedAt":"2026-01-01T09:00:00Z","title":"Over"},
             {"id":"i2","tenant":"acme","cluster":"c","subject":{"node":"n","mountpoint":"/data","device":"sda"},"state":"recovering",
             "severity":"warning","openedAt":"2026-01-01T09:00:00Z","title":"Low"},
             {"id":"i3","tenant":"default","cluster":"c","subject":{},"state":"open","severity":"warning",
             "openedAt":"2026-01-01T11:59:00Z","title":"Odd"},
             {"id":"i4","tenant":"default","cluster":"c","subject":{"device":"sda"},"state":"mitigating","severity":"critical",
             "openedAt":"2026-01-01T11:00:00Z","title":"Full\u001b[2J"}]
            """);

        Assert.Equal(
            [
                @"mitigating critical c device=sda 1 h ago i4 Full\u001b[2J", "open warning c 1 min ago i3 Odd",
                "recovering warning acme/c/n /data 3 h ago i2 Low", "closed critical c/n 3 h ago i1 Over",
            ],
            IncidentRows.Of(json.RootElement, new View(Now)) is var table
                ? table.Without(table.Wide).Rows.Select(r => string.Join(' ', r)) : []);
    }

    static string[] Lines(int? width) => Lines(Active(), width);

    static Listing Active()
    {
        using var json = JsonDocument.Parse($$"""{"signals":{{Signals}}}""");
        var table = AlertRows.Active(json.RootElement, new View(Now), isWell: true);
        return table.Without(table.Wide);
    }

    // As Spectre writes them.
    static string[] Lines(Listing table, int? width, bool hasColour = false)
    {
        var writer = new StringWriter { NewLine = "\n" };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = hasColour ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = hasColour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(writer),
        });
        console.Write(new ConsoleTable.Drawing(ConsoleTable.Lines(table, width, StateColours.Of)));
        return writer.ToString().TrimEnd('\n').Split('\n');
    }
}
