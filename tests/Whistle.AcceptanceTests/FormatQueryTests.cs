using System.Text.Json.Nodes;

using Whistle.PromQL;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Expressions as Whistle and a real Prometheus write them.</summary>
public sealed class FormatQueryTests
{
    // Left out, since Prometheus's text means something else there or cannot be read again: labels in on(…) that need quotes,
    // ignoring() with a grouping, and durations of a fraction of a second outside brackets.
    const string Expressions =
        """
        up
        up{job="a",instance!~"b.*"}
        {__name__="up"}
        {"up",job="x"}
        {"my metric"}
        {"my metric","my label"="x"}
        {__name__=~"up|down"}
        {__name__="up",__name__!="x"}
        sum
        sum{by="x"}
        {"bool"}
        {"on",a="x"}
        {__name__="by"}
        up offset 5m
        up offset -5m
        up @ 1.5
        up @ start()
        up @ end() offset 1h
        up offset 1h @ 100
        up @ 1e9
        up @ -5
        rate(up[5m])
        rate(up[90s] offset 3600)
        up[1h:5m] offset 1d @ 3
        up[1h:]
        max_over_time(rate(x[5m])[1h:] @ end())
        up[1.5]
        up[5m*2]
        up offset (5m + 1m)
        up offset -(5m)
        up[-5m+10m]
        1
        1.5
        1e3
        1e21
        1e-7
        0.000001
        123456789012345678901234567890
        1e100
        0x1F
        010
        1_000
        Inf
        -Inf
        +Inf
        NaN
        1h30m
        5m
        1ms
        -1
        --1
        +-up
        -up
        -(up)
        -2^2
        (-2)^2
        1+2*3
        (1+2)*3
        a + b
        a + on(x) b
        a + on() b
        a + ignoring() b
        a + ignoring(x) b
        a * on(x) group_left b
        a * on(x) group_left() b
        a * on(x) group_left(y) b
        a * on(x) group_right(y,z) b
        a * ignoring(x) group_right b
        a and b
        a and on(x) b
        a or ignoring(x) b
        a unless b
        a == bool b
        a == bool on(x) b
        1 == bool 2
        a > 5
        sum(up)
        sum by () (up)
        sum by (a) (up)
        sum without (a,b) (up)
        sum without () (up)
        sum(up) by (a)
        sum by ("my label") (up)
        topk(5,up)
        topk by (x)(5,up)
        quantile(0.9,up)
        count_values("x",up)
        count_values without(a)("x",up)
        time()
        vector(1)
        label_replace(up,"a","$1","b","(.*)")
        label_replace(up,'a','\t"\\\n','b',`c\d`)
        "abc"
        'a"b'
        "a\u00e9b"
        "日本語\u200b\U0001F600"
        up{a="日本語",b="\x00",c="\\d+",d=`\d`}
        up{a="b",}
        {a="b",__name__="up"}
        up{"a b"="x"}
        up{"ab"="x"}
        {"a:b"="x"}
        a:b
        SUM(up)
        a AND b
        a ATAN2 b
        histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))
        (((up)))
        a + b + c
        a ^ b ^ c
        a - (b - c)
        up{job=""}
        absent(up{job="x"})
        rate(x[5m]) / rate(y[5m]) * 100 > 5
        sort_desc(up)
        limitk(2,up)
        limit_ratio(0.5,up)
        limit_ratio(-0.5,up)
        up # comment
        sum_over_time(up[1y2w3d])
        up[10d]
        up[8d]
        up[14d]
        up[365d]
        up[400d]
        up offset 1w1d
        up[1h]@1.2345 offset 1ms
        up[0.5]
        up[5m:1e-3]
        up @ 1700000000.1234
        up offset 0s
        up offset 1.5
        double_exponential_smoothing(x[5m],0.1,0.2)
        clamp(up,0,1)
        avg_over_time(up[5m:1m])
        (up)[5m:1m]
        sum(up)[5m:1m]
        (a+b)[5m:1m]
        rate(up[5m] offset 1m)
        x{le="+Inf"}
        x{a=~"b|c",d!=""}
        {"a.b",__name__="c"}
        up[1m*(2+3):5]
        up[1.5*2]
        up[2*1m]
        up[5m - -3m]
        up offset +5m
        up offset +(5m)
        up offset -(5m+1m)
        up offset (5m)
        up[(5m)]
        up[((5m))]
        up[((5m+1m))]
        up[2^3]
        up[2^3^2]
        up[10 % 3]
        up offset 2^3
        up offset (2*1)
        up[5m+-1m]
        up[+5m]
        up[1e3]
        up[0x10]
        up[5m:2*1m]
        -1h
        +1h
        -(1h)
        1h * 2
        -Inf + 1
        1 + Inf
        - NaN
        -+1
        +1
        +up
        -sum(up)
        - 1 * 2
        2 ^ -1
        (-1h)^2
        1 - -1
        1--1
        a--1
        a - -b
        a == -1
        up @ 5m
        up @ -5m
        sum by (a,b,) (up)
        sum by (__name__) (up)
        sum by (sum,by) (up)
        sum by ("a:b") (up)
        sum by (a:b) (up)
        count by ("日本") (up)
        up{a="1",a="2",a!="0"}
        up{b="1",a="2"}
        up{a!="",a=~"x"}
        {__name__=~"a",b="c"}
        {b="c",__name__=~"a"}
        min(up) without ()
        a unless on () b
        a >= bool on (x) group_left (y) b
        a > bool 1
        1 > bool 1
        "a'b`c"
        '\''
        "\v\f\b\a\r"
        "\u0085\u00a0\u00ad\ufeff\ue000\ufffd"
        "\U000e0001"
        "\U0001f3fb\u0301"
        1e-10
        1.7976931348623157e308
        5e-324
        123456789.123456789
        1_000.5e-2
        .5
        5.
        -.5
        0
        -0
        1y2w
        1000ms
        60s
        24h
        7d
        604800s
        1m60s
        90m
        100y
        0s
        sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{ \
        namespace="kube-system",pod=~"core.*",container!=""}[5m])) \
        / sum by (namespace, pod, container) (kube_pod_container_resource_limits{resource="cpu"}) > 0.9
        histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket{job="api",code!~"5.."}[5m] offset 1h)))
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        -(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb)
        max_over_time(sum by (a)(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \
        + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb)[1h:5m] @ end() offset 5m)
        topk by (aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbbbb)(5, \
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > bool on(x) group_left b)
        count_values without (x)("label_name_that_is_long_enough", \
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)
        label_replace(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{b="c"}, "dst", "$1", "src", "(.*)") == 0
        ((aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa \
        and bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) or cccccccccccccc)
        a + b + c + ddddddddddddddddddddddddddddddddddddddddddddddddddd + eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee
        sum(rate(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[5m]))
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{b="日本日本日本日本"} + 1
        -aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa * bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        rate(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[5m])[1h:5m]
        -abs(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)
        clamp(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, -1, 1h) and on() vector(1)
        sum without () (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)
        max_over_time((rate(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[5m]))[1h:5m]) > 1 \
        and bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        """;

    [Fact]
    public async Task An_expression_is_formatted_as_Prometheus_formats_it()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var prometheus = await PrometheusServer.StartAsync(
            "", cancellation, "--enable-feature=promql-experimental-functions,promql-duration-expr");
        List<string> differences = [];
        // A backslash at the end of a line joins it to the next.
        foreach (var expression in Expressions.Replace("\\\n", "", StringComparison.Ordinal).Split('\n'))
        {
            var answer = JsonNode.Parse(
                await prometheus.Http.GetStringAsync($"api/v1/format_query?query={Uri.EscapeDataString(expression)}", cancellation))!;
            var (theirs, ours) = ((string)answer["data"]!, Parser.Parse(expression).Format());
            if (theirs != ours)
                differences.Add($"{expression}\nPrometheus:\n{theirs}\nWhistle:\n{ours}");
            Assert.Equal(ours, Parser.Parse(ours).Format());
        }

        Assert.True(differences.Count == 0, string.Join("\n\n", differences));
    }
}
