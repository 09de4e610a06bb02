using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Telemetry;

public sealed class GoRegexTests
{
    [Fact]
    public void Who_uses_the_same_expression_uses_one()
    {
        Assert.Same(GoRegex.Shared("a+"), GoRegex.Shared("a+"));
        Assert.Same(GoSearch.Shared("a+"), GoSearch.Shared("a+"));
    }

    [Theory]
    [InlineData("a|b|", "a b ", "c ab")]
    [InlineData("a.*c", "ac abc a\nc", "ab")]
    [InlineData("(?-s)a.c", "abc", "a\nc")]
    [InlineData("(?i)Ab|c", "ab AB C", "d")]
    [InlineData("a(?i)b", "ab aB", "Ab")]
    [InlineData("(?i:a)b", "ab Ab", "aB")]
    [InlineData("[[:alpha:]_]+", "aZ_", "1 é")]
    [InlineData("[^[:digit:]]", "a é", "1")]
    [InlineData("[[:^digit:]x]", "a x é", "1")]
    [InlineData(@"\d+", "12", "١ a")]
    [InlineData(@"\w", "a _", "é -")]
    [InlineData(@"[\W]", "é -", "a")]
    [InlineData(@"\s", "\t", "\v")]
    [InlineData(@"\pL\p{Lu}\PL", "éÉ1", "ÉéA")]
    [InlineData(@"\Qa.b\E+", "a.b a.bbb", "aab a.ba.b")]
    [InlineData(@"\x41\x{e9}\101\.", "AéA.", "AéAx")]
    [InlineData("a{2}b{1,}c{,2}", "aabc{,2}", "abc")]
    [InlineData("a{x}", "a{x}", "ax")]
    [InlineData("x$|^y", "x y", "z")]
    [InlineData("[]a]", "] a", "b")]
    [InlineData("[a-]", "a -", "b")]
    [InlineData("[a-c[]", "b [", "d ]")]
    [InlineData("(?U)a+?", "aa", "b")]
    [InlineData("a$\\b", "a", "b")]
    public void It_matches_what_Go_matches(string pattern, string yes, string no)
    {
        var regex = new GoRegex(pattern);

        Assert.All(yes.Split(' '), text => Assert.True(regex.IsMatch(text), text));
        Assert.All(no.Split(' ', StringSplitOptions.RemoveEmptyEntries), text => Assert.False(regex.IsMatch(text), text));
    }

    [Theory]
    [InlineData("(", "missing closing )")]
    [InlineData(")", "unexpected )")]
    [InlineData("[a", "missing closing ]")]
    [InlineData("*a", "missing argument")]
    [InlineData("a**", "nested repetition")]
    [InlineData("a{1001}", "invalid repeat count")]
    [InlineData("a{2,1}", "invalid repeat count")]
    [InlineData("((a{100}){100})", "more than 1000")]
    [InlineData("(?=a)", "not part of RE2")]
    [InlineData("(?<!a)", "invalid named capture")]
    [InlineData(@"(a)\1", @"invalid escape \1")]
    [InlineData(@"\Z", @"invalid escape \Z")]
    [InlineData(
        "(abcdefghijklmnopqrstuvwxyz){1,999}(abcdefghijklmnopqrstuvwxyz){1,999}(abcdefghijklmnopqrstuvwxyz){1,"
        + "999}(abcdefghijklmnopqrstuvwxyz){1,999}",
        "too large")]
    [InlineData("a\\", "trailing backslash")]
    [InlineData("[b-a]", "invalid character class range")]
    [InlineData("[[:nope:]]", "invalid character class")]
    [InlineData("(?P<n>a)(?P<n>b)", "duplicate group name")]
    [InlineData(@"\p{Greek}", "not supported")]
    public void What_is_no_regular_expression_of_Go_is_refused_with_the_reason(string pattern, string reason) =>
        Assert.Contains(reason, Assert.Throws<ArgumentException>(() => new GoRegex(pattern)).Message, StringComparison.Ordinal);

    [Fact]
    public void Groups_are_numbered_as_they_open_and_have_names()
    {
        var match = new GoRegex("(?P<first>a)(b)?((?<third>c)d)").Match("acd")!;

        Assert.Equal(["acd", "a", "", "cd", "c"], match.Groups);
        Assert.Equal(("a", "c", "cd", "", ""), (match["first"], match["third"], match["3"], match["9"], match["none"]));
        Assert.Null(new GoRegex("a(b)").Match("a"));
    }

    [Fact]
    public void A_list_of_texts_is_known_as_such()
    {
        Assert.Equal(["a.b", "c"], new GoRegex(@"a\.b|c").Literals);
        Assert.Null(new GoRegex("a.b|c").Literals);
        Assert.Null(new GoRegex("a|(b)").Literals);
    }

    [Fact]
    public void Hostile_expressions_cost_no_more_than_time_in_proportion()
    {
        var text = new string('a', 50_000) + "!";
        Assert.False(new GoRegex("(a*)*(a|aa)+(a|b|ab)*c").IsMatch(text));
        Assert.Throws<ArgumentException>(() => new GoRegex(new string('(', 10_000)));
    }
}
