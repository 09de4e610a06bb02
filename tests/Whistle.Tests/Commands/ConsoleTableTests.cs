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
        Assert.Contains("\e[1;31mfiring              \e[0m  \e[1;31mcritical\e[0m  Node", Lines(null, AlertRows.Colour).ElementAt(1), StringComparison.Ordinal);

    static IEnumerable<string> Lines(int? width, CellColour? colour = null)
    {
        using var json = JsonDocument.Parse(Signals);
        return [.. ConsoleTable.Lines(AlertRows.ActiveHeader, AlertRows.Active(json.RootElement, Now), AlertRows.Details, width, colour)];
    }
}
