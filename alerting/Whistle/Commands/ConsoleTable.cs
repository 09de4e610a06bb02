using System.Globalization;
using System.Text;

using Spectre.Console;
using Spectre.Console.Rendering;

namespace Whistle.Commands;

/// <summary>What a column says of a cell: its colour, or null for none.</summary>
delegate Style? CellColour(string header, string cell);

/// <summary>
/// Tables and texts for a terminal of any width. Spectre's own table has no lines under a row, breaks what people copy, and takes a second
/// and a half
/// for 10,000 rows (this one a tenth of that); so the lines are laid out here, and Spectre draws them.
/// </summary>
static class ConsoleTable
{
    const string Gap = "  ";

    // The rest is in --output wide.
    const int MostLinesOfDetail = 3;

    // A summary that is cut shorter than this says nothing.
    const int LeastLast = 32;

    public static void Write(Listing table, int? width) => Draw(Lines(table, width, StateColours.Of));

    /// <summary>One below the other; what is empty is left out.</summary>
    public static void WriteFields(params (string Name, string Value)[] fields) => Draw(Fields("", fields, Terminal.Width));

    /// <summary>A table under a title; nothing where it has no rows.</summary>
    public static void WriteSection(string title, string[] header, IEnumerable<string[]> rows, string[] details)
    {
        var table = new Listing(header, [.. rows]) { Details = details };
        if (table.Rows.Count == 0)
            return;
        Draw([[], [new Segment(title, StateColours.Heading)], .. Lines(table, Terminal.Width - Gap.Length, StateColours.Of)
            .Select(l => l.Prepend(new(Gap)))]);
    }

    /// <summary>A text broken at the terminal's border, its further lines as far in as its first.</summary>
    public static void WriteParagraph(string before, string text) =>
        Draw(Paragraph(before, text, Terminal.Width).Select(l => new[] { new Segment(l) }));

    public static void WriteHeading(string text) => Draw([[new Segment(text, StateColours.Heading)]]);

    /// <summary>
    /// Columns as wide as their widest cell. Where they do not fit into the width, those named as details go under their row, in lines of
    /// their own; where the others do not fit either, all stand one below the other.
    /// </summary>
    public static IEnumerable<IEnumerable<Segment>> Lines(Listing table, int? width, CellColour colour)
    {
        var header = table.Header;
        var widths = header.Select(
            (name, column) => table.Rows.Max(c => Cells(c[column])) is var most ? Math.Max(most, name.Length) : 0).ToArray();
        int[] all = [.. Enumerable.Range(0, header.Length)];
        // What has no details is for reading in full: the terminal breaks its lines.
        if (table.Details.Length == 0 || width is null || WidthOf(all, widths, LeastLast) <= width)
        {
            var limit = table.Details.Length == 0 ? null : width;
            return Rows(table, widths, all, [], limit, colour);
        }

        int[] left = [.. all.Where(i => !table.Details.Contains(header[i]))];
        for (var spared = 0; spared <= table.Spare.Length; spared++)
        {
            int[] kept = [.. left.Where(i => !table.Spare.AsSpan(0, spared).Contains(header[i]))];
            if (kept.Length > 0 && WidthOf(kept, widths, int.MaxValue) <= width)
                return Rows(table, widths, kept, [.. all.Except(left)], width, colour);
        }

        return table.Rows.SelectMany((row, i) => Fields("", [.. header.Zip(row)], width).Prepend([]).Skip(i == 0 ? 1 : 0));
    }

    static int WidthOf(int[] columns, int[] widths, int mostOfLast) =>
        columns[..^1].Sum(c => widths[c] + Gap.Length) + Math.Min(widths[columns[^1]], mostOfLast);

    static IEnumerable<IEnumerable<Segment>> Rows(Listing table, int[] widths, int[] kept, int[] under, int? width, CellColour colour)
    {
        // What has lines of its own below the row fits as it is.
        var limit = under.Length > 0 ? null : width;
        yield return Line(table.Header, table.Header, kept, widths, limit, (_, _) => StateColours.Heading);
        foreach (var row in table.Rows)
        {
            yield return Line(row, table.Header, kept, widths, limit, colour);
            foreach (var line in under.Where(i => row[i].Length > 0).SelectMany(i => Shortened(Paragraph(Gap + Gap, row[i], width))))
                yield return [new(line)];
        }
    }

    static string[] Shortened(IEnumerable<string> lines)
    {
        string[] some = [.. lines.Take(MostLinesOfDetail + 1)];
        return some.Length <= MostLinesOfDetail ? some : [.. some[..(MostLinesOfDetail - 1)], some[MostLinesOfDetail - 1] + " …"];
    }

    // Nothing after the last cell that says something: trailing spaces would break the lines of a narrow terminal.
    static List<Segment> Line(string[] cells, string[] header, int[] kept, int[] widths, int? limit, CellColour colour)
    {
        var (line, used) = (new List<Segment>(2 * kept.Length), 0);
        var last = Array.FindLastIndex(kept, c => cells[c].Length > 0);
        for (var i = 0; i <= last; i++)
        {
            var (cell, width) = (cells[kept[i]], widths[kept[i]]);
            var text = i == kept.Length - 1 ? Cut(cell, limit - used) : i == last ? cell : Padded(cell, width);
            line.Add(new(text, colour(header[kept[i]], cell) ?? Style.Plain));
            if (i < last)
                line.Add(new(Gap));
            used += width + Gap.Length;
        }

        return line;
    }

    static IEnumerable<IEnumerable<Segment>> Fields(string before, (string Name, string Value)[] fields, int? width)
    {
        var names = fields.Max(f => f.Name.Length);
        foreach (var (name, value) in fields.Where(f => f.Value.Length > 0))
        {
            var start = $"{before}{Gap}{name.PadRight(names)}{Gap}";
            foreach (var line in Paragraph(start, value, width))
                yield return [new(line[..start.Length]),
                    new(line[start.Length..], StateColours.Of(name.ToUpperInvariant(), value) ?? Style.Plain)];
        }
    }

    /// <summary>Words that are longer than a line are left whole, for they are often copied.</summary>
    public static IEnumerable<string> Paragraph(string before, string text, int? width)
    {
        var (line, used, empty) = (new StringBuilder(before), Cells(before), true);
        foreach (var word in text.Split(' '))
        {
            var length = Cells(word);
            if (!empty && used + 1 + length > width)
            {
                yield return line.ToString();
                line.Clear().Append(' ', before.Length);
                (used, empty) = (before.Length, true);
            }

            line.Append(empty ? "" : " ").Append(word);
            used += length + (empty ? 0 : 1);
            empty = false;
        }

        yield return line.ToString();
    }

    /// <summary>Columns of a terminal: those of Chinese, Japanese and Korean characters are two wide, of combining ones none.</summary>
    static int Cells(string text) => Ascii.IsValid(text) ? text.Length : text.GetCellWidth();

    static string Padded(string cell, int width) => cell + new string(' ', Math.Max(0, width - Cells(cell)));

    static string Cut(string text, int? length)
    {
        if (length is not { } most || Cells(text) <= most)
            return text;
        var kept = new StringBuilder();
        var room = Math.Max(0, most - 1);
        foreach (var element in Elements(text))
        {
            room -= Cells(element);
            if (room < 0)
                break;
            kept.Append(element);
        }

        return $"{kept}…";
    }

    static IEnumerable<string> Elements(string text)
    {
        for (var e = StringInfo.GetTextElementEnumerator(text); e.MoveNext();)
            yield return e.GetTextElement();
    }

    static void Draw(IEnumerable<IEnumerable<Segment>> lines) => Terminal.Out.Write(new Drawing(lines));

    /// <summary>Lines that are broken already.</summary>
    internal sealed class Drawing(IEnumerable<IEnumerable<Segment>> lines) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => new(0, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
        {
            foreach (var line in lines)
            {
                foreach (var segment in line)
                    yield return segment;
                yield return Segment.LineBreak;
            }
        }
    }
}

/// <summary>One colour for one meaning, in every table.</summary>
static class StateColours
{
    public static readonly Style Heading = new(decoration: Decoration.Bold);

    // Not the literal, which would be taken for a string and that for a style.
    static Style? None => default;

    static readonly Style Bad = new(Color.Maroon, decoration: Decoration.Bold);
    static readonly Style Warning = new(Color.Olive);
    static readonly Style Unknown = new(Color.Purple);
    static readonly Style UnderWay = new(Color.Teal);
    static readonly Style Good = new(Color.Green);

    /// <summary>The style of a cell; null for none.</summary>
    public static Style? Of(string header, string cell) =>
        header is not ("STATE" or "SEVERITY" or "ENDED AS" or "OUTCOME" or "MODE") ? None : cell switch
        {
            _ when cell.EndsWith(", inhibited", StringComparison.Ordinal) => None,
            "firing" or "critical" or "open" or "failed" or "escalated" or "rolled-back" or "indeterminate" => Bad,
            "warning" or "degraded" or "awaiting-approval" or "waiting-on-customer" or "refused" => Warning,
            "pending" or "mitigating" or "recovering" or "running" or "verifying" or "in-progress" or "automatic" => UnderWay,
            "cleared" or "succeeded" or "resolved" => Good,
            _ when cell.StartsWith("unknown", StringComparison.Ordinal) => Unknown,
            _ => None,
        };
}
