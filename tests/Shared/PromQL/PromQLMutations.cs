namespace Whistle.Fixtures;

/// <summary>
/// Expressions that nobody would write: generated ones with parts cut out, doubled, swapped, mixed, nested and spoilt. Seeded.
/// </summary>
sealed class PromQLMutations(int seed)
{
    static readonly string[] Spoils =
    [
        "(", ")", "[", "]", "{", "}", "[5m:]", "[1y:1ms]", "[1000000h]", " @ 1e18", " @ -9e99", " offset -1000y", " offset 9e9", "\"", "`",
        "'", "\\", "\0", "é", "𝄞", "=~\"(a*)*b\"", "=~\"(((a{100}){100}){100})\"", "=~\"[\"", "=~\"(?i)(x|y|z){1,999}\"",
        "!~\".*.*.*=.*\"", "1e308", "0x", "-", "^", "^^", " ^ 9e9", "%0", "/0", " group_left (a) ", " on () group_right ", " bool ", "sum(",
        "topk(1e18,", "count_values(\"x\",", "label_join(", "label_replace(x,\"a\",\"$1$1$1$1\",\"instance\",\"(.*)\")", "Inf", "NaN",
        "quantile_over_time(NaN,", "sort_by_label(", "limit_ratio(-2,", "predict_linear(", " or ", " unless on () ", ",", ":", "::", "#",
        "\n", "9223372036854775807", "18446744073709551616", "{__name__=~\".+\"}", "{\"a.b\"}", "step()", "start()", "vector(vector(1))",
        "[1m:1m:1m]", "5m5m", "1h1ms",
    ];

    readonly PromQLCases _cases = new(seed);
    readonly Random _random = new(seed);
    string _before = "up";

    public string Next()
    {
        var text = _cases.Expression();
        for (var i = 1 + _random.Next(4); i > 0; i--)
            text = Mutate(text);
        _before = text.Length < 2000 ? text : _before;
        return text;
    }

    string Mutate(string text)
    {
        if (text.Length == 0)
            return Spoils[_random.Next(Spoils.Length)];
        var (a, b) = (_random.Next(text.Length), _random.Next(text.Length));
        if (a > b)
            (a, b) = (b, a);
        return _random.Next(9) switch
        {
            0 => text.Remove(a, b - a),
            1 => text.Insert(b, text[a..b]),
            2 => text.Insert(a, Spoils[_random.Next(Spoils.Length)]),
            3 => text[..a] + _before[Math.Min(a, _before.Length)..],
            4 => string.Concat(text.AsSpan(0, a), ((char)_random.Next(0x250)).ToString(), text.AsSpan(a + 1)),
            5 => $"({text}){Spoils[_random.Next(Spoils.Length)]}",
            6 => $"({text}) {(_random.Next(2) == 0 ? "*" : "or")} ({_before})",
            7 => Nested(text),
            _ => $"max_over_time(({text})[{1 + _random.Next(200)}m:{1 + _random.Next(20)}s])",
        };
    }

    string Nested(string text)
    {
        var (open, close) = _random.Next(4) switch
        {
            0 => ("(", ")"),
            1 => ("-", ""),
            2 => ("abs(", ")"),
            _ => ("label_join(", ",\"instance\",\"\",\"instance\",\"instance\")"),
        };
        var times = 1 << _random.Next(10);
        return string.Concat(Enumerable.Repeat(open, times)) + text + string.Concat(Enumerable.Repeat(close, times));
    }
}
