using System.Text;
using System.Text.RegularExpressions;

using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Telemetry;

/// <summary>
/// What matching costs, by the engine's own steps, and that it finds what .NET's engine finds, which shares nothing with it.
/// </summary>
public sealed class GoRegexWorkTests
{
    const int Length = 4000;

    public static TheoryData<string> Families =>
    [
        "((a{0,30}){0,30})",
        "(((a{0,10}){0,10}){0,10})",
        "(?:(?:a?){0,30}){0,30}",
        ".*a((?:(a|ab|b)){1,20}b){1,20}",
        ".*a((?:[ab]){1,15}b){1,60}",
        "((a|ab|b|ba){0,30}){0,30}c",
        @"([\w-]{1,30}\.){1,30}[\pL\d]{2,30}",
        "(x+x+)+y",
        "(a+a+)+b",
        "(a*)*(a|aa)+(a|b|ab)*c",
        "(.*a.{900})",
        "(.*a){900}",
        "(.?.?){500}z",
        "((((a*b*)*c*)*d*)*e*)*f",
        @"(\ba|a\b|\Ba){0,900}c",
        "((?m:^a$)|(a{0,30}){0,30})",
        "(abcdefghijklmnopqrstuvwxyz){1,999}",
        "^(a{0,30}){0,30}$",
    ];

    [Theory]
    [MemberData(nameof(Families))]
    public void A_match_takes_no_more_steps_a_character_than_the_expression_has_instructions(string pattern)
    {
        var regex = new GoRegex(pattern);
        var instructions = new GoProgram(GoRegexParser.Parse(pattern).Root).Length;
        // Each instruction may be met once from each that takes a character, as two of a split lead to it.
        var most = 3L * instructions * (Length + 2);
        foreach (var text in Texts(1))
        {
            using var budget = MatchingBudget.Start(most, TestContext.Current.CancellationToken);
            regex.IsMatch(text);
            regex.Match(text.Length > 500 ? text[..500] : text);
        }
    }

    [Fact]
    public void What_is_learnt_of_one_text_is_not_paid_for_again()
    {
        var regex = new GoRegex("((a{0,10}){0,10})");
        regex.IsMatch(new string('a', Length));

        using var budget = MatchingBudget.Start(70_000, TestContext.Current.CancellationToken);
        for (var i = 0; i < 20; i++)
            Assert.False(regex.IsMatch(new string('a', Length)));
    }

    [Fact]
    public async Task Past_its_budget_a_query_is_refused_with_what_to_do_about_it()
    {
        var series = new MemoryOf([.. Texts(2)]);
        var engine = new PromQLEngine(series, new PromQLOptions { MaxMatchingSteps = 100_000 });

        foreach (var query in new[]
        {
            "rd{x=~\".*a((?:(a|ab|b)){1,20}b){1,20}\"}", "label_replace(rd, \"y\", \"$1\", \"x\", \".*a((?:(a|ab|b)){1,20}b){1,20}\")",
        })
        {
            var error = await Assert.ThrowsAsync<PromQLException>(
                () => engine.InstantAsync(query, 0, TestContext.Current.CancellationToken));
            Assert.Equal(PromQLErrorKind.Execution, error.Kind);
            Assert.Contains("use fewer repetitions in it, or select fewer series", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_query_that_nobody_waits_for_stops_in_the_midst_of_a_text()
    {
        using var left = new CancellationTokenSource();
        using var budget = MatchingBudget.Start(long.MaxValue, left.Token);
        left.Cancel();

        Assert.Throws<OperationCanceledException>(
            () => new GoRegex(".*a((?:(a|ab|b)){1,20}b){1,20}").IsMatch(string.Concat(Enumerable.Repeat("ab", Length))));
    }

    [Theory]
    [InlineData(@"\b", "aa b", "<>aa<> <>b<>")]
    [InlineData("a*", "baac", "<>b<aa>c<>")]
    [InlineData("(a)|b|", "abc", "<a><b>c<>")]
    [InlineData("^a", "aaa", "<a>aa")]
    [InlineData("x*?", "xx", "<>x<>x<>")]
    public void Every_match_is_replaced_as_Go_replaces_it(string pattern, string text, string replaced) =>
        Assert.Equal(replaced, new GoSearch(pattern).ReplaceAll(text, "<$0>", 100));

    /// <summary>Perl and Python find these places. The first one neither engine of .NET does.</summary>
    [Theory]
    [InlineData(@"(?:a)+?(?:\b\b(?:\b|[^a]))+?[^a]", "cbaba\nbc", 4, 6)]
    [InlineData(@"[^a]a(?:(?:[^a])*?)*c", "\nc\nabcbc", 2, 6)]
    public void It_finds_what_Perl_and_Python_find(string pattern, string text, int from, int until) =>
        Assert.Equal([from, until], Places(pattern, text)![..2]);

    // Each of the two engines of .NET has faults of its own, in empty turns of lazy loops and in word boundaries. Where they agree, they
    // are right. Where they do not, one of them nearly always is.
    [Fact]
    public void It_finds_what_an_engine_of_NET_finds()
    {
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var alone = new List<string>();
        for (var round = 0; round < 3000; round++)
        {
            var pattern = Pattern(random, 3);
            Regex[] whole = [new($@"\A(?:{pattern})\z"), new($@"\A(?:{pattern})\z", RegexOptions.NonBacktracking)];
            Regex[] anywhere = [new(pattern), new(pattern, RegexOptions.NonBacktracking)];
            var regex = new GoRegex(pattern);
            for (var i = 0; i < 10; i++)
            {
                var text = string.Concat(Enumerable.Range(0, random.Next(9)).Select(_ => "abc\n"[random.Next(4)]));
                Assert.True(
                    regex.IsMatch(text) == regex.Match(text) is not null && whole.Any(r => r.IsMatch(text) == regex.IsMatch(text)),
                    $"/{pattern}/ on \"{text}\"");
                (int, int)? places = Places(pattern, text) is { } found ? (found[0], found[1]) : null;
                if (anywhere.Select(r => Found(r, text)).ToList() is not [{ } first, { } second])
                    continue;
                List<(int, int)?> theirs = [first.Place, second.Place];
                Assert.True(theirs[0] != theirs[1] || theirs[0] == places, $"/{pattern}/ within \"{text}\"");
                if (!theirs.Contains(places))
                    alone.Add($"/{pattern}/ within \"{text}\"");
            }
        }

        // Of 30,000.
        Assert.True(alone.Count <= 3, string.Join('\n', alone));
    }

    // Null where the engine of .NET that goes back gives up: it doubles its track until the length overflows.
    static (bool Ended, (int, int)? Place)? Found(Regex regex, string text)
    {
        try
        {
            var match = regex.Match(text);
            return (true, match.Success ? (match.Index, match.Index + match.Length) : null);
        }
        catch (OverflowException)
        {
            return null;
        }
    }

    static int[]? Places(string pattern, string text) =>
        new GoThreads(new GoProgram(GoRegexParser.Parse(pattern).Root), pattern).Find(text, 0, whole: false);

    static string Pattern(Random random, int depth)
    {
        var text = new StringBuilder();
        for (var i = random.Next(4); i >= 0; i--)
        {
            text.Append(random.Next(depth > 0 ? 9 : 6) switch
            {
                0 => "a",
                1 => "b",
                2 => "[ab]",
                3 => "[^a]",
                4 => @"\b",
                5 => "c",
                6 => $"({Pattern(random, depth - 1)})",
                7 => $"(?:{Pattern(random, depth - 1)}|{Pattern(random, depth - 1)})",
                _ => $"(?:{Pattern(random, depth - 1)}){Quantifiers[random.Next(Quantifiers.Length)]}",
            });
        }

        return text.ToString();
    }

    static readonly string[] Quantifiers = ["*", "+", "?", "{2}", "{0,3}", "{1,}", "*?", "+?", "??", "{1,3}?"];

    static IEnumerable<string> Texts(int seed)
    {
        var random = new Random(seed);
        yield return new string('a', Length);
        yield return new string('x', Length);
        yield return string.Concat(Enumerable.Range(0, Length).Select(_ => "ab"[random.Next(2)]));
        yield return string.Concat(Enumerable.Range(0, Length).Select(_ => "abcxyz0123456789_-. é"[random.Next(21)]));
    }

    sealed class MemoryOf(IReadOnlyList<string> values) : ISeriesSource
    {
        public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
            IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) =>
            new(
                [.. values.Select(v => Labels.OfMetric("rd", ("x", v))).Where(l => matchers.All(m => m.IsMatch(l)))
                    .Select(l => new SeriesSamples(l, [0], [1]))]);
    }
}
