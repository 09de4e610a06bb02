using System.CommandLine;
using System.Text.Json;

using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>An answer of the server as it is, for programs, or in words, for people.</summary>
static class JsonOutput
{
    public static readonly Option<bool> Option = new("--json") { Description = "Prints the server's answer as JSON." };

    public static void Write(ParseResult arguments, JsonElement answer, Action<JsonElement> print)
    {
        if (ListOutput.IsJson(arguments))
            Write(answer);
        else
            print(answer);
    }

    public static void Write(JsonElement answer) => Console.WriteLine(Printable.OfJson(answer.ToString()));
}

/// <summary>The timeline of an incident, a run or a ticket.</summary>
static class TimelineText
{
    const int KindWidth = 10;

    // Instants, as what came after what is the point of it.
    public static void Write(JsonElement owner)
    {
        Console.WriteLine();
        ConsoleTable.WriteHeading("Timeline");
        foreach (var entry in owner.Items("timeline"))
        {
            var times = entry.Text("count") is "" or "1" ? "" : $" ({entry.Text("count")} times)";
            var author = entry.Text("author") is { Length: > 0 } name ? $"{name}: " : "";
            ConsoleTable.WriteParagraph(
                $"  {entry.Time("at"):u}  {entry.Text("kind"),-KindWidth}  ", $"{author}{entry.Text("text")}{times}");
        }
    }
}
