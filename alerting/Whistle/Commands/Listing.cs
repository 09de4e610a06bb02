using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>A table of texts.</summary>
/// <param name="Header">In capitals; <see cref="StateColours"/> knows some.</param>
sealed record Listing(string[] Header, IReadOnlyList<string[]> Rows)
{
    /// <summary>Columns that go under their row, in lines of their own, where the terminal is narrow.</summary>
    public string[] Details { get; init; } = [];

    /// <summary>Columns that only <c>--output wide</c> and <c>csv</c> have.</summary>
    public string[] Wide { get; init; } = [];

    /// <summary>Columns that a narrow terminal goes without, the first of them first.</summary>
    public string[] Spare { get; init; } = [];

    /// <summary>What is said where there is no row.</summary>
    public string Empty { get; init; } = "";

    /// <summary>What is only for people: no program reads it as a row.</summary>
    public string[] Notes { get; init; } = [];

    public Listing Without(string[] names)
    {
        int[] kept = [.. Enumerable.Range(0, Header.Length).Where(i => !names.Contains(Header[i]))];
        return kept.Length == Header.Length ? this : this with { Header = Pick(Header), Rows = [.. Rows.Select(Pick)], Wide = [] };

        string[] Pick(string[] from) => [.. kept.Select(i => from[i])];
    }
}

/// <summary>The same list for people and for programs.</summary>
static class ListOutput
{
    const string Table = "table";
    const string Wide = "wide";
    const string Csv = "csv";
    const string AsJson = "json";

    static readonly Option<string> Output = Make();

    /// <summary>Gives a list its options.</summary>
    public static Command Lists(this Command command)
    {
        command.Shows().Options.Add(Output);
        command.Validators.Add(result =>
        {
            if (result.GetValue(JsonOutput.Option) && result.GetResult(Output) is { Implicit: false }
                && result.GetValue(Output) is not AsJson)
                result.AddError("--json and --output contradict each other. Give one of them.");
        });
        return command;
    }

    /// <summary>Gives what shows one thing its options.</summary>
    public static Command Shows(this Command command)
    {
        foreach (var option in new Option[] { JsonOutput.Option, View.RawOption, View.InstantsOption })
            command.Options.Add(option);
        return command;
    }

    public static bool IsTable(ParseResult arguments) => !IsJson(arguments) && arguments.GetValue(Output) is Table;

    public static bool IsJson(ParseResult arguments) => arguments.GetValue(JsonOutput.Option) || arguments.GetValue(Output) is AsJson;

    public static bool IsCsv(ParseResult arguments) => !IsJson(arguments) && arguments.GetValue(Output) is Csv;

    /// <summary>Tables of one answer, one below the other. CSV has the first: a program reads one table.</summary>
    public static void Write(ParseResult arguments, JsonElement answer, DateTimeOffset now, params Func<View, Listing>[] tables)
    {
        var view = View.Of(arguments, now);
        switch (arguments.GetValue(Output))
        {
            case var _ when IsJson(arguments):
                JsonOutput.Write(answer);
                break;
            case Csv:
                CsvText.Write(Console.Out, tables[0](view with { Raw = true, Instants = true }));
                break;
            case Wide:
                Print(tables, view with { Instants = true }, isWide: true);
                break;
            default:
                Print(tables, view, isWide: false);
                break;
        }
    }

    static void Print(Func<View, Listing>[] tables, View view, bool isWide)
    {
        for (var i = 0; i < tables.Length; i++)
        {
            var table = tables[i](view);
            if (table is { Rows.Count: 0, Empty: "", Notes: [] })
                continue;
            if (i > 0)
                Console.WriteLine();
            if (table.Rows.Count > 0)
                ConsoleTable.Write(isWide ? table : table.Without(table.Wide), isWide ? null : Terminal.Width);
            else if (table.Empty.Length > 0)
                Console.WriteLine(table.Empty);
            foreach (var note in table.Notes)
                ConsoleTable.WriteParagraph("", note);
        }
    }

    static Option<string> Make()
    {
        var option = new Option<string>("--output", "-o")
        {
            Description = "table for people; wide adds columns, instants and cuts nothing; csv and json are for programs.",
            DefaultValueFactory = _ => Table,
        };
        return option.AcceptOnlyFromAmong(Table, Wide, Csv, AsJson);
    }
}

/// <summary>
/// Comma-separated values, quoted as in RFC 4180, with a line of names in small letters. Lines end as the tools of Unix want them.
/// </summary>
static class CsvText
{
    public static void Write(TextWriter to, Listing table)
    {
        WriteRow(to, table.Header.Select(name => name.ToLowerInvariant().Replace(' ', '_')));
        foreach (var row in table.Rows)
            WriteRow(to, row);
    }

    static void WriteRow(TextWriter to, IEnumerable<string> cells) => to.Write(string.Join(',', cells.Select(Quoted)) + "\n");

    static string Quoted(string cell) => cell.AsSpan().ContainsAny("\",\r\n") || cell is [' ', ..] or [.., ' ']
        ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
        : cell;
}
