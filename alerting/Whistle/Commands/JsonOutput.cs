using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>An answer of the server as it is, for programs, or in words, for people.</summary>
static class JsonOutput
{
    public static readonly Option<bool> Option = new("--json") { Description = "Prints the server's answer as JSON." };

    public static void Write(ParseResult arguments, JsonElement answer, Action<JsonElement> print)
    {
        if (arguments.GetValue(Option))
            Console.WriteLine(answer);
        else
            print(answer);
    }
}

/// <summary>The timeline of an incident, a run or a ticket.</summary>
static class TimelineText
{
    const int KindWidth = 10;

    public static void Write(JsonElement owner)
    {
        Console.WriteLine();
        Console.WriteLine("Timeline");
        foreach (var entry in owner.Items("timeline"))
        {
            var times = entry.Text("count") is "" or "1" ? "" : $" ({entry.Text("count")} times)";
            var author = entry.Text("author") is { Length: > 0 } name ? $"{name}: " : "";
            ConsoleTable.WriteParagraph($"  {entry.Time("at"):u}  {entry.Text("kind"),-KindWidth}  ", $"{author}{entry.Text("text")}{times}");
        }
    }
}

/// <summary>One colour for one meaning, in every table.</summary>
static class StateColours
{
    const string Bad = "1;31";
    const string Warning = "33";
    const string Unknown = "35";
    const string UnderWay = "36";
    const string Good = "32";

    /// <summary>The SGR parameters (ECMA-48) for a cell; null for none.</summary>
    public static string? Of(string header, string cell) => header is not ("STATE" or "SEVERITY" or "ENDED AS" or "OUTCOME" or "MODE") ? null : cell switch
    {
        _ when cell.EndsWith(", hidden", StringComparison.Ordinal) => null,
        "firing" or "critical" or "open" or "failed" or "escalated" or "rolled-back" or "indeterminate" => Bad,
        "warning" or "degraded" or "awaiting-approval" or "waiting-on-customer" or "refused" => Warning,
        "pending" or "mitigating" or "recovering" or "running" or "verifying" or "in-progress" or "automatic" => UnderWay,
        "cleared" or "succeeded" or "resolved" => Good,
        _ when cell.StartsWith("unknown", StringComparison.Ordinal) => Unknown,
        _ => null,
    };
}
