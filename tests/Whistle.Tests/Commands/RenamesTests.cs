using System.Text.RegularExpressions;

using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

/// <summary>Every old name works for one version, and stands in docs/renames.md.</summary>
public sealed partial class RenamesTests
{
    static readonly Rename[] Samples =
    [
        new(RenameKind.Verb, "", "serve", "2.0"),
        new(RenameKind.Verb, "jobs list", "runs list", "2.0"),
        new(RenameKind.Option, "runs list --everything", "runs list --all", "2.0"),
        new(RenameKind.ApiField, "incidents.hides", "incidents.inhibits", "2.0"),
    ];

    [Fact]
    public void The_document_has_the_table() => Assert.Equal(
        Renames.All.Select(r => (Kind(r), Shown(r, r.Old), Shown(r, r.New), r.Until)),
        Row().Matches(File.ReadAllText(Path.Combine(Repository.Root, "docs", "renames.md")))
            .Select(m => (m.Groups[1].Value, m.Groups[2].Value, m.Groups[3].Value, m.Groups[4].Value)));

    [Theory]
    [InlineData("--data x", "serve --data x")]
    [InlineData("jobs list --json", "runs list --json")]
    [InlineData("jobs list --everything", "runs list --all")]
    [InlineData("runs list --everything=true", "runs list --all=true")]
    [InlineData("runs list", "runs list")]
    [InlineData("incidents --everything", "incidents --everything")]
    [InlineData("--help", "--help")]
    [InlineData("--version", "--version")]
    [InlineData("", "")]
    public void An_old_name_is_taken_for_the_new_one_and_told_of(string typed, string meant)
    {
        var warnings = new List<string>();

        Assert.Equal(Words(meant), Renames.Apply(Samples, Words(typed), warnings.Add));
        Assert.Equal(typed == meant, warnings.Count == 0);
        Assert.All(warnings, w => Assert.EndsWith("works until version 2.0.", w, StringComparison.Ordinal));
    }

    [Fact]
    public void The_warning_says_what_to_write()
    {
        var warnings = new List<string>();
        Renames.Apply(Samples, Words("jobs list --everything"), warnings.Add);
        Assert.Equal(
            [
                "Warning: write `whistle runs list`; `whistle jobs list` works until version 2.0.",
                "Warning: write `whistle runs list --all`; `whistle runs list --everything` works until version 2.0.",
            ],
            warnings);
    }

    [Fact]
    public void Every_new_name_of_the_command_line_exists()
    {
        var paths = CommandLine.Tree(CommandLine.Build()).ToDictionary(c => c.Path, c => c.Command);
        Assert.All(Renames.All.Where(r => r.Kind is RenameKind.Verb), r => Assert.Contains(r.New, paths.Keys));
        Assert.All(Renames.All.Where(r => r.Kind is RenameKind.Option), r =>
            Assert.Contains(paths[string.Join(' ', Words(r.New)[..^1])].Options, o => o.Name == Words(r.New)[^1]));
    }

    static string Kind(Rename rename) => rename.Kind switch
    {
        RenameKind.Verb => "verb",
        RenameKind.Option => "option",
        _ => "API field",
    };

    static string Shown(Rename rename, string name) => rename.Kind is RenameKind.ApiField ? name
        : $"whistle {name}{(rename.Old.Length == 0 ? " OPTIONS" : "")}".Replace("  ", " ", StringComparison.Ordinal);

    static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    [GeneratedRegex(@"^\| (verb|option|API field) \| `([^`]+)` \| `([^`]+)` \| ([^ ]+) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
