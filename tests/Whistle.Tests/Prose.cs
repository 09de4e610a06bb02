using System.Text.RegularExpressions;

namespace Whistle.Tests;

/// <summary>A piece of text of a Markdown page: a paragraph, a list item or a table cell, without headings and code blocks.</summary>
/// <param name="Line">Where it begins, from 1.</param>
/// <param name="Text">Code in backticks and the targets of links are left out; a list of code counts as one word.</param>
sealed partial record Prose(int Line, string Text)
{
    const string Code = "CODE";

    public IEnumerable<string> Sentences => SentenceEnd().Split(Text);

    public static int Words(string sentence) => sentence.Split(' ').Count(w => w.Any(char.IsLetterOrDigit));

    public static IEnumerable<Prose> Of(string markdown)
    {
        var paragraph = new List<string>();
        var start = 0;
        var code = false;
        foreach (var (index, line) in markdown.Split('\n').Append("").Index())
        {
            var (text, kind) = Classify(line.Trim(), ref code);
            if (kind is not Kind.More && paragraph.Count > 0)
            {
                yield return Plain(start, string.Join(' ', paragraph));
                paragraph.Clear();
            }

            if (kind is Kind.Row)
            {
                foreach (var cell in Bar().Split(text))
                    yield return Plain(index + 1, cell);
            }
            else if (kind is Kind.Item or Kind.More)
            {
                start = paragraph.Count == 0 ? index + 1 : start;
                paragraph.Add(text);
            }
        }
    }

    enum Kind
    {
        Nothing,
        Row,
        Item,
        More,
    }

    static (string Text, Kind Kind) Classify(string line, ref bool code)
    {
        if (line.StartsWith("```", StringComparison.Ordinal))
            code = !code;
        else if (!code && line.StartsWith('|'))
            return (line, Kind.Row);
        else if (!code && line.Length > 0 && !line.StartsWith('#'))
            return Bullet().Match(line) is { Success: true } bullet ? (line[bullet.Length..], Kind.Item) : (line, Kind.More);
        return ("", Kind.Nothing);
    }

    static Prose Plain(int line, string text) => new(line, CodeList().Replace(Target().Replace(text, "]"), $" {Code} ").Trim());

    [GeneratedRegex(@"^([-*]|\d+\.) ")]
    private static partial Regex Bullet();

    [GeneratedRegex(@"(?<!\\)\|")]
    private static partial Regex Bar();

    [GeneratedRegex(@"\]\([^)]*\)")]
    private static partial Regex Target();

    [GeneratedRegex("(`[^`]*`(, and|, or|,| and| or)? *)+")]
    private static partial Regex CodeList();

    [GeneratedRegex(@"(?<=[.!?])[""*)\]]*\s+")]
    private static partial Regex SentenceEnd();
}
