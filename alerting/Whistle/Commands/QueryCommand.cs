using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Printing;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Commands;

static class QueryCommand
{
    static readonly Argument<string> Expression = new("expression") { Description = "A PromQL expression." };
    static readonly Option<string?> Time =
        new("--time") { Description = "The instant: RFC 3339 or Unix seconds; now where it is not given." };
    static readonly Option<string?> Range = new("--range") { Description = "Evaluates over the time up to the instant, such as 6h." };
    static readonly Option<string> Step =
        new("--step") { Description = "Distance of the points of a range.", DefaultValueFactory = _ => "5m" };

    public static Command Build() => ServerConnection.With(
        new Command("query", "Evaluates a PromQL expression.") { Expression, Time, Range, Step }.Lists(),
        async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync(Path(arguments), cancellation);
            // A program reads numbers as they are.
            ListOutput.Write(arguments, answer, server.Now, ListOutput.IsTable(arguments)
                ? view => Print(answer, RawInPipe(view))
                : view => Table(answer, RawInPipe(view)));
        });

    static View RawInPipe(View view) => view with { Raw = view.Raw || Console.IsOutputRedirected };

    static string Path(ParseResult arguments)
    {
        var expression = Uri.EscapeDataString(arguments.GetValue(Expression)!);
        var time = arguments.GetValue(Time);
        if (arguments.GetValue(Range) is not { } range)
            return $"api/v1/query?query={expression}{(time is null ? "" : $"&time={Uri.EscapeDataString(time)}")}";
        if (!Durations.TryParse(range, out var milliseconds))
            throw new UsageException($"\"{range}\" is not a duration. Write it like 30m, 6h or 1h30m.");
        var end = EndOf(time);
        return string.Create(CultureInfo.InvariantCulture,
            $"api/v1/query_range?query={expression}&start={(end.ToUnixTimeMilliseconds() - milliseconds) / 1000.0}&end="
            + $"{end.ToUnixTimeMilliseconds() / 1000.0}&step={Uri.EscapeDataString(arguments.GetValue(Step)!)}");
    }

    static DateTimeOffset EndOf(string? time)
    {
        if (time is null)
            return TimeProvider.System.GetUtcNow();
        if (double.TryParse(time, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds))
            return DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000));
        return DateTimeOffset.TryParse(time, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : throw new UsageException($"\"{time}\" is no time. Write it like 2026-11-23T10:00:00Z, or as Unix seconds.");
    }

    static Listing Table(JsonElement answer, View view)
    {
        var result = answer.GetProperty("result");
        return Type(answer) switch
        {
            // The value first: series are long, and a terminal breaks what is last.
            "scalar" or "string" => new(["VALUE"], [[Printable.Of(result[1].GetString()!)]]),
            "vector" => new(["VALUE", "SERIES"],
                [.. result.EnumerateArray().Select(s => new[] { Value(s, s.GetProperty("value"), view), Series(s) })]),
            _ => new(["TIME", "VALUE", "SERIES"],
            [
                .. result.EnumerateArray().SelectMany(s => s.GetProperty("values").EnumerateArray().Select(p => new[]
                {
                    View.Instant(At(p)), Value(s, p, view), Series(s),
                })),
            ]),
        };
    }

    // Series by series, as a person reads a matrix.
    static Listing Print(JsonElement answer, View view)
    {
        var result = answer.GetProperty("result");
        if (Type(answer) is "scalar" or "string")
            return Nothing(Printable.Of(result[1].GetString()!));
        if (result.GetArrayLength() == 0)
            return Nothing("No series matches.");
        if (Type(answer) is "vector")
            return Table(answer, view);
        foreach (var series in result.EnumerateArray())
        {
            Console.WriteLine(Series(series));
            foreach (var point in series.GetProperty("values").EnumerateArray())
                Console.WriteLine($"  {At(point):u}  {Value(series, point, view)}");
        }

        return Nothing("");
    }

    static Listing Nothing(string text) => new([], []) { Empty = text };

    static string Type(JsonElement answer) => answer.GetProperty("resultType").GetString() switch
    {
        ("scalar" or "string" or "vector" or "matrix") and var known => known,
        var type => throw new CommandException($"The server answered with a result of the unknown type {type}."),
    };

    static DateTimeOffset At(JsonElement point) => DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(point[0].GetDouble() * 1000));

    static string Value(JsonElement series, JsonElement point, View view) =>
        view.Sample(series.GetProperty("metric").Text("__name__"), Printable.Of(point[1].GetString()!));

    static string Series(JsonElement series) => Printable.Of(
        Labels.From(series.GetProperty("metric").EnumerateObject().Select(l => new Label(l.Name, l.Value.GetString()!))).ToString());
}
