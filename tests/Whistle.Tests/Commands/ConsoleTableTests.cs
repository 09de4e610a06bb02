using System.Text.Json;

using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

public sealed class ConsoleTableTests
{
    const string Signals =
        """
        [{"labels":{"alertname":"Odd","tenant":"default","cluster":"c","node":"n2","device":"sda","severity":"info"},"annotations":{},"state":"pending",
          "activeAt":"2026-01-01T11:59:30Z","value":"1e+00"},
         {"labels":{"alertname":"NodeFilesystemAlmostOutOfSpace","tenant":"acme","cluster":"prod","node":"n1","mountpoint":"/data\u001b[2J","severity":"critical"},
          "annotations":{"summary":"/data on n1 has less than 3 % of its space left, and nobody has looked"},"state":"firing",
          "activeAt":"2026-01-01T09:00:00Z","firingSince":"2026-01-01T10:00:00Z","value":"2.5e-02"},
         {"labels":{"alertname":"Low","tenant":"default","cluster":"c","node":"n1","severity":"warning"},"annotations":{},"state":"unknown","stateBefore":"firing",
          "activeAt":"2026-01-01T09:00:00Z","firingSince":"2026-01-01T10:00:00Z","unknownSince":"2026-01-01T11:00:00Z","value":"5e+00"}]
        """;

    static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Alerts_are_lines_the_worst_first_and_control_characters_are_shown() => Assert.Equal(
        [
            @"STATE                 SEVERITY  NAME                            WHERE                        SINCE     VALUE  SUMMARY",
            @"firing                critical  NodeFilesystemAlmostOutOfSpace  acme/prod/n1 /data\u001b[2J  2 h ago   0.025  /data on n1 has less than 3 % of its space left, and nobody has looked",
            @"unknown (was firing)  warning   Low                             c/n1                         1 h ago   5",
            @"pending               info      Odd                             c/n2 device=sda              30 s ago  1",
        ],
        Lines(null));

    [Fact]
    public void A_narrow_terminal_has_place_and_summary_under_the_row() => Assert.Equal(
        [
            "STATE                 SEVERITY  NAME                            SINCE     VALUE",
            "firing                critical  NodeFilesystemAlmostOutOfSpace  2 h ago   0.025",
            """    acme/prod/n1 /data\u001b[2J""",
            "    /data on n1 has less than 3 % of its space left, and nobody has looked",
        ],
        Lines(80).Take(4));

    [Fact]
    public void A_summary_is_cut_at_the_border_of_the_terminal()
    {
        var line = Lines(160).ElementAt(1);

        Assert.Equal(160, line.Length);
        Assert.EndsWith("…", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Colours_are_around_the_padded_cell() =>
        Assert.Contains("\e[1;31mfiring              \e[0m  \e[1;31mcritical\e[0m  Node", Lines(null, StateColours.Of).ElementAt(1), StringComparison.Ordinal);

    [Fact]
    public void A_detail_that_is_longer_than_the_terminal_is_broken_between_words() => Assert.Equal(
        ["NAME", "x", "    one two", "    three"], ConsoleTable.Lines(["NAME", "WHY"], [["x", "one two three"]], ["WHY"], 12, null));

    [Fact]
    public void A_paragraph_hangs_and_leaves_what_is_copied_whole() => Assert.Equal(
        ["  at  one two", "      0123456789abcdef", "      three"], ConsoleTable.Paragraph("  at  ", "one two 0123456789abcdef three", 14));

    [Fact]
    public void Incidents_are_the_worst_first_and_the_closed_last()
    {
        using var json = JsonDocument.Parse(
            """
            [{"id":"i1","tenant":"default","cluster":"c","subject":{"node":"n"},"state":"closed","severity":"critical","openedAt":"2026-01-01T09:00:00Z","title":"Over"},
             {"id":"i2","tenant":"acme","cluster":"c","subject":{"node":"n","mountpoint":"/data","device":"sda"},"state":"recovering","severity":"warning","openedAt":"2026-01-01T09:00:00Z","title":"Low"},
             {"id":"i3","tenant":"default","cluster":"c","subject":{},"state":"open","severity":"warning","openedAt":"2026-01-01T11:59:00Z","title":"Odd"},
             {"id":"i4","tenant":"default","cluster":"c","subject":{"device":"sda"},"state":"mitigating","severity":"critical","openedAt":"2026-01-01T11:00:00Z","title":"Full\u001b[2J"}]
            """);

        Assert.Equal(
            [
                @"mitigating critical c device=sda 1 h ago i4 Full\u001b[2J", "open warning c 1 min ago i3 Odd", "recovering warning acme/c/n /data 3 h ago i2 Low", "closed critical c/n 3 h ago i1 Over",
            ],
            IncidentRows.Of(json.RootElement, Now).Select(r => string.Join(' ', r)));
    }

    static IEnumerable<string> Lines(int? width, CellColour? colour = null)
    {
        using var json = JsonDocument.Parse(Signals);
        return [.. ConsoleTable.Lines(AlertRows.ActiveHeader, AlertRows.Active(json.RootElement, Now), AlertRows.Details, width, colour)];
    }
}
