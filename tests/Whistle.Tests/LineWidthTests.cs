using System.Globalization;
using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.Tests;

/// <summary>Lines are as wide as <c>.editorconfig</c> says, which no tool enforces.</summary>
public sealed partial class LineWidthTests
{
    static readonly string[] Built = ["bin", "obj", "artifacts"];

    [Fact]
    public void No_line_of_a_source_file_is_wider_than_the_editorconfig_says()
    {
        var widest = Widest();
        Assert.True(Sources(new(Repository.Root)).Skip(300).Any(), "Hardly any source file was found.");
        Assert.Empty(Sources(new(Repository.Root)).SelectMany(f => TooWide(f, widest)));
    }

    [Fact]
    public void A_line_that_is_too_wide_is_named_by_file_and_number()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-");
        try
        {
            Directory.CreateDirectory(Path.Combine(folder.FullName, "obj"));
            foreach (var name in new[] { "a.cs", "b.razor", "c.txt", "obj/d.cs" })
                File.WriteAllText(Path.Combine(folder.FullName, name), $"{new string('x', 140)}\n{new string('x', 141)}\n");
            var found = Sources(folder).SelectMany(f => TooWide(f, 140)).Select(l => Path.GetRelativePath(folder.FullName, l));
            Assert.Equal(["a.cs:2: 141", "b.razor:2: 141"], found.Order(StringComparer.Ordinal));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static int Widest()
    {
        var section = SourceSection().Match(Repository.Document(".editorconfig"));
        Assert.True(section.Success, "The section [*.{cs,razor}] of .editorconfig has no max_line_length.");
        return int.Parse(section.Groups["length"].Value, CultureInfo.InvariantCulture);
    }

    static IEnumerable<string> Sources(DirectoryInfo folder) =>
        folder.EnumerateFiles().Where(f => f.Extension is ".cs" or ".razor").Select(f => f.FullName)
            .Concat(folder.EnumerateDirectories().Where(d => !Built.Contains(d.Name) && !d.Name.StartsWith('.')).SelectMany(Sources));

    static IEnumerable<string> TooWide(string file, int widest) =>
        File.ReadLines(file).Index().Where(l => l.Item.Length > widest).Select(l => $"{file}:{l.Index + 1}: {l.Item.Length}");

    [GeneratedRegex(@"^\[\*\.\{cs,razor\}\]\n(?:[^\[\n]*\n)*?max_line_length = (?<length>\d+)$", RegexOptions.Multiline)]
    private static partial Regex SourceSection();
}
