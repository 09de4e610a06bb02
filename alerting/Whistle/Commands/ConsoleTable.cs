namespace Whistle.Commands;

static class ConsoleTable
{
    /// <summary>Columns as wide as their widest cell; control characters from telemetry are shown, not obeyed.</summary>
    public static void Write(string[] header, IEnumerable<string[]> rows)
    {
        var lines = rows.Select(row => row.Select(Printable).ToArray()).Prepend(header).ToList();
        var widths = header.Select((_, column) => lines.Max(line => line[column].Length)).ToArray();
        foreach (var line in lines)
            Console.WriteLine(string.Join("  ", line.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
    }

    public static string Printable(string text) =>
        string.Concat(text.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString()));
}
