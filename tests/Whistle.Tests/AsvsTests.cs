using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.Tests;

/// <summary>
/// <c>docs/asvs.md</c> answers every requirement of OWASP ASVS 5.0.0 of levels 1 and 2, and names tests that there are. Whether a test
/// shows what its row says is for whoever reads it.
/// </summary>
public sealed partial class AsvsTests
{
    const string Page = "docs/asvs.md";

    static readonly string[] Answers = ["met", "not applicable", "not met"];

    // Of the standard: how many requirements of levels 1 and 2 each chapter has, and how many there are of level 1.
    static readonly int[] OfChapters = [27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7];
    const int OfLevelOne = 70;

    static readonly List<Row> Rows = [.. Repository.Document(Page).Split('\n').Select(Row.Of).OfType<Row>()];

    [Fact]
    public void Every_requirement_of_levels_1_and_2_has_its_row()
    {
        Assert.Equal(OfChapters, Rows.CountBy(r => r.Number.Chapter).OrderBy(c => c.Key).Select(c => c.Value));
        Assert.Equal(Enumerable.Range(1, OfChapters.Length), Rows.Select(r => r.Number.Chapter).Distinct());
        Assert.Equal(OfLevelOne, Rows.Count(r => r.Level == "1"));
        Assert.All(Rows, r => Assert.Contains(r.Level, (string[])["1", "2"]));
        // In order, so none is there twice.
        Assert.All(Rows.Zip(Rows.Skip(1)), p => Assert.True(
            p.First.Number.CompareTo(p.Second.Number) < 0, $"{p.Second.Number} stands after {p.First.Number}."));
    }

    [Fact]
    public void Every_row_stands_in_its_chapter()
    {
        var chapter = 0;
        foreach (var line in Repository.Document(Page).Split('\n'))
        {
            if (Heading().Match(line) is { Success: true } heading)
                chapter = int.Parse(heading.Groups[1].Value);
            else if (Row.Of(line) is { } row)
                Assert.Equal(chapter, row.Number.Chapter);
        }
    }

    [Fact]
    public void Every_row_says_what_is_asked_has_one_of_three_answers_and_says_by_what()
    {
        Assert.All(Rows, r => Assert.True(
            r.Asks.Length > 5 && Answers.Contains(r.Answer) && r.Evidence.Length > 5, $"{r.Number} is not complete: {r}"));
        foreach (var answer in Answers)
        {
            // The first table counts them.
            Assert.Contains($"| {answer} | {Rows.Count(r => r.Answer == answer)} |", Repository.Document(Page), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_test_that_a_row_names_is_there()
    {
        var tests = Tests();
        var named = Rows.SelectMany(r => Name().Matches(r.Evidence).Select(m => (r.Number, Test: m.Groups[1].Value))).ToList();

        Assert.True(named.Count > 150, $"Only {named.Count} tests are named: were the rows read?");
        Assert.Empty(named.Where(n => !tests.Contains(n.Test)).Select(n => $"{n.Number} names {n.Test}, which is no test."));
        // A name that the pattern does not know would not be looked for.
        Assert.DoesNotContain(
            Rows.SelectMany(r => Code().Matches(r.Evidence).Select(m => m.Value)),
            c => c.Contains("Tests", StringComparison.Ordinal) && !Name().IsMatch(c));
    }

    // By class and method, as the sources have them. A class may stand in several files, and a file may have several.
    static HashSet<string> Tests() =>
    [
        .. from file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "tests"), "*.cs", SearchOption.AllDirectories)
           let text = File.ReadAllText(file)
           let classes = Class().Matches(text)
           from i in Enumerable.Range(0, classes.Count)
           from method in Method().Matches(text[classes[i].Index..(i + 1 < classes.Count ? classes[i + 1].Index : text.Length)])
           select $"{classes[i].Groups[1].Value}.{method.Groups[1].Value}",
    ];

    [GeneratedRegex(@"^## V(\d+) ")]
    private static partial Regex Heading();

    [GeneratedRegex(@"`(\w+Tests\.\w+)`")]
    private static partial Regex Name();

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex Code();

    [GeneratedRegex(@"^public (?:sealed |abstract |static |partial )*class (\w+Tests)\b", RegexOptions.Multiline)]
    private static partial Regex Class();

    // From the attribute to the name, over other attributes and not over another test.
    [GeneratedRegex(
        @"\[(?:Fact|Theory)\b[^\n]*\n(?:(?!\[Fact|\[Theory|;\n)[\s\S])*?"
        + @"(?:public|internal) (?:async )?(?:Task|ValueTask|void) (\w+)\(")]
    private static partial Regex Method();

    sealed record Row((int Chapter, int Section, int Requirement) Number, string Level, string Asks, string Answer, string Evidence)
    {
        public static Row? Of(string line) =>
            line.Trim('|').Split('|', StringSplitOptions.TrimEntries) is [var number, var level, var asks, var answer, var evidence]
                && number.Split('.') is [var chapter, var section, var requirement] && int.TryParse(chapter, out var c)
                && int.TryParse(section, out var s) && int.TryParse(requirement, out var r)
                ? new((c, s, r), level, asks, answer, evidence) : null;
    }
}
