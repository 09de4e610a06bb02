using CsCheck;

using Whistle.PromQL;

using Xunit;

namespace Whistle.Tests;

public sealed class PromQLParserTests
{
    [Theory]
    [InlineData("", 1, 1, "empty")]
    [InlineData("sum(up", 1, 7, "expected \",\" or \")\"")]
    [InlineData("1 +", 1, 4, "expected an expression")]
    [InlineData("up{job=~\"a\"", 1, 12, "expected \",\" or \"}\"")]
    [InlineData("up{job~\"a\"}", 1, 7, "unexpected character '~'")]
    [InlineData("up{job=1}", 1, 8, "expected a quoted string")]
    [InlineData("up{job=~\"(\"}", 1, 9, "bad regular expression")]
    [InlineData("up{a:b=\"c\"}", 1, 4, "expected a label name")]
    [InlineData("{job=~\".*\"}", 1, 1, "does not match the empty string")]
    [InlineData("up{__name__=\"down\"}", 1, 4, "given twice")]
    [InlineData("sum by (a\n  up)", 2, 3, "expected \",\" or \")\"")]
    [InlineData("rate(up)", 1, 6, "must be a range vector, not an instant vector")]
    [InlineData("rates(up[5m])", 1, 1, "did you mean rate?")]
    [InlineData("round()", 1, 1, "takes 1 to 2 argument(s), but 0 are given")]
    [InlineData("abs(up,)", 1, 8, "expected an expression")]
    [InlineData("up[5m] + 1", 1, 1, "needs scalars or instant vectors")]
    [InlineData("up[0s]", 1, 4, "longer than 0")]
    [InlineData("up[1m1h]", 1, 4, "bad number or duration")]
    [InlineData("up[5m", 1, 6, "expected \"]\"")]
    [InlineData("(up)[5m]", 1, 5, "needs a selector before it")]
    [InlineData("up offset 5m [5m]", 1, 14, "belongs behind the range")]
    [InlineData("up offset 5m offset 5m", 1, 14, "given twice")]
    [InlineData("up @ 5 [5m]", 1, 8, "belongs behind the range")]
    [InlineData("up @ 5 @ 6", 1, 8, "given twice")]
    [InlineData("up @ inf", 1, 6, "out of range")]
    [InlineData("up @ -9e99", 1, 6, "out of range")]
    [InlineData("up @ now()", 1, 6, "start() or end()")]
    [InlineData("sum(up) @ 5", 1, 9, "needs a selector or a subquery before it")]
    [InlineData("1[5m:]", 1, 2, "needs an instant vector before it, not a scalar")]
    [InlineData("up[5m][5m:1m]", 1, 7, "not a range vector")]
    [InlineData("up[5m:0s]", 1, 7, "step of a subquery must be longer than 0")]
    [InlineData("up[5m - 6m]", 1, 4, "longer than 0")]
    [InlineData("up[5m / 0]", 1, 4, "divides by zero")]
    [InlineData("up[9e9 * 9e9]", 1, 4, "out of range")]
    [InlineData("up[5m atan2 1]", 1, 7, "expected \"]\"")]
    [InlineData("histogram_count(up)", 1, 1, "native histograms, which are not supported")]
    [InlineData("info(up)", 1, 1, "info() is not supported")]
    [InlineData("holt_winters(up[5m], .5, .5)", 1, 1, "double_exponential_smoothing")]
    [InlineData("1 > 2", 1, 3, "write \"> bool\"")]
    [InlineData("up + bool up", 1, 4, "only for comparison")]
    [InlineData("1 and up", 1, 3, "instant vector on both sides")]
    [InlineData("up and on (a) group_left up", 1, 15, "takes no grouping")]
    [InlineData("up * on (a) group_left (a) up", 1, 13, "must not be in both")]
    [InlineData("-\"text\"", 1, 2, "needs a scalar or an instant vector, not a string")]
    [InlineData("\"open", 1, 1, "not closed")]
    [InlineData("1__0", 1, 1, "bad number")]
    [InlineData("1e400", 1, 1, "out of the range")]
    [InlineData("up $ 1", 1, 4, "unexpected character '$'")]
    [InlineData("1 2", 1, 3, "expected an operator or the end")]
    public void An_error_says_where_it_is_and_what_was_expected(string text, int line, int column, string message)
    {
        var error = Assert.Throws<PromQLException>(() => Parser.Parse(text));

        Assert.Equal(PromQLErrorKind.BadData, error.Kind);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
        Assert.Equal((line, column), (error.Line, error.Column));
    }

    [Theory]
    [InlineData("1+2*3^2^x", "1 + 2 * 3 ^ 2 ^ x")]
    [InlineData("SUM  BY(a,b)(rate(x{a!='b',}[90s]OFFSET 3600))", "sum by (a, b) (rate(x{a!=\"b\"}[1m30s] offset 1h))")]
    [InlineData("sum(x)without(a)", "sum without (a) (x)")]
    [InlineData("topk(3,x)", "topk(3, x)")]
    [InlineData("a/ignoring(x)group_left(y)b", "a / ignoring (x) group_left (y) b")]
    [InlineData("a and on()b or c unless d", "a and on () b or c unless d")]
    [InlineData("a>=bool-1", "a >= bool -1")]
    [InlineData("{__name__=\"up\"}", "{__name__=\"up\"}")]
    [InlineData("up{b=\"1\",a=\"2\"}", "up{a=\"2\",b=\"1\"}")]
    [InlineData("{\"my metric\",\"my label\"=\"x\"}", "{\"my label\"=\"x\",__name__=\"my metric\"}")]
    [InlineData("x offset -1w", "x offset -1w")]
    [InlineData("1h30m + 0x1F + 010 + 1_000 + Inf", "1h30m + 31 + 8 + 1000 + +Inf")]
    [InlineData("Inf ^ x + +Inf", "Inf ^ x + +Inf")]
    [InlineData("--5 + -1h - -(5)", "5 + -1h - -(5)")]
    [InlineData("up[5m:]@ 1.5 OFFSET-5m", "up[5m:] @ 1.500 offset -5m")]
    [InlineData("rate(up[1m*(2+3):5])", "rate(up[1m * (2 + 3):5s])")]
    [InlineData("x[(5m)] offset -(3)", "x[5m] offset -3s")]
    [InlineData("x[((1m+1m))*2^(-1)]", "x[(1m + 1m) * 2 ^ (-1)]")]
    [InlineData("x offset step() @ start ( )", "x @ start() offset step()")]
    [InlineData("x[max(step(),5m)]", "x[max(step(), 5m)]")]
    [InlineData("'a\\tb' # comment", "\"a\\tb\"")]
    [InlineData("'\\a\\x7f\\u200bé'", "\"\\a\\x7f\\u200bé\"")]
    [InlineData("sum by (\"a:b\", \"a b\") (x)", "sum by (a:b, \"a b\") (x)")]
    [InlineData("predict_linear(disk_free[6h], 4 * 3600) < 0", "predict_linear(disk_free[6h], 4 * 3600) < 0")]
    public void The_printed_form_is_canonical(string text, string printed)
    {
        Assert.Equal(printed, Parser.Parse(text).ToString());
        Assert.Equal(printed, Parser.Parse(printed).ToString());
    }

    [Theory]
    [InlineData("-2 ^ 2", -4)]
    [InlineData("2 ^ 3 ^ 2", 512)]
    [InlineData("2 ^ -1 * 4", 2)]
    [InlineData("10 - 4 - 3", 3)]
    [InlineData("12 / 4 % 2", 1)]
    [InlineData("1 + 2 == bool 3", 1)]
    [InlineData("1 == bool 1 + 1", 0)]
    [InlineData("--5m / 60", 5)]
    public async Task Operators_bind_as_in_Prometheus(string text, double value)
    {
        var engine = new PromQLEngine(new MemorySeriesSource([]));

        Assert.Equal(value, ((ScalarValue)await engine.InstantAsync(text, 0, default)).Value);
    }

    [Fact]
    public void Selectors_tell_how_far_back_they_read()
    {
        var selections = Selection.Of(Parser.Parse("rate(a[6h] offset 1h) > b or c offset -10m"));

        Assert.Equal([7 * 3_600_000, 300_000, -300_000], selections.Select(s => s.Back));
        Assert.Equal("__name__=\"a\"", selections[0].Matchers.Single().ToString());
        Assert.All(
            Selection.Of(Parser.Parse("a @ 4e15 or b @ -4e15")),
            s => Assert.InRange(TimeSpan.FromMilliseconds(s.Back), TimeSpan.MinValue, TimeSpan.MaxValue));
        Assert.Equal(
            [(1 + 6 + 2) * 3_600_000], Selection.Of(Parser.Parse("max_over_time(rate(a[1h])[6h:5m] offset 2h)")).Select(s => s.Back));
    }

    public static TheoryData<string> HostileShapes => new("(", "-", "abs(", "1+", "sum by (a) (", "up or ", "2 ^ ");

    [Theory]
    [MemberData(nameof(HostileShapes))]
    public void Hostile_nesting_is_refused_with_a_reason(string part)
    {
        var text = string.Concat(Enumerable.Repeat(part, 10_000)) + "up";

        var error = Assert.Throws<PromQLException>(() => Parser.Parse(text));

        Assert.Contains("nested deeper", error.Message, StringComparison.Ordinal);
        Assert.Throws<PromQLException>(() => Parser.Parse(new string(' ', Parser.MaxLength + 1)));
    }

    [Fact]
    public void A_mutated_expression_evaluates_or_is_refused_but_never_crashes()
    {
        string[] parts =
        [
            "up", "{a=\"b\"}", "[5m]", " offset 1m", "sum", " by (a)", "(", ")", ",", "rate(", "+", "-", "^", " and ", " on (a) ",
            " group_left ", "1", "0x", "1e", "Inf", "\"", "'\\x", "`", "{", "}", "=~", "\"(\"", "bool", "[5m:]", "[1h:1m]", " @ 5",
            " @ end()", "limit_ratio(", "step()", "label_replace(up,\"a\",\"$1\",\"b\",\"(.*)\")", "topk(", "quantile_over_time(.5,",
            "histogram_quantile(", "\n", "#", "é", "\0", "count_values(\"v\",", "%", "vector(", "time()", ">",
        ];
        var engine = new PromQLEngine(new MemorySeriesSource(SeriesText.Parse("up{a=\"b\"} 1 2 3\nup{a=\"c\"} 1 NaN stale")));

        Gen.Int[0, parts.Length - 1].Select(i => parts[i]).Array[1, 12].Sample(
            text =>
            {
                try
                {
                    var expr = Parser.Parse(string.Concat(text));
                    Assert.Equal(expr.ToString(), Parser.Parse(expr.ToString()).ToString());
                    _ = engine.InstantAsync(expr, 120_000, default).GetAwaiter().GetResult();
                }
                catch (PromQLException)
                {
                    // A clear refusal is what is wanted.
                }
            },
            iter: 20_000);
    }
}
