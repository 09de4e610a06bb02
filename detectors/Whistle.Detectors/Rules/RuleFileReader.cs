using System.Text.RegularExpressions;

using Whistle.Detectors.Templates;
using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Rules;

/// <summary>
/// Reads one Prometheus rule file, or a PrometheusRule manifest (its <c>spec</c>). Goes on after an error, so that one
/// pass reports them all with their positions.
/// </summary>
sealed partial class RuleFileReader(string file, string text, List<RuleFileError> errors)
{
    static readonly TimeSpan DefaultInterval = TimeSpan.FromMinutes(1);

    static readonly string[] AlertOnly = ["for", "keep_firing_for", "annotations"];

    readonly string[] _lines = text.Split('\n');

    public IReadOnlyList<RuleGroup> Read()
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            return [.. stream.Documents.SelectMany(d => ReadDocument(d.RootNode))];
        }
        catch (YamlException e)
        {
            errors.Add(new(file, Math.Max(e.Start.Line, 1), Math.Max(e.Start.Column, 1), $"not valid YAML: {e.Message}"));
            return [];
        }
    }

    IEnumerable<RuleGroup> ReadDocument(YamlNode root)
    {
        // An empty file is an empty set of groups, as in Prometheus.
        if (root is YamlScalarNode { Value: null or "" })
            return [];
        if (root is YamlMappingNode manifest && manifest.Children.TryGetValue("kind", out var kind))
        {
            if (kind is not YamlScalarNode { Value: "PrometheusRule" })
                return Fail<RuleGroup>(kind, "the manifest's kind is not PrometheusRule");
            if (!manifest.Children.TryGetValue("spec", out root!))
                return Fail<RuleGroup>(manifest, "the manifest has no spec");
        }

        var top = Mapping(root, "the file", "groups");
        return top is not null && top.TryGetValue("groups", out var groups) ? ReadGroups(groups) : [];
    }

    List<RuleGroup> ReadGroups(YamlNode node)
    {
        var groups = new List<RuleGroup>();
        foreach (var item in Sequence(node, "groups"))
        {
            if (ReadGroup(item) is not { } group)
                continue;
            if (groups.Exists(g => g.Name == group.Name))
                Fail(item, $"the group name \"{group.Name}\" is used twice in this file");
            groups.Add(group);
        }

        return groups;
    }

    RuleGroup? ReadGroup(YamlNode node)
    {
        if (Mapping(node, "a group", "name", "interval", "limit", "query_offset", "labels", "rules") is not { } fields)
            return null;
        var name = Required(node, fields, "name", "a group");
        var interval = Duration(fields, "interval") ?? DefaultInterval;
        if (interval <= TimeSpan.Zero)
        {
            Fail(fields["interval"], "the interval must be longer than zero");
            interval = DefaultInterval;
        }

        var labels = Texts(fields, "labels", labels: true);
        var rules = fields.TryGetValue("rules", out var list) ? ReadRules(list, labels) : [];
        return name is null ? null : new RuleGroup
        {
            File = file,
            Name = name,
            Interval = interval,
            QueryOffset = Duration(fields, "query_offset") ?? TimeSpan.Zero,
            Limit = Number(fields, "limit"),
            Rules = rules,
        };
    }

    List<Rule> ReadRules(YamlNode node, IReadOnlyList<TemplatedText> groupLabels)
    {
        var rules = new List<Rule>();
        foreach (var item in Sequence(node, "rules"))
        {
            if (ReadRule(item, groupLabels) is not { } rule)
                continue;
            if (rules.Exists(r => r.Identity == rule.Identity))
                Fail(item, $"the rule \"{rule.Name}\" is in this group twice with the same labels; give one another name or label");
            rules.Add(rule);
        }

        return rules;
    }

    Rule? ReadRule(YamlNode node, IReadOnlyList<TemplatedText> groupLabels)
    {
        if (Mapping(node, "a rule", "alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations") is not { } fields)
            return null;
        var expression = Expression(node, fields);
        var own = Texts(fields, "labels", labels: true);
        IReadOnlyList<TemplatedText> labels = [.. own, .. groupLabels.Where(g => !own.Any(o => o.Name == g.Name))];
        return (fields.ContainsKey("alert"), fields.ContainsKey("record")) switch
        {
            (true, false) => ReadAlert(node, fields, expression, labels),
            (false, true) => ReadRecording(node, fields, expression, labels),
            (true, true) => FailAs<Rule>(node, "a rule has either alert or record, not both"),
            _ => FailAs<Rule>(node, "a rule needs alert or record"),
        };
    }

    AlertRule? ReadAlert(YamlNode node, Dictionary<string, YamlNode> fields, RuleExpression? expression, IReadOnlyList<TemplatedText> labels)
    {
        var name = Required(node, fields, "alert", "an alert");
        var wait = Duration(fields, "for") ?? TimeSpan.Zero;
        var keep = Duration(fields, "keep_firing_for") ?? TimeSpan.Zero;
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

    RecordingRule? ReadRecording(YamlNode node, Dictionary<string, YamlNode> fields, RuleExpression? expression, IReadOnlyList<TemplatedText> labels)
    {
        foreach (var alien in AlertOnly.Where(fields.ContainsKey))
            Fail(fields[alien], $"a recording rule has no {alien}");
        var name = Required(node, fields, "record", "a recording rule");
        if (name is not null && !MetricName().IsMatch(name))
            Fail(fields["record"], $"\"{name}\" is not a metric name");
        return name is null || expression is null ? null : new RecordingRule { Name = name, Expression = expression, Labels = labels };
    }

    RuleExpression? Expression(YamlNode node, Dictionary<string, YamlNode> fields)
    {
        if (Required(node, fields, "expr", "a rule") is not { } source)
            return null;
        try
        {
            return RuleExpression.Parse(source);
        }
        catch (PromQLException e)
        {
            // The place within the expression, which the message begins with, becomes one within the file.
            var reason = e.Offset is null ? e.Message : e.Message[(e.Message.IndexOf(": ", StringComparison.Ordinal) + 2)..];
            FailAt((YamlScalarNode)fields["expr"], e.Offset ?? 0, reason);
            return null;
        }
    }

    List<TemplatedText> Texts(Dictionary<string, YamlNode> fields, string key, bool labels)
    {
        var texts = new List<TemplatedText>();
        if (!fields.TryGetValue(key, out var node))
            return texts;
        if (node is not YamlMappingNode mapping)
        {
            Fail(node, $"{key} must be a mapping of names to texts");
            return texts;
        }

        foreach (var (name, value) in mapping.Children)
        {
            if (Text(name, key, labels) is { } label && TemplateOf(value, label) is { } template)
                texts.Add(template);
        }

        return texts;
    }

    string? Text(YamlNode node, string key, bool labels)
    {
        if (node is not YamlScalarNode { Value: { } name } || !LabelName().IsMatch(name))
            return FailAs<string>(node, $"\"{node}\" is not a name for one of the {key}");
        return labels && name is Labels.MetricName or "alertname"
            ? FailAs<string>(node, $"the label {name} is set by the rule itself and cannot be given")
            : name;
    }

    TemplatedText? TemplateOf(YamlNode node, string name)
    {
        if (node is not YamlScalarNode { Value: { } value } scalar)
            return FailAs<TemplatedText>(node, $"the value of {name} must be a text");
        try
        {
            return new(name, value, Template.Parse(value));
        }
        catch (TemplateException e)
        {
            FailAt(scalar, e.Offset, $"in the template of {name}: {e.Message}");
            return null;
        }
    }

    Dictionary<string, YamlNode>? Mapping(YamlNode node, string what, params string[] known)
    {
        if (node is not YamlMappingNode mapping)
            return FailAs<Dictionary<string, YamlNode>>(node, $"{what} must be a mapping with the keys {string.Join(", ", known)}");
        var fields = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in mapping.Children)
        {
            if (key is YamlScalarNode { Value: { } name } && known.Contains(name))
                fields.Add(name, value);
            else
                Fail(key, $"unknown key \"{key}\" in {what}; known are {string.Join(", ", known)}");
        }

        return fields;
    }

    IEnumerable<YamlNode> Sequence(YamlNode node, string key) => node switch
    {
        YamlSequenceNode sequence => sequence.Children,
        YamlScalarNode { Value: null or "" } => [],
        _ => Fail<YamlNode>(node, $"{key} must be a list"),
    };

    string? Required(YamlNode parent, Dictionary<string, YamlNode> fields, string key, string what)
    {
        if (!fields.TryGetValue(key, out var node))
            return FailAs<string>(parent, $"{what} needs {key}");
        return node is YamlScalarNode { Value: { Length: > 0 } value } ? value : FailAs<string>(node, $"{key} must be a text that is not empty");
    }

    TimeSpan? Duration(Dictionary<string, YamlNode> fields, string key)
    {
        if (!fields.TryGetValue(key, out var node))
            return null;
        if (node is YamlScalarNode { Value: "0" })
            return TimeSpan.Zero;
        if (node is YamlScalarNode { Value: { } value } && Durations.TryParse(value, out var milliseconds))
            return TimeSpan.FromMilliseconds(milliseconds);
        Fail(node, $"{key}: \"{node}\" is not a duration; write it like 30s, 5m or 1h30m");
        return null;
    }

    int Number(Dictionary<string, YamlNode> fields, string key)
    {
        if (!fields.TryGetValue(key, out var node))
            return 0;
        if (node is YamlScalarNode { Value: { } value } && int.TryParse(value, out var number) && number >= 0)
            return number;
        Fail(node, $"{key}: \"{node}\" is not a whole number");
        return 0;
    }

    IEnumerable<T> Fail<T>(YamlNode node, string reason)
    {
        Fail(node, reason);
        return [];
    }

    T? FailAs<T>(YamlNode node, string reason)
        where T : class
    {
        Fail(node, reason);
        return null;
    }

    void Fail(YamlNode node, string reason) => errors.Add(new(file, node.Start.Line, node.Start.Column, reason));

    // The position inside a text that YAML took over character by character; otherwise the text's start and the offset in words.
    void FailAt(YamlScalarNode node, int offset, string reason)
    {
        var (line, column) = (node.Start.Line, node.Start.Column);
        offset = Math.Clamp(offset, 0, node.Value!.Length);
        if (node.Style is ScalarStyle.Literal)
        {
            var before = node.Value[..offset];
            line += 1 + before.Count(c => c == '\n');
            column = Indent(node) + 1 + offset - (before.LastIndexOf('\n') + 1);
        }
        else if (node.Start.Line == node.End.Line && _lines[line - 1].Contains(node.Value, StringComparison.Ordinal))
        {
            column += offset + (node.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted ? 1 : 0);
        }
        else
        {
            reason += $" (at character {offset + 1} of the text)";
        }

        errors.Add(new(file, line, column, reason));
    }

    int Indent(YamlScalarNode node)
    {
        var first = _lines.Skip((int)node.Start.Line).FirstOrDefault(l => l.Trim().Length > 0) ?? "";
        return first.Length - first.TrimStart(' ').Length;
    }

    [GeneratedRegex(@"\A[a-zA-Z_][a-zA-Z0-9_]*\z")]
    private static partial Regex LabelName();

    [GeneratedRegex(@"\A[a-zA-Z_:][a-zA-Z0-9_:]*\z")]
    private static partial Regex MetricName();
}
