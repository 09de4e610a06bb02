using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>A seeded source of the data and expressions on which Whistle and Prometheus must agree.</summary>
sealed class PromQLCases(int seed)
{
    public const long Start = 1_760_000_000_000;
    public const long End = Start + (2 * 3_600_000);

    const int MaxDepth = 3;

    readonly Random _random = new(seed);
    int _timestamps;

    int Next(int below) => _random.Next(below);

    double Uniform() => _random.NextDouble();

    bool Chance(double probability) => Uniform() < probability;

    T Pick<T>(params T[] from) => from[Next(from.Length)];

    public IReadOnlyList<SeriesSamples> Series()
    {
        List<SeriesSamples> series = [];
        foreach (var instance in (string[])["a", "b", "c"])
        {
            foreach (var mode in (string[])["idle", "user", "system"])
            {
                series.Add(Generate(Labels.OfMetric("cpu_seconds_total", ("instance", instance), ("mode", mode)), 15_000, Counter(0.6)));
                series.Add(Generate(Labels.OfMetric("temperature", ("instance", instance), ("mode", mode)), 30_000, Walk(20, 3)));
                series.Add(Generate(Labels.OfMetric("state", ("instance", instance), ("mode", mode)), 20_000, _ => Next(4)));
            }

            foreach (var mount in (string[])["/", "/var", "/data"])
            {
                series.Add(
                    Generate(Labels.OfMetric("disk_free_bytes", ("instance", instance), ("mount", mount)), 60_000, Walk(5e11, -1e8)));
                series.Add(Generate(
                    Labels.OfMetric("disk_size_bytes", ("instance", instance), ("mount", mount)), 60_000, Constant(Pick(1e12, 2.5e11))));
            }

            foreach (var le in (string[])["0.1", "0.5", "1", "2.5", "+Inf"])
                series.Add(
                    Generate(Labels.OfMetric("latency_bucket", ("instance", instance), ("le", le)), 15_000, Counter(le == "+Inf" ? 9 : 2)));
            series.Add(Generate(Labels.OfMetric("extreme", ("instance", instance)), 25_000, _ => Extreme()));
            series.Add(Generate(
                Labels.OfMetric("up", ("instance", instance), ("job", Pick("node", "kubelet"))), 15_000, _ => Chance(0.9) ? 1 : 0));
            series.Add(Generate(Labels.OfMetric("zone_info", ("instance", instance), ("zone", Pick("z1", "z2"))), 30_000, Constant(1)));
        }

        return series;
    }

    Func<double, double> Counter(double perSecond)
    {
        var value = Next(2) * Uniform() * 1e6;
        return seconds => value = Chance(0.01) ? Uniform() : value + Math.Floor(Uniform() * 2 * perSecond * seconds * 8) / 8;
    }

    Func<double, double> Walk(double start, double slope)
    {
        var value = start;
        return _ => value += slope * (Uniform() - 0.3);
    }

    static Func<double, double> Constant(double value) => _ => value;

    double Extreme() =>
        Pick(double.NaN, double.PositiveInfinity, double.NegativeInfinity, 0, -0.0, 1e300, -1e300, 1e-300, 1.7e308, 3, -2.5, 1e16, 0.1);

    SeriesSamples Generate(Labels labels, long interval, Func<double, double> next)
    {
        var (times, values) = (new List<long>(), new List<double>());
        var jitter = Pick(0, 0, 3, 4000);
        for (var time = Start + Next((int)interval); time <= End; time += interval + (jitter == 0 ? 0 : Next(jitter)))
        {
            times.Add(time);
            values.Add(next(interval / 1000.0));
            if (Chance(0.02))
            {
                // It ends, and comes back after a while; or is silent for a while.
                if (Chance(0.5))
                {
                    times.Add(time + 1 + Next((int)interval - 2));
                    values.Add(StaleMarker.Value);
                }

                time += interval * (1 + Next(30));
            }
        }

        return new SeriesSamples(labels, [.. times], [.. values]);
    }

    /// <summary>Now and then a damaged text: what is an error must be one on both sides.</summary>
    public string Expression()
    {
        var expression = Chance(0.06) ? Scalar(3) : Chance(0.03) ? Range() : Vector(MaxDepth);
        return Chance(0.08) ? Damage(expression) : expression;
    }

    public long Time() => Chance(0.1) ? Start - 60_000 + Next(400_000) : Start + Next((int)(End - Start) / 500) * Pick(500L, 500, 497);

    public (long Start, long End, long Step) Steps()
    {
        var start = Time();
        var step = Pick(15_000L, 60_000, 300_000, 7_001, 613_000);
        return (start, start + (step * Next(40)) + Next(1000), step);
    }

    string Damage(string expression)
    {
        var at = Next(expression.Length);
        return Next(4) switch
        {
            0 => expression.Remove(at, 1),
            1 => expression.Insert(at, Pick(
                "(", ")", "-", " by ", " offset 5m", "{}", "[5m]", "\"", "bool ", " on (instance) ", ",", "=", "!=", "5m", "1e3", "^",
                "and", "0x1f")),
            2 => expression[..at],
            _ => expression.Remove(at, Math.Min(expression.Length - at, 1 + Next(6))),
        };
    }

    string Vector(int depth)
    {
        if (depth == 0)
            return Leaf();
        return Next(14) switch
        {
            0 => Leaf(),
            13 => Subquery(depth),
            1 or 2 => RangeCall(depth),
            3 => EachCall(depth),
            4 or 5 => Aggregation(depth),
            6 => $"-{Vector(depth - 1)}",
            7 => $"({Vector(depth - 1)})",
            8 => Whole(depth),
            9 => $"{Vector(depth - 1)} {Operator()} {Scalar(depth - 1)}",
            10 => $"{Scalar(depth - 1)} {Operator()} {Vector(depth - 1)}",
            _ => Matched(depth),
        };
    }

    string Leaf() => Chance(0.3) ? RangeCall(1) : Selector() + Shift();

    string Metric() => Pick(
        "cpu_seconds_total", "temperature", "state", "disk_free_bytes", "disk_size_bytes", "latency_bucket", "extreme", "up", "zone_info",
        "absent_metric");

    string Selector()
    {
        if (Chance(0.04))
            return Pick(
                "{__name__=~\"disk_.*\"}", "{__name__=\"up\"}", "{instance=\"a\",__name__!~\"(cpu|disk|lat).*\"}",
                "{\"temperature\", mode=\"idle\"}", "{__name__=~\"temp.*|state\"}");
        return Metric() + Pick(
            "", "", "", "", "{}", "{instance=\"a\"}", "{instance!=\"a\"}", "{instance=~\"a|b\"}", "{instance!~\"b.*\"}", "{mode=\"idle\"}",
            "{mount=~\"/.+\",instance=\"b\"}", "{mode!=\"\"}", "{mode=\"\"}", "{nowhere=\"\"}", "{mode=~\".*s.*\",instance=~\"[ab]\",}");
    }

    /// <summary>offset and @, in either order.</summary>
    string Shift(bool enclosed = false)
    {
        // Inside timestamp() Prometheus 3.5 forgets the offset where there is an @.
        var at = _timestamps > 0
            || Chance(0.85) ? "" : " @ " + Pick("1760003600", "1760000000.5", "start()", "end()", "1.760005e9", "-5", "1760007100");
        return Chance(0.5) ? at + Offset(enclosed) : Offset(enclosed) + at;
    }

    // Prometheus 3.5 takes what follows a bracketed offset for a part of it (later ones do not), so these are for the last place only.
    string Offset(bool enclosed) => Chance(0.75) ? "" : " offset " + (enclosed && Chance(0.3)
        ? Pick("(5m + 30)", "-(2m * 3)", "(-1h / 4)") : Pick("5m", "1h", "90s", "-10m", "1h5m", "0s", "37", "-1.5"));

    string Range() => Selector() + $"[{Length()}]" + Shift(enclosed: true);

    string Length() => Pick(
        "5m", "1m", "30s", "15s", "10m", "1h", "1h30m", "95s", "300", "20ms", "5m", "10m", "1m * 5", "(1m + 30s) * 2", "1h % 25m",
        "2 ^ 3m / 2 ^ 170", "-1m + 6m");

    string Subquery(int depth) => Pick(
        "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time", "rate", "increase",
        "changes", "deriv", "stddev_over_time", "present_over_time", "absent_over_time",
        "idelta") + $"({Inner(depth - 1)}[{Pick("5m", "10m", "1h", "90s", "7m", "20m + 5m")}:"
            + $"{Pick("", "1m", "30s", "13s", "2m", "5m", "1m + 7s")}]{Shift(enclosed: true)})";

    // Any instant vector; what is not one name or call stands in parentheses.
    string Inner(int depth) => Chance(0.5) ? Selector() + Shift() : $"({Vector(depth)})";

    string RangeCall(int depth) => Next(26) switch
    {
        24 => $"double_exponential_smoothing({Range()}, {Pick("0.1", "0.5", "0.9", "1", "0")}, {Pick("0.1", "0.5", "0.999")})",
        25 => Pick("mad_over_time", "ts_of_max_over_time", "ts_of_min_over_time", "ts_of_last_over_time") + $"({Range()})",
        0 => $"quantile_over_time({Scalar(depth - 1, 0.7)}, {Range()})",
        1 or 2 => $"predict_linear({Range()}, {Pick("3600", "-600", "4 * 3600", "0", "1d")})",
        3 or 4 or 5 => $"rate({Range()})",
        6 or 7 => $"increase({Range()})",
        8 or 9 => $"deriv({Range()})",
        _ => Pick(
            "delta", "irate", "idelta", "resets", "changes", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
            "count_over_time", "present_over_time", "stdvar_over_time", "stddev_over_time", "last_over_time",
            "absent_over_time") + $"({Range()})",
    };

    string EachCall(int depth) => Next(6) switch
    {
        0 => $"clamp({Vector(depth - 1)}, {Scalar(depth - 1)}, {Scalar(depth - 1)})",
        1 => Pick("clamp_min", "clamp_max") + $"({Vector(depth - 1)}, {Scalar(depth - 1)})",
        2 => $"round({Vector(depth - 1)}{Pick("", ", 0.1", ", 5", ", 1e9")})",
        3 => $"{Pick("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")}("
            + $"{Pick("", "timestamp(up)", "vector(time())", "vector(1709164800)")})",
        4 => Pick("abs", "ceil", "floor", "sgn", "sqrt", "deg", "rad") + $"({Vector(depth - 1)})",

        // Outermost only: Go's and .NET's differ in the last digit, which %, == or floor around them would make a large difference.
        _ when depth < MaxDepth => Vector(depth - 1),
        _ => Pick(
            "exp", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
            "asinh", "acosh", "atanh") + $"({Vector(depth - 1)})",
    };

    string Whole(int depth) => Next(10) switch
    {
        8 => $"{Pick("sort_by_label", "sort_by_label_desc")}({Vector(depth - 1)}, "
            + $"{Pick("\"instance\"", "\"mode\", \"instance\"", "\"le\"", "\"none\"")})",
        9 => $"histogram_fraction({Pick("0", "0.3", "-Inf", "0.5", "-1", "NaN")}, {Pick("0.7", "1", "+Inf", "2.5", "3", "0.1")}, "
            + $"{Pick("latency_bucket", "rate(latency_bucket[5m])", "sum by (le) (increase(latency_bucket[10m]))")})",
        0 => $"absent({Vector(depth - 1)})",
        1 => $"absent({Selector()})",
        2 => Timestamp(depth),
        3 => $"{Pick("sort", "sort_desc")}({Vector(depth - 1)})",
        4 => $"vector({Scalar(depth - 1)})",
        5 => $"label_replace({Vector(depth - 1)}, \"{Pick("to", "instance", "mode", "__name__")}\", "
            + $"\"{Pick("x-$1", "${1}y", "", "$$z$9", "$0")}\", \"{Pick("instance", "mode", "none")}\", "
            + $"\"{Pick("(.*)", "(a|b)", "([a-z])(.*)", "", "q")}\")",
        6 => $"label_join({Vector(depth - 1)}, \"{Pick("to", "instance")}\", "
            + $"\"{Pick("-", "")}\"{Pick("", ", \"instance\"", ", \"instance\", \"mode\"", ", \"none\"")})",
        _ => $"histogram_quantile({Scalar(depth - 1, 0.8)}, {Pick(
            "latency_bucket", "rate(latency_bucket[5m])", "sum by (le) (increase(latency_bucket[10m]))",
            "sum by (le, instance) (rate(latency_bucket[1m]))")})",
    };

    string Timestamp(int depth)
    {
        _timestamps++;
        var inner = Vector(depth - 1);
        _timestamps--;
        return $"timestamp({inner})";
    }

    string Aggregation(int depth)
    {
        var group = Pick(
            "", "", "by (instance)", "by (mode)", "without (instance)", "by (instance, mode)", "without (mode, mount)", "by ()",
            "without ()", "by (none)");
        // Ties are cut arbitrarily by both, so topk is asked of values that hardly ever tie.
        var (name, arguments) = Next(14) switch
        {
            12 => ("limit_ratio", $"{Pick("0.5", "-0.5", "0.1", "-0.9", "1", "0", "-1", "2", "0.333")}, {Vector(depth - 1)}"),
            13 => ("limitk", $"{Pick("100", "1000", "0", "-1", "100.5")}, {Vector(depth - 1)}"),
            0 => (Pick("topk", "bottomk"), $"{Pick("1", "2", "3.7", "0", "-1", "scalar(up{instance=\"a\"}) + 1")}, "
                + $"{Pick("temperature", "disk_free_bytes", "avg_over_time(temperature[5m])", "temperature * 3")}"),
            1 => ("count_values", $"\"{Pick("value", "instance", "mode")}\", "
                + $"{Pick("state", "up", "extreme", "disk_size_bytes", "max_over_time(state[5m])")}"),
            2 => ("quantile", $"{Scalar(depth - 1, 0.8)}, {Vector(depth - 1)}"),
            // Not of computed values: the variance of what differs by rounding alone is rounding alone.
            3 => (Pick("stddev", "stdvar"), Leaf()),
            _ => (Pick("sum", "avg", "min", "max", "count", "group"), Vector(depth - 1)),
        };
        return Chance(0.5) ? $"{name} {group} ({arguments})" : $"{name}({arguments}) {group}";
    }

    string Operator() => Chance(0.55) ? Pick("+", "-", "*", "/", "%", "^", "atan2") : Comparison();

    string Comparison() => Pick("==", "!=", "<", "<=", ">", ">=") + Pick("", " bool");

    string Matched(int depth)
    {
        var matching = Pick(
            "", "", "on (instance)", "ignoring (mode)", "on ()", "ignoring (mount, mode)", "on (instance, mode)", "on (instance, mount)");
        if (Chance(0.3))
            return $"{Vector(depth - 1)} {Pick("and", "or", "unless")} {matching} {Vector(depth - 1)}";
        if (Chance(0.25))
            return Pick(
                "disk_free_bytes / disk_size_bytes", "disk_size_bytes - disk_free_bytes", "temperature * state", "temperature > state",
                "rate(cpu_seconds_total[5m]) / ignoring (mode) sum without (mode) (rate(cpu_seconds_total[5m]))");
        if (Chance(0.35))
            return $"{Selector()} {Operator()} on (instance) group_left {Pick("", "(zone)", "(job)", "(mode)")} "
                + $"{Pick("zone_info", "up", "sum by (instance) (up)")}";
        if (Chance(0.2))
            return $"{Pick("zone_info", "up", "extreme")} {Operator()} on (instance) group_right {Pick("", "(zone)", "(job)")} "
                + $"{Vector(depth - 1)}";
        return $"{Vector(depth - 1)} {Operator()} {matching} {Vector(depth - 1)}";
    }

    string Scalar(int depth, double literal = 0.5)
    {
        if (depth <= 0 || Chance(literal))
            return Pick(
                "0", "1", "2", "0.5", "0.9", "-1", "1e3", "0x1F", "Inf", "-Inf", "NaN", ".25", "5m", "1h30m", "010", "3.", "1e-3",
                Uniform().ToString(CultureInfo.InvariantCulture));
        return Next(7) switch
        {
            0 => "time()",
            1 => "pi()",
            2 => $"scalar({Vector(depth - 1)})",
            3 => $"-{Scalar(depth - 1)}",
            4 => $"({Scalar(depth - 1)})",
            5 => $"{Scalar(depth - 1)} {Pick("==", "!=", "<", "<=", ">", ">=")} bool {Scalar(depth - 1)}",
            _ => $"{Scalar(depth - 1)} {Pick("+", "-", "*", "/", "%", "^", "atan2")} {Scalar(depth - 1)}",
        };
    }
}
