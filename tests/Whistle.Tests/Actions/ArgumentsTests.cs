using System.Text.Json;

using Whistle.Actions.Contract;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>What a command gives is held to the action's descriptor before the action sees it.</summary>
public sealed class ArgumentsTests
{
    static readonly ActionParameter Name = new("name", ParameterKind.Text, "Whose.")
    {
        Required = true,
        Example = "\"a\"",
        Form = text => text is not "/",
        FormWords = "a name",
    };

    static readonly ActionParameter Age = new("age", ParameterKind.Age, "How old.") { Default = "30d" };
    static readonly ActionParameter Size = new("size", ParameterKind.Whole, "How large.") { Least = 1, Most = 9 };
    static readonly ActionParameter Factor = new("factor", ParameterKind.Number, "How much.") { Above = 1 };
    static readonly ActionParameter Deep = new("deep", ParameterKind.Truth, "Whether all.");
    static readonly ActionParameter Folders = new("folders", ParameterKind.Texts, "Where.") { Least = 1, Most = 2 };
    static readonly ActionParameter Versions = new("versions", ParameterKind.TextMap, "Which.");

    static readonly ActionDescriptor Action = new()
    {
        Name = "test.all",
        Summary = "Takes all kinds.",
        Reads = "nothing",
        Parameters = [Name, Age, Size, Factor, Deep, Folders, Versions],
    };

    [Fact]
    public void Every_kind_is_read_whatever_the_case_of_its_name()
    {
        var read = Read("""
            { "NAME": "a", "age": "7d", "size": 9, "factor": 1.5, "deep": true, "folders": ["/a"], "versions": { "a": "1" } }
            """, out var refusal)!;

        Assert.Null(refusal);
        Assert.Equal(("a", "7d", TimeSpan.FromDays(7)), (read.Text(Name), read.Text(Age), read.Age(Age)));
        Assert.Equal((9L, 1.5, true), (read.Whole(Size), read.Number(Factor), read.Truth(Deep)));
        Assert.Equal(["/a"], read.Texts(Folders)!);
        Assert.Equal("1", read.TextMap(Versions)!["a"]);
    }

    [Fact]
    public void What_is_left_out_or_null_has_its_default_or_nothing()
    {
        var read = Read("""{ "name": "a", "size": null }""", out _)!;

        Assert.Equal(TimeSpan.FromDays(30), read.Age(Age));
        Assert.Equal(
            (null, null, null, null, null),
            (read.Whole(Size), read.Number(Factor), read.Truth(Deep), read.Texts(Folders), read.TextMap(Versions)));
    }

    [Theory]
    [InlineData("[]", "are no JSON object")]
    [InlineData("{}", "test.all needs name, a text (quote what looks like a number), like \"a\". Whose.")]
    [InlineData("""{ "name": null }""", "test.all needs name")]
    [InlineData("""{ "name": "a", "colour": 1 }""", "test.all has no parameter colour. It takes name, age, size")]
    [InlineData("""{ "name": "a", "Name": "b" }""", "name name twice")]
    [InlineData("""{ "name": 1 }""", "name must be a text")]
    [InlineData("""{ "name": "\ud800" }""", "The parameters of test.all cannot be read: ")]
    [InlineData("""{ "\ud800": "a" }""", "The parameters of test.all cannot be read: ")]
    [InlineData("""{ "name": "/" }""", "name \"/\" must be a name")]
    [InlineData("""{ "name": "a", "age": null }""", "age must be an age")]
    [InlineData("""{ "name": "a", "age": "soon" }""", "age \"soon\" is no age")]
    [InlineData("""{ "name": "a", "size": 0 }""", "size must be a whole number, 1 to 9")]
    [InlineData("""{ "name": "a", "size": 10 }""", "size must be a whole number, 1 to 9")]
    [InlineData("""{ "name": "a", "size": 1.5 }""", "size must be a whole number, 1 to 9")]
    [InlineData("""{ "name": "a", "size": "5" }""", "size must be a whole number, 1 to 9")]
    [InlineData("""{ "name": "a", "size": 99999999999999999999 }""", "size must be a whole number, 1 to 9")]
    [InlineData("""{ "name": "a", "factor": 1 }""", "factor must be a number, above 1")]
    [InlineData("""{ "name": "a", "factor": 1e999 }""", "factor must be a number, above 1")]
    [InlineData("""{ "name": "a", "deep": "true" }""", "deep must be true or false")]
    [InlineData("""{ "name": "a", "folders": [] }""", "folders has 0 values, and must have 1 to 2")]
    [InlineData("""{ "name": "a", "folders": ["a", "b", "c"] }""", "folders has 3 values, and must have 1 to 2")]
    [InlineData("""{ "name": "a", "folders": [null] }""", "folders must be a list of texts")]
    [InlineData("""{ "name": "a", "versions": { "a": 1 } }""", "versions must be a mapping of texts")]
    [InlineData("""{ "name": "a", "versions": { "a": "1", "a": "2" } }""", "versions must be a mapping of texts")]
    public void What_the_descriptor_does_not_allow_is_refused_with_the_reason(string parameters, string reason)
    {
        Assert.Null(Read(parameters, out var refusal));
        Assert.Contains(reason, refusal, StringComparison.Ordinal);
    }

    static Arguments? Read(string json, out string? refusal)
    {
        using var parameters = JsonDocument.Parse(json);
        return Arguments.Read(Action, parameters.RootElement, out refusal);
    }
}
