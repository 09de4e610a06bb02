using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.Tests;

/// <summary>The documents do not contradict each other, link to each other, and are written in plain English.</summary>
public sealed partial class DocumentTests
{
    static readonly string[] Stages = ["alerting", "detectors", "ingest", "remediation"];

    static IEnumerable<(string Name, string Text)> Documents =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories)
            .Select(f => (Path.GetFileName(f), File.ReadAllText(f)));

    // By their path in the repository. The pages of single alerts are linked from the rules.
    static readonly string[] Pages =
    [
        "README.md", .. PagesIn("docs"),
    ];

    static readonly string[] AlertPages = [.. PagesIn("docs/runbooks")];

    [Fact]
    public void There_is_one_systemd_unit_of_the_server() =>
        Assert.Equal("operations.md", Assert.Single(Documents.SelectMany(d => Unit().Matches(d.Text).Select(_ => d.Name))));

    [Fact]
    public void Each_program_ships_one_unit_and_the_document_has_that_of_the_server()
    {
        string[] units =
        [
            .. Stages
                .SelectMany(s => Directory.EnumerateFiles(Path.Combine(Repository.Root, s), "*.service", SearchOption.AllDirectories))
                .Select(f => Path.GetRelativePath(Repository.Root, f)).Order(),
        ];

        Assert.Equal(["alerting/Whistle/whistle.service", "ingest/Whistle.Agent/whistle-agent.service"], units);
        Assert.Contains(Repository.Document(units[0]), Repository.Examples("docs/operations.md", "ini"));
    }

    [Fact]
    public void The_agent_keeps_certificates_elsewhere_than_the_server_its_backups()
    {
        var folder = BackupFolder().Match(Documents.Single(d => d.Name == "node-policy.md").Text).Groups[1].Value;

        Assert.StartsWith("/", folder, StringComparison.Ordinal);
        Assert.DoesNotContain(folder, Documents.Single(d => d.Name == "operations.md").Text, StringComparison.Ordinal);
    }

    [Fact]
    public void No_sentence_has_more_than_40_words() => Assert.Empty(
        from page in Pages.Concat(AlertPages)
        from prose in Prose.Of(Repository.Document(page))
        from sentence in prose.Sentences
        where Prose.Words(sentence) > 40
        select $"{page}:{prose.Line}: {Prose.Words(sentence)} words: {sentence}");

    [Theory]
    [InlineData("One two.\nThree `a b c`, `d` four!\n\n- five six\n  seven\n1. eight", "2 3 3 1")]
    [InlineData(
        "| one two | `a \\| b` three. Four |\n# Five\n```\nsix. Seven\n```\n"
        + "eight [nine ten](eleven.md) (twelve.) Thirteen",
        "2 2 1 4 1")]
    public void Sentences_are_counted_by_their_words(string markdown, string counts) => Assert.Equal(
        counts, string.Join(' ', Prose.Of(markdown).SelectMany(p => p.Sentences).Select(Prose.Words).Where(w => w > 0)));

    [Fact]
    public void Every_page_is_reached_from_the_readme()
    {
        HashSet<string> seen = ["README.md"];
        for (var pages = new Queue<string>(seen); pages.TryDequeue(out var page);)
        {
            foreach (var (next, _) in Links(page).Where(l => Pages.Contains(l.Page) && seen.Add(l.Page)))
                pages.Enqueue(next);
        }

        Assert.Empty(Pages.Except(seen));
    }

    [Fact]
    public void Every_block_of_code_ends() => Assert.All(Pages.Concat(AlertPages), p => Assert.True(
        Repository.Document(p).Split('\n').Count(l => l.TrimStart().StartsWith("```", StringComparison.Ordinal)) % 2 == 0, p));

    [Fact]
    public void Every_alert_has_a_page_and_every_page_an_alert()
    {
        var rules = Directory.EnumerateFiles(Path.Combine(Repository.Root, "detectors/Whistle.Detectors/rules"), "*.yaml").Select(
            File.ReadAllText).ToList();
        Assert.All(rules, r => Assert.Equal(Regex.Count(r, @"(?m)^\s*- alert:"), RunbookUrl().Count(r)));
        var named = rules.SelectMany(r => RunbookUrl().Matches(r).Select(m => m.Groups[1].Value)).ToHashSet();

        Assert.Equal(AlertPages, named.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_link_leads_to_a_file_and_a_heading_of_it()
    {
        foreach (var page in Pages.Concat(AlertPages))
        {
            Assert.All(Links(page), l => Assert.True(
                File.Exists(Path.Combine(Repository.Root, l.Page)) && (l.Heading.Length == 0 || Headings(l.Page).Contains(l.Heading)),
                $"{page} links to {l.Page}#{l.Heading}, which is not there."));
        }
    }

    [Fact]
    public void Words_that_the_glossary_rules_out_stand_nowhere()
    {
        var wrong = Excluded();
        Assert.True(wrong.Length >= 20, $"Only {wrong.Length} words are ruled out: was the table of docs/glossary.md read?");
        Assert.Empty(
            from page in Pages.Concat(AlertPages).Except(["docs/glossary.md"])
            from prose in Prose.Of(Repository.Document(page))
            from word in wrong
            where Regex.IsMatch(prose.Text, $@"\b{word}\b", RegexOptions.IgnoreCase)
            select $"{page}:{prose.Line}: \"{word}\" is ruled out by docs/glossary.md: {prose.Text}");
    }

    [Fact]
    public void Every_word_of_the_glossary_stands_there_once()
    {
        var words = GlossaryRows().SelectMany(r => r[0].Split(", ")).ToList();
        Assert.Distinct(words.Where(w => w != "source"));
        Assert.Empty(Excluded().Intersect(words));
    }

    static IEnumerable<string> PagesIn(string folder) => Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), "*.md")
        .Select(f => $"{folder}/{Path.GetFileName(f)}").Order(StringComparer.Ordinal);

    static string[] Excluded() => [.. GlossaryRows().SelectMany(r => r[2].Split(", ", StringSplitOptions.RemoveEmptyEntries))];

    // Word, meaning, and what it is not called.
    static IEnumerable<string[]> GlossaryRows() => Repository.Document("docs/glossary.md").Split('\n')
        .Where(l => l.StartsWith("| ", StringComparison.Ordinal)).Select(l => l.Trim('|').Split('|', StringSplitOptions.TrimEntries))
        .Where(r => r[2] is not ("not" or "---"));

    // What a page links to, as a path in the repository, and the heading there.
    static IEnumerable<(string Page, string Heading)> Links(string page) =>
        from link in Link().Matches(Repository.Document(page))
        let target = link.Groups[1].Value
        where !target.Contains("://", StringComparison.Ordinal)
        let parts = target.Split('#')
        let path = parts[0].Length == 0 ? page : Path.Combine(Path.GetDirectoryName(page)!, parts[0])
        select (Path.GetRelativePath(Repository.Root, Path.GetFullPath(path, Repository.Root)), parts.ElementAtOrDefault(1) ?? "");

    // As GitHub makes the anchors of headings.
    static IEnumerable<string> Headings(string page) => Repository.Document(page).Split('\n')
        .Where(l => l.StartsWith('#'))
        .Select(l => Punctuation().Replace(l.TrimStart('#').Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("runbook_url: (\\S+)")]
    private static partial Regex RunbookUrl();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"^ExecStart=\S*whistle serve", RegexOptions.Multiline)]
    private static partial Regex Unit();

    [GeneratedRegex("\"backupFolder\": \"([^\"]+)\"")]
    private static partial Regex BackupFolder();
}
