using System.Globalization;

using Whistle.Detectors.Expressions;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Yaml;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Testing;

/// <summary>Reads one file of rule tests. Continues after an error, so that one pass reports them all with their positions.</summary>
/// <param name="file">Rule files are relative to its folder.</param>
/// <param name="yaml">Takes the errors.</param>
/// <param name="warnings">Takes what promtool lets pass, though it can hardly be meant.</param>
sealed class RuleTestReader(string file, YamlReader yaml, List<YamlError> warnings)
{
    static readonly TimeSpan DefaultInterval = TimeSpan.FromMinutes(1);

    // The year 4000, in seconds since 1970 UTC: what a test adds to its start must be a date too.
    const long LatestStart = 64_060_588_800;

    static readonly string[] Externals = ["external_labels", "external_url"];

    /// <summary>Of use only where no error was added.</summary>
    public RuleTestFile Read()
    {
        var documents = yaml.Documents() ?? [];
        if (documents.Count > 1)
            yaml.Fail(documents[1], "a file of tests is one document: move what follows to a file of its own");
        // An empty file has no tests, as in promtool.
        var root = documents is [{ } first, ..] and not [YamlScalarNode { Value: null or "" }, ..] ? first : new YamlMappingNode();
        var top = yaml.Mapping(
            root, "the file", "rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "agents", "tests");
        var interval = top is null ? DefaultInterval : Interval(top, "evaluation_interval", DefaultInterval);
        return new()
        {
            Interval = interval,
            RuleFiles = [.. Items(top, "rule_files").SelectMany(ReadPattern).DistinctBy(Path.GetFullPath)],
            GroupOrder = ReadOrder(top),
            Fuzzy = top?.Choice("fuzzy_compare", "false", "true") is "true",
            Agents = [.. Items(top, "agents").Select(ReadAgent).OfType<EnrolledAgent>()],
            Tests = [.. Items(top, "tests").Select((t, i) => ReadTest(t, i, interval)).OfType<RuleTest>()],
        };
    }

    static IEnumerable<YamlNode> Items(YamlFields? fields, string key) => fields?.Items(key) ?? [];

    static TimeSpan Interval(YamlFields fields, string key, TimeSpan usual)
    {
        var interval = fields.Duration(key) ?? usual;
        if (interval > TimeSpan.Zero)
            return interval;
        fields.Fail(key, $"{key} must be longer than zero");
        return usual;
    }

    IReadOnlyList<string> ReadPattern(YamlNode node)
    {
        if (Text(node, "a rule file") is not { } pattern)
            return [];
        try
        {
            var found = RuleFilePattern.Expand(Path.GetDirectoryName(file) ?? "", pattern);
            if (found.Count == 0)
                Warn(node, $"no file matches {pattern}, relative to the folder of this file");
            return found;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            yaml.Fail(node, $"{pattern} cannot be searched: {e.Message}");
            return [];
        }
    }

    List<string> ReadOrder(YamlFields? top)
    {
        var order = new List<string>();
        foreach (var node in Items(top, "group_eval_order"))
        {
            if (Text(node, "a group's name") is not { } name)
                continue;
            if (order.Contains(name))
                yaml.Fail(node, $"the group \"{name}\" is in the order twice");
            order.Add(name);
        }

        return order;
    }

    EnrolledAgent? ReadAgent(YamlNode node)
    {
        if (yaml.Mapping(node, "an agent", "tenant", "cluster", "node") is not { } fields)
            return null;
        var (tenant, cluster, name) = (fields.Required("tenant"), fields.Required("cluster"), fields.Required("node"));
        return tenant is null || cluster is null || name is null ? null : new(new(tenant, cluster, name), default);
    }

    RuleTest? ReadTest(YamlNode node, int index, TimeSpan evaluation)
    {
        if (yaml.Mapping(
            node, "a test", "name", "interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url",
            "start_timestamp") is not { } fields)
            return null;
        var start = ReadStart(fields);
        var interval = Interval(fields, "interval", evaluation);
        foreach (var external in Externals.Where(k => fields.Find(k) is not null))
            Warn(fields.Find(external)!, $"a server has no {external} of its own: a template that reads it gets nothing, in tests too");
        return new()
        {
            Place = node,
            Name = fields.Find("name") is null ? $"unnamed#{index}" : fields.Text("name") ?? "",
            Start = start,
            Interval = interval,
            Series = ReadSeries(fields, start, interval),
            Alerts = [.. fields.Items("alert_rule_test").Select(ReadAlert).OfType<AlertCheck>()],
            Expressions = [.. fields.Items("promql_expr_test").Select(ReadExpression).OfType<ExpressionCheck>()],
        };
    }

    DateTimeOffset ReadStart(YamlFields fields)
    {
        if (fields.Find("start_timestamp") is not { } node)
            return DateTimeOffset.UnixEpoch;
        var text = (node as YamlScalarNode)?.Value ?? "";
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && Math.Abs(seconds) < LatestStart)
            return DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(seconds * 1000));
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            && at.ToUnixTimeSeconds() < LatestStart)
            return at.ToUniversalTime();
        yaml.Fail(
            node, $"start_timestamp: \"{YamlReader.Shown(node)}\" is not a time; write it like 2026-11-23T10:00:00Z, or as Unix seconds");
        return DateTimeOffset.UnixEpoch;
    }

    List<TimeSeries> ReadSeries(YamlFields test, DateTimeOffset start, TimeSpan interval)
    {
        var series = new Dictionary<Labels, TimeSeries>();
        foreach (var item in test.Items("input_series"))
        {
            if (yaml.Mapping(item, "an input series", "series", "values") is not { } fields)
                continue;
            var labels = ReadLabels(fields, "series");
            var values = Parse(fields, "values", SeriesNotation.Values) ?? [];
            if (labels is null)
                continue;
            if (!series.TryAdd(labels, new(labels, [.. Samples(values, start, interval)])))
                yaml.Fail(item, $"the series {labels} is given twice; put all its values into one string");
        }

        return [.. series.Values];
    }

    static IEnumerable<Sample> Samples(IReadOnlyList<double?> values, DateTimeOffset start, TimeSpan interval) => values.Index()
        .Where(v => v.Item is not null)
        .Select(v => new Sample(start.ToUnixTimeMilliseconds() + (v.Index * (long)interval.TotalMilliseconds), v.Item!.Value));

    AlertCheck? ReadAlert(YamlNode node)
    {
        if (yaml.Mapping(node, "an alert test", "eval_time", "alertname", "exp_alerts") is not { } fields)
            return null;
        var name = fields.Required("alertname");
        var expected = fields.Items("exp_alerts").Select(ReadExpected).OfType<ExpectedAlert>().ToList();
        return name is null ? null : new(node, fields.Duration("eval_time") ?? TimeSpan.Zero, name, expected);
    }

    ExpectedAlert? ReadExpected(YamlNode node)
    {
        if (node is YamlScalarNode { Value: null or "" })
            return new(null, Labels.Empty, []);
        if (yaml.Mapping(node, "an expected alert", "exp_labels", "exp_annotations", "exp_state") is not { } fields)
            return null;
        SignalState? state = fields.Find("exp_state") is null ? null : fields.Choice("exp_state", "firing", "pending", "unknown") switch
        {
            "pending" => SignalState.Pending,
            "unknown" => SignalState.Unknown,
            _ => SignalState.Firing,
        };
        return new(
            state, Labels.From(ReadTexts(fields, "exp_labels").Where(l => l.Name != "alertname")), ReadTexts(fields, "exp_annotations"));
    }

    List<Label> ReadTexts(YamlFields fields, string key)
    {
        var texts = new List<Label>();
        foreach (var (name, value) in fields.Pairs(key, "a mapping of names to texts"))
        {
            if (name is YamlScalarNode { Value: { Length: > 0 } given } && value is YamlScalarNode text)
                texts.Add(new(given, text.Value ?? ""));
            else
                yaml.Fail(value, $"{key} must be a mapping of names to texts");
        }

        return texts;
    }

    ExpressionCheck? ReadExpression(YamlNode node)
    {
        if (yaml.Mapping(node, "an expression test", "expr", "eval_time", "exp_samples") is not { } fields)
            return null;
        var expression = Parse(fields, "expr", RuleExpression.Parse);
        var samples = fields.Items("exp_samples").Select(ReadSample).OfType<VectorSample>().ToList();
        return expression is null ? null : new(node, fields.Duration("eval_time") ?? TimeSpan.Zero, expression, samples);
    }

    VectorSample? ReadSample(YamlNode node)
    {
        if (yaml.Mapping(node, "an expected sample", "labels", "value", "histogram") is not { } fields)
            return null;
        if (fields.Find("histogram") is not null)
            fields.Fail("histogram", "native histograms are not supported");
        var labels = fields.Find("labels") is null ? Labels.Empty : ReadLabels(fields, "labels");
        var value = 0.0;
        if (fields.Find("value") is { } given)
        {
            if (given is YamlScalarNode { Value: { } text } && SeriesNotation.Number(text) is { } number)
                value = number;
            else
                yaml.Fail(given, $"value: \"{YamlReader.Shown(given)}\" is not a number");
        }

        return labels is null ? null : new VectorSample(labels, value);
    }

    Labels? ReadLabels(YamlFields fields, string key) => Parse(fields, key, SeriesNotation.Labels);

    T? Parse<T>(YamlFields fields, string key, Func<string, T> parse)
        where T : class
    {
        if (fields.Find(key) is not YamlScalarNode { Value: { } text } scalar)
        {
            fields.Fail(key, $"{key} must be given, as a text");
            return null;
        }

        try
        {
            return parse(text);
        }
        catch (PromQLException e)
        {
            yaml.FailAt(scalar, e);
            return null;
        }
    }

    string? Text(YamlNode node, string what)
    {
        if (node is YamlScalarNode { Value: { Length: > 0 } text })
            return text;
        yaml.Fail(node, $"{what} must be a text that is not empty");
        return null;
    }

    void Warn(YamlNode node, string reason) => warnings.Add(new(file, node.Start.Line, node.Start.Column, reason));
}
