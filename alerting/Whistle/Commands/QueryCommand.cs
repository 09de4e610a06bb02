using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Commands;

static class QueryCommand
{
    static readonly Argument<string> Expression = new("expression") { Description = "A PromQL expression." };
    static readonly Option<string?> Time = new("--time") { Description = "The instant: RFC 3339 or Unix seconds; now where it is not given." };
    static readonly Option<string?> Range = new("--range") { Description = "Evaluates over the time up to the instant, such as 6h." };
    static readonly Option<string> Step = new("--step") { Description = "Distance of the points of a range.", DefaultValueFactory = _ => "5m" };

    public static Command Build() => ServerConnection.With(
        new Command("query", "Evaluates a PromQL expression.") { Expression, Time, Range, Step }, async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync(Path(arguments), cancellation);
            Print(answer.GetProperty("resultType").GetString()!, answer.GetProperty("result"));
        });

    static string Path(ParseResult arguments)
    {
        var expression = Uri.EscapeDataString(arguments.GetValue(Expression)!);
        var time = arguments.GetValue(Time);
        if (arguments.GetValue(Range) is not { } range)
            return $"api/v1/query?query={expression}{(time is null ? "" : $"&time={Uri.EscapeDataString(time)}")}";
        if (!Durations.TryParse(range, out var milliseconds))
            throw new CommandException($"\"{range}\" is no duration. Write it like 30m, 6h or 1h30m.");
        var end = EndOf(time);
        return string.Create(CultureInfo.InvariantCulture,
            $"api/v1/query_range?query={expression}&start={(end.ToUnixTimeMilliseconds() - milliseconds) / 1000.0}&end={end.ToUnixTimeMilliseconds() / 1000.0}&step={Uri.EscapeDataString(arguments.GetValue(Step)!)}");
    }

    static DateTimeOffset EndOf(string? time)
    {
        if (time is null)
            return TimeProvider.System.GetUtcNow();
        if (double.TryParse(time, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
            return DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
        return DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : throw new CommandException($"\"{time}\" is no time. Write it like 2026-11-23T10:00:00Z, or as Unix seconds.");
    }

    static void Print(string type, JsonElement result)
    {
        switch (type)
        {
            case "vector" or "matrix" when result.GetArrayLength() == 0:
                Console.WriteLine("No series matches.");
                break;
            case "scalar" or "string":
                Console.WriteLine(ConsoleTable.Printable(result[1].GetString()!));
                break;
            case "vector":
                // The value first: series are long, and a terminal breaks what is last.
                ConsoleTable.Write(["VALUE", "SERIES"], result.EnumerateArray().Select(s => new[] { s.GetProperty("value")[1].GetString()!, Series(s) }));
                break;
            case "matrix":
                foreach (var series in result.EnumerateArray())
                {
                    Console.WriteLine(ConsoleTable.Printable(Series(series)));
                    foreach (var point in series.GetProperty("values").EnumerateArray())
                        Console.WriteLine($"  {DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(point[0].GetDouble() * 1000)):u}  {point[1].GetString()}");
                }

                break;
            default:
                throw new CommandException($"The server answered with a result of the unknown type {type}.");
        }
    }

    static string Series(JsonElement series) =>
        Labels.From(series.GetProperty("metric").EnumerateObject().Select(l => new Label(l.Name, l.Value.GetString()!))).ToString();
}
