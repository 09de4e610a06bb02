using System.Text.RegularExpressions;

using Whistle.Detectors.Expressions;
using Whistle.Detectors.Templates;
using Whistle.Detectors.Yaml;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Rules;

/// <summary>What one file holds: groups or inhibit rules.</summary>
sealed record RuleFile(IReadOnlyList<RuleGroup> Groups, IReadOnlyList<InhibitRule> InhibitRules);

/// <summary>
/// Reads one Prometheus rule file, or a PrometheusRule manifest (its <c>spec</c>), or a file of inhibit rules. Continues after an error, so
/// that one pass reports them all with their positions.
/// </summary>
sealed partial class RuleFileReader(string file, YamlReader yaml)
{
    static readonly TimeSpan DefaultInterval = TimeSpan.FromMinutes(1);

    static readonly string[] AlertOnly = ["for", "keep_firing_for", "annotations"];

    readonly List<InhibitRule> _inhibitRules = [];

    public RuleFile Read() => new([.. (yaml.Documents() ?? []).SelectMany(ReadDocument)], _inhibitRules);

    List<RuleGroup> ReadDocument(YamlNode root)
    {
        // An empty file is an empty set of groups, as in Prometheus.
        if (root is YamlScalarNode { Value: null or "" })
            return [];
        if (root is YamlMappingNode manifest && manifest.Children.TryGetValue("kind", out var kind))
        {
            if (kind is not YamlScalarNode { Value: "PrometheusRule" })
                return yaml.Fail<List<RuleGroup>>(kind, "the manifest's kind is not PrometheusRule") ?? [];
            if (!manifest.Children.TryGetValue("spec", out root!))
                return yaml.Fail<List<RuleGroup>>(manifest, "the manifest has no spec") ?? [];
        }

        if (root is YamlMappingNode mapping && mapping.Children.ContainsKey(InhibitRuleReader.Key))
        {
            _inhibitRules.AddRange(new InhibitRuleReader(file, yaml).Read(mapping));
            return [];
        }

        return yaml.Mapping(root, "the file", "groups") is { } top ? ReadGroups(top) : [];
    }

    List<RuleGroup> ReadGroups(YamlFields top)
    {
        var groups = new List<RuleGroup>();
        foreach (var item in top.Items("groups"))
        {
            if (ReadGroup(item) is not { } group)
                continue;
            if (groups.Exists(g => g.Name == group.Name))
                yaml.Fail(item, $"the group name \"{group.Name}\" is used twice in this file");
            groups.Add(group);
        }

        return groups;
    }

    RuleGroup? ReadGroup(YamlNode node)
    {
        if (yaml.Mapping(node, "a group", "name", "interval", "limit", "query_offset", "labels", "rules") is not { } fields)
            return null;
        var name = fields.Required("name");
        var interval = fields.Duration("interval") ?? DefaultInterval;
        if (interval <= TimeSpan.Zero)
        {
            fields.Fail("interval", "the interval must be longer than zero");
            interval = DefaultInterval;
        }

        var labels = Texts(fields, "labels", labels: true);
        var rules = ReadRules(fields, labels);
        return name is null ? null : new RuleGroup
        {
            File = file,
            Name = name,
            Interval = interval,
            QueryOffset = fields.Duration("query_offset") ?? TimeSpan.Zero,
            Limit = fields.Number("limit", least: 0) ?? 0,
            Rules = rules,
        };
    }

    List<Rule> ReadRules(YamlFields group, IReadOnlyList<TemplatedText> groupLabels)
    {
        var rules = new List<Rule>();
        foreach (var item in group.Items("rules"))
        {
            if (ReadRule(item, groupLabels) is not { } rule)
                continue;
            var isRepeated = rules.Exists(r => r.Identity == rule.Identity);
            // Recordings may share a name and labels and yet differ in the series that they fill; an alert's signals would be confused.
            if (isRepeated && rule is AlertRule)
                yaml.Fail(item, $"the rule \"{rule.Name}\" is in this group twice with the same labels; give one another name or label");
            rules.Add(isRepeated ? rule with { Repetition = rules.Count(r => r.Name == rule.Name) } : rule);
        }

        return rules;
    }

    Rule? ReadRule(YamlNode node, IReadOnlyList<TemplatedText> groupLabels)
    {
        if (yaml.Mapping(node, "a rule", "alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations") is not { } fields)
            return null;
        var expression = Expression(fields);
        var own = Texts(fields, "labels", labels: true);
        IReadOnlyList<TemplatedText> labels = [.. own, .. groupLabels.Where(g => !own.Any(o => o.Name == g.Name))];
        return (fields.Find("alert"), fields.Find("record")) switch
        {
            (not null, null) => ReadAlert(fields, expression, labels),
            (null, not null) => ReadRecording(fields, expression, labels),
            (not null, not null) => yaml.Fail<Rule>(node, "a rule has either alert or record, not both"),
            _ => yaml.Fail<Rule>(node, "a rule needs alert or record"),
        };
    }

    AlertRule? ReadAlert(YamlFields fields, RuleExpression? expression, IReadOnlyList<TemplatedText> labels)
    {
        var name = fields.Required("alert");
        var wait = fields.Duration("for") ?? TimeSpan.Zero;
        var keep = fields.Duration("keep_firing_for") ?? TimeSpan.Zero;
        var annotations = Texts(fields, "annotations", labels: false);
        return name is null || expression is null ? null : new AlertRule
        {
            Name = name,
            Expression = expression,
            Labels = labels,
            For = wait,
            KeepFiringFor = keep,
            Annotations = annotations,
        };
    }

    static RecordingRule? ReadRecording(YamlFields fields, RuleExpression? expression, IReadOnlyList<TemplatedText> labels)
    {
        foreach (var alien in AlertOnly.Where(key => fields.Find(key) is not null))
            fields.Fail(alien, $"a recording rule has no {alien}");
        var name = fields.Required("record");
        if (name is not null && !MetricName().IsMatch(name))
            fields.Fail("record", $"\"{name}\" is not a metric name");
        else if (name is not null && ReservedMetrics.Names.Contains(name))
            fields.Fail("record", $"{name} is recorded by the server itself; give what the rule records another name");
        return name is null || expression is null ? null : new RecordingRule { Name = name, Expression = expression, Labels = labels };
    }

    RuleExpression? Expression(YamlFields fields)
    {
        if (fields.Required("expr") is not { } source)
            return null;
        try
        {
            return RuleExpression.Parse(source);
        }
        catch (PromQLException e)
        {
            yaml.FailAt((YamlScalarNode)fields.Find("expr")!, e);
            return null;
        }
    }

    List<TemplatedText> Texts(YamlFields fields, string key, bool labels)
    {
        var texts = new List<TemplatedText>();
        foreach (var (name, value) in fields.Pairs(key, "a mapping of names to texts"))
        {
            if (Text(name, key, labels) is { } label && TemplateOf(value, label) is { } template)
                texts.Add(template);
        }

        return texts;
    }

    string? Text(YamlNode node, string key, bool labels)
    {
        if (node is not YamlScalarNode { Value: { } name } || !LabelName().IsMatch(name))
            return yaml.Fail<string>(node, $"\"{YamlReader.Shown(node)}\" is not a name for one of the {key}");
        return labels && name is Labels.MetricName or "alertname"
            ? yaml.Fail<string>(node, $"the label {name} is set by the rule itself and cannot be given")
            : name;
    }

    TemplatedText? TemplateOf(YamlNode node, string name)
    {
        if (node is not YamlScalarNode { Value: { } value } scalar)
            return yaml.Fail<TemplatedText>(node, $"the value of {name} must be a text");
        try
        {
            return new(name, value, Template.Parse(value));
        }
        catch (TemplateException e)
        {
            yaml.FailAt(scalar, e.Offset, $"in the template of {name}: {e.Message}");
            return null;
        }
    }

    [GeneratedRegex(@"\A[a-zA-Z_][a-zA-Z0-9_]*\z")]
    private static partial Regex LabelName();

    [GeneratedRegex(@"\A[a-zA-Z_:][a-zA-Z0-9_:]*\z")]
    private static partial Regex MetricName();
}
