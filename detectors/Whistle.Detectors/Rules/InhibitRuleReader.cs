using System.Text.RegularExpressions;

using Whistle.Detectors.Yaml;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Rules;

/// <summary>Reads <c>inhibit_rules</c> as Alertmanager's configuration has them.</summary>
sealed partial class InhibitRuleReader(string file, YamlReader yaml)
{
    public const string Key = "inhibit_rules";

    static readonly string[] Superseded = ["source_match", "source_match_re", "target_match", "target_match_re"];

    public List<InhibitRule> Read(YamlMappingNode root)
    {
        // Prometheus would refuse the file, and with it the groups.
        if (root.Children.TryGetValue("groups", out var groups))
            return yaml.Fail<List<InhibitRule>>(groups, $"a file has either groups or {Key}; move one of them to a file of its own") ?? [];
        return yaml.Mapping(root, "the file", Key) is { } top ? [.. top.Items(Key).Select(ReadRule).OfType<InhibitRule>()] : [];
    }

    // What is read of a rule with faults does not matter: nothing of the file is put in force.
    InhibitRule? ReadRule(YamlNode node)
    {
        if (yaml.Mapping(node, "an inhibit rule", ["name", "source_matchers", "target_matchers", "equal", .. Superseded]) is not { } fields)
            return null;
        var superseded = Superseded.Where(k => fields.Find(k) is not null).ToList();
        foreach (var key in superseded)
            fields.Fail(key, Replacement(key));
        if (superseded.Count > 0)
            return null;
        fields.Text("name");
        return new()
        {
            File = file,
            Source = Side(fields, "source_matchers"),
            Target = Side(fields, "target_matchers"),
            Equal = [.. fields.Items("equal").Select(Label).OfType<string>()],
        };
    }

    static string Replacement(string key) => $"{key} is Alertmanager's old form; write {key.Split('_')[0]}_matchers: "
        + $"['label {(key.EndsWith("_re", StringComparison.Ordinal) ? "=~" : "=")} \"value\"'] instead";

    // Without conditions it would take every signal, which nobody means.
    InhibitSide Side(YamlFields fields, string key) => new([.. fields.RequiredItems(key).SelectMany(Matchers)]);

    IReadOnlyList<LabelMatcher> Matchers(YamlNode node)
    {
        if (node is not YamlScalarNode { Value: { } text } scalar)
            return yaml.Fail<LabelMatcher[]>(node, "a matcher must be a text such as alertname = \"NodeSilent\"") ?? [];
        var found = Matcher().Matches(text);
        var end = found.Count > 0 ? found[^1].Index + found[^1].Length : 0;
        if (found.Count == 0 || end < text.Length)
        {
            yaml.FailAt(
                scalar, end,
                $"\"{text}\" is not a matcher; write a label, one of =, !=, =~, !~, and a value in quotes, such as alertname =~ \"A|B\"");
            return [];
        }

        return [.. found.Select(m => Of(scalar, m)).OfType<LabelMatcher>()];
    }

    LabelMatcher? Of(YamlScalarNode node, Match match)
    {
        var op = match.Groups["op"].Value switch
        {
            "=" => MatchOperator.Equal,
            "!=" => MatchOperator.NotEqual,
            "=~" => MatchOperator.Matches,
            _ => MatchOperator.NotMatches,
        };
        var value = match.Groups["quoted"] is { Success: true, Value: var quoted }
            ? Escape().Replace(quoted, e => e.Value is "\\n" ? "\n" : e.Value[1..])
            : match.Groups["bare"].Value;
        try
        {
            return new(match.Groups["name"].Value, op, value);
        }
        catch (ArgumentException e)
        {
            yaml.FailAt(node, match.Groups["value"].Index, e.Message);
            return null;
        }
    }

    string? Label(YamlNode node) =>
        node is YamlScalarNode { Value: { } name }
            && LabelName().IsMatch(name) ? name : yaml.Fail<string>(node, $"equal: \"{YamlReader.Shown(node)}\" is not a label's name");

    // As in Alertmanager, several may stand in one text with commas between them, and a simple value may lack its quotes.
    [GeneratedRegex(
        """\G\s*(?<name>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?<op>=~|!~|!=|=)\s*"""
        + """(?<value>"(?<quoted>(?:[^"\\]|\\["\\n])*)"|(?<bare>[^\s"'{},=!~\\]*))\s*(?:,\s*|\z)""")]
    private static partial Regex Matcher();

    [GeneratedRegex("""\\["\\n]""")]
    private static partial Regex Escape();

    [GeneratedRegex(@"\A[a-zA-Z_][a-zA-Z0-9_]*\z")]
    private static partial Regex LabelName();
}
