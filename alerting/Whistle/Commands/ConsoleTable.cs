using System.Globalization;
using System.Text;

namespace Whistle.Commands;

/// <summary>What a column says of a cell: the SGR parameters of its colour (ECMA-48), or null for none.</summary>
delegate string? CellColour(string header, string cell);

static class ConsoleTable
{
    const string Gap = "  ";

    // A summary that is cut shorter than this says nothing.
    const int LeastLast = 32;

    /// <summary>The terminal's columns; null where the output goes to a file or a program, which take lines of any length.</summary>
    static int? TerminalWidth => Console.IsOutputRedirected || Console.WindowWidth is <= 0 ? null : Console.WindowWidth;

    /// <summary>https://no-color.org: any value but the empty one turns colours off.</summary>
    static bool HasColour =>
        !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") is not "dumb";

    public static void Write(string[] header, IEnumerable<string[]> rows, string[]? details = null, CellColour? colour = null)
    {
        foreach (var line in Lines(header, [.. rows], details ?? [], TerminalWidth, HasColour ? colour : null))
            Console.WriteLine(line);
    }

    /// <summary>One below the other; what is empty is left out.</summary>
    public static void WriteFields(params (string Name, string Value)[] fields)
    {
        var width = fields.Max(f => f.Name.Length);
        foreach (var (name, value) in fields.Where(f => f.Value.Length > 0))
        {
            var colour = HasColour ? StateColours.Of(name.ToUpperInvariant(), value) : null;
            WriteParagraph($"{Gap}{name.PadRight(width)}{Gap}", value, colour);
        }
    }

    /// <summary>A table under a title; nothing where it has no rows.</summary>
    public static void WriteSection(string title, string[] header, IEnumerable<string[]> rows, string[] details)
    {
        string[][] all = [.. rows];
        if (all.Length == 0)
            return;
        Console.WriteLine();
        Console.WriteLine(title);
        foreach (var line in Lines(header, all, details, TerminalWidth - Gap.Length, HasColour ? StateColours.Of : null))
            Console.WriteLine(Gap + line);
    }

    /// <summary>A text broken at the terminal's border, its further lines as far in as its first.</summary>
    public static void WriteParagraph(string before, string text, string? colour = null)
    {
        foreach (var line in Paragraph(before, text, TerminalWidth))
            Console.WriteLine(line[..before.Length] + Coloured(line[before.Length..], colour));
    }

    /// <summary>
    /// Columns as wide as their widest cell. Where they do not fit into the width, those named as details go under
    /// their row, in lines of their own. Control characters from telemetry are shown, not obeyed.
    /// </summary>
    public static IEnumerable<string> Lines(string[] header, IReadOnlyList<string[]> rows, string[] details, int? width, CellColour? colour)
    {
        var cells = rows.Select(row => row.Select(Printable).ToArray()).ToList();
        var widths = header.Select((name, column) => cells.Select(c => c[column].Length).Append(name.Length).Max()).ToArray();
        var least = widths[..^1].Sum(w => w + Gap.Length) + Math.Min(widths[^1], LeastLast);
        var all = Enumerable.Range(0, header.Length);
        // What has no details is for reading in full: the terminal breaks its lines.
        if (details.Length == 0 || width is null || least <= width)
            return Rows(header, cells, widths, [.. all], details.Length == 0 ? null : width, null, colour);
        return Rows(header, cells, widths, [.. all.Where(i => !details.Contains(header[i]))], null, width, colour);
    }

    public static string Printable(string text) =>
        string.Concat(text.Select(c => IsShownAsItIs(c) ? c.ToString() : $"\\u{(int)c:x4}"));

    // Format characters turn the direction of a line or hide in it.
    static bool IsShownAsItIs(char c) => char.GetUnicodeCategory(c) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);

    static IEnumerable<string> Rows(string[] header, List<string[]> cells, int[] widths, int[] kept, int? width, int? limit, CellColour? colour)
    {
        T[] Pick<T>(T[] from) => [.. kept.Select(i => from[i])];
        yield return Line(Pick(header), Pick(widths), width, null, Pick(header));
        foreach (var row in cells)
        {
            yield return Line(Pick(row), Pick(widths), width, colour, Pick(header));
            foreach (var detail in Enumerable.Range(0, row.Length).Except(kept).Where(i => row[i].Length > 0))
            {
                foreach (var line in Paragraph(Gap + Gap, row[detail], limit))
                    yield return line;
            }
        }
    }

    static string Line(string[] cells, int[] widths, int? limit, CellColour? colour, string[] header)
    {
        var before = widths[..^1].Sum(w => w + Gap.Length);
        var padded = cells.Select((cell, column) =>
        {
            var text = column == cells.Length - 1 ? Cut(cell, limit - before) : cell.PadRight(widths[column]);
            return Coloured(text, colour?.Invoke(header[column], cell));
        });
        return string.Join(Gap, padded).TrimEnd();
    }

    static string Coloured(string text, string? sgr) => sgr is null ? text : $"\e[{sgr}m{text}\e[0m";

    /// <summary>Words that are longer than a line are left whole, for they are often copied.</summary>
    public static IEnumerable<string> Paragraph(string before, string text, int? width)
    {
        var line = new StringBuilder(before);
        var empty = true;
        foreach (var word in text.Split(' '))
        {
            if (!empty && line.Length + 1 + word.Length > width)
            {
                yield return line.ToString();
                line.Clear().Append(' ', before.Length);
                empty = true;
            }

            line.Append(empty ? "" : " ").Append(word);
            empty = false;
        }

        yield return line.ToString();
    }

    static string Cut(string text, int? length) => length is { } most && text.Length > most ? $"{text[..Math.Max(0, most - 1)]}…" : text;
}
