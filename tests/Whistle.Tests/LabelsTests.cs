using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests;

public sealed class LabelsTests
{
    [Fact]
    public void Labels_are_sorted_and_empty_values_are_absent()
    {
        var labels = Labels.OfMetric("up", ("job", "node"), ("empty", ""), ("cluster", "c1"));

        Assert.Equal("up{cluster=\"c1\",job=\"node\"}", labels.ToString());
        Assert.Equal("", labels["empty"]);
        Assert.Equal(labels, Labels.OfMetric("up", ("cluster", "c1"), ("job", "node")));
    }

    [Theory]
    [InlineData("a.c", "abc", true)]
    [InlineData("a.c", "a\nc", true)]
    [InlineData("a.c", "xabc", false)]
    [InlineData("a|b", "b", true)]
    [InlineData("a|b", "bb", false)]
    [InlineData("", "", true)]
    public void A_regular_expression_is_anchored_at_both_ends(string pattern, string value, bool matches) =>
        Assert.Equal(matches, new LabelMatcher("l", MatchOperator.Matches, pattern).IsMatch(value));

    [Fact]
    public void A_regular_expression_that_backtracks_is_refused() =>
        Assert.Throws<ArgumentException>(() => new LabelMatcher("l", MatchOperator.Matches, @"(a)\1"));
}
