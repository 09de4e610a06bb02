using System.Text;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Yaml;
using Whistle.Remediation.Runbooks;

using Xunit;

using YamlDotNet.RepresentationModel;

namespace Whistle.Tests.Detectors;

/// <summary>Files that no reader of rules or runbooks may trip over. Both are read the same way, and each fault is one line.</summary>
public sealed class YamlTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-yaml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("a: 1\nb:\n  c: 1\n  c: 2\n", "4:3: not valid YAML: Duplicate key")]
    [InlineData("a:\n\tb: 1\n", "2:1: not valid YAML: ", "tab", "Indent with spaces.")]
    [InlineData("a:\n  b: 1\n  \tc: 2\n", "3:3: not valid YAML: ", "tab", "Indent with spaces.")]
    [InlineData("a: &x [*x]\n", "1:8: not valid YAML: *x refers to no anchor before it")]
    [InlineData("a: &x 1\nb: &x [*x]\n", "2:8: not valid YAML: *x refers to no anchor before it")]
    [InlineData("a: *x\n", "1:4: not valid YAML: *x refers to no anchor before it")]
    [InlineData("a: 'b\n", "not valid YAML: ")]
    public void What_is_wrong_has_its_place_and_its_reason(string text, params string[] says) =>
        AssertRefused(Encoding.UTF8.GetBytes(text), says);

    [Fact]
    public void A_file_of_10_MB_is_not_read() =>
        AssertRefused(Encoding.UTF8.GetBytes(new string('#', 10 << 20)), "1:1: the file is larger than 4 MiB; split it");

    [Fact]
    public void A_device_without_an_end_is_not_read_to_its_end() =>
        Assert.Equal(
            "/dev/zero:1:1: the file is larger than 4 MiB; split it", Assert.Single(RuleSet.Load(["/dev/zero"]).Errors).ToString());

    [Fact]
    public void Aliases_that_multiply_are_refused_before_anything_is_built_of_them()
    {
        var bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 30; i++)
            bomb.Append($"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n");

        AssertRefused(
            Encoding.UTF8.GetBytes(bomb.ToString()), "6:",
            "not valid YAML: it has more than 200000 values, those that aliases repeat included");
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    [InlineData("? ")]
    public void Deep_nesting_is_refused(string opening) =>
        AssertRefused(
            Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(opening, 200_000))),
            $"1:{64 * opening.Length + 1}: not valid YAML: it is nested more than 64 deep");

    [Theory]
    [InlineData(
        new byte[] { (byte)'a', (byte)':', (byte)'\n', (byte)' ', 0xC3, 0xBC, 0xFC },
        "2:3: the byte 0xfc is not UTF-8; save the file as UTF-8")]
    [InlineData(new byte[] { 0xFF, 0xFE, (byte)'a', 0 }, "1:1: the byte 0xff is not UTF-8")]
    public void Bytes_that_are_no_text_are_named(byte[] bytes, string says) => AssertRefused(bytes, says);

    [Fact]
    public void An_empty_file_holds_no_rules_and_is_no_runbook()
    {
        foreach (var text in new[] { "", "\n", "# nothing\n", "\uFEFF" })
        {
            var file = Write(Encoding.UTF8.GetBytes(text));
            Assert.Equal(0, RuleSet.Load([file]).Rules!.RuleCount);
            Assert.Equal(
                $"{file}:1:1: a runbook file has one document, this one has 0", Assert.Single(RunbookSet.Load([file]).Errors).ToString());
        }
    }

    [Fact]
    public void Aliases_that_are_modest_are_taken() => Assert.Equal(2, RuleSet.Load([Write(
        """
        groups:
          - name: g
            rules:
              - { alert: A, expr: up == 0, labels: &team { team: a } }
              - { alert: B, expr: up == 0, labels: *team }
        """u8)]).Rules!.RuleCount);

    [Fact]
    public void Every_accessor_notes_what_is_not_as_it_should_be_and_goes_on()
    {
        var errors = new List<YamlError>();
        var reader = new YamlReader(
            "f", "{ text: [], span: 5 minutes, count: 11, one: c, pairs: [], items: x, some: [], other: 1 }", errors);
        var fields = reader.Mapping(
            Assert.Single(reader.Documents()!), "a thing", "text", "span", "count", "one", "pairs", "items", "some")!;

        Assert.Null(fields.Text("text"));
        Assert.Null(fields.Required("none"));
        Assert.Null(fields.Duration("span"));
        Assert.Null(fields.Number("count", 1, 10));
        Assert.Equal("a", fields.Choice("one", "a", "b"));
        Assert.Empty(fields.Pairs("pairs"));
        Assert.Empty(fields.Items("items"));
        Assert.Empty(fields.RequiredItems("some"));
        Assert.Null(fields.Mapping("items", "a"));
        Assert.Equal(
            [
                "f:1:80: unknown key \"other\" in a thing; known are text, span, count, one, pairs, items, some",
                "f:1:9: text must be a text that is not empty",
                "f:1:1: a thing needs none",
                "f:1:19: span: \"5 minutes\" is not a duration; write it like 30s, 5m or 1h30m",
                "f:1:37: count: \"11\" is not a whole number from 1 to 10",
                "f:1:46: one: \"c\" is not one of a, b",
                "f:1:56: pairs must be a mapping",
                "f:1:67: items must be a list",
                "f:1:76: a thing needs some, a list that is not empty",
                "f:1:67: items must be a mapping with the keys a",
            ],
            errors.Select(e => e.ToString()));
    }

    [Fact]
    public void A_long_value_is_not_quoted_whole() =>
        Assert.Equal(201, YamlReader.Shown(new YamlScalarNode(new string('x', 100_000))).Length);

    [Fact]
    public void Whatever_is_damaged_in_a_file_the_answer_is_in_words()
    {
        const int seed = 20260;
        const string marks = "{}[]:-?&*!|>'\"%@`#, \t\n\0\\~<$";
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var good = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "runbooks", "node-disk-filling.yaml"));
        for (var i = 0; i < 500; i++)
        {
            var damaged = new StringBuilder(good);
            for (var n = random.Next(1, 6); n > 0; n--)
                damaged.Insert(random.Next(damaged.Length), marks[random.Next(marks.Length)]);
            var file = Write(Encoding.UTF8.GetBytes(damaged.ToString()));
            Assert.True(RuleSet.Load([file]).Errors.Count > 0);
            Assert.All(RunbookSet.Load([file]).Errors, e => Assert.True(e is { Line: > 0, Column: > 0, Reason.Length: > 0 }, e.ToString()));
        }
    }

    void AssertRefused(byte[] bytes, params string[] says)
    {
        var file = Write(bytes);
        foreach (var errors in new[] { RuleSet.Load([file]).Errors, RunbookSet.Load([file]).Errors })
        {
            var error = Assert.Single(errors).ToString();
            Assert.StartsWith($"{file}:{(char.IsDigit(says[0][0]) ? says[0] : "")}", error, StringComparison.Ordinal);
            Assert.All(says, part => Assert.Contains(part, error, StringComparison.Ordinal));
            Assert.Single(error.Split('\n'));
        }
    }

    string Write(ReadOnlySpan<byte> bytes)
    {
        var file = Path.Combine(_folder, "file.yaml");
        File.WriteAllBytes(file, bytes);
        return file;
    }
}
