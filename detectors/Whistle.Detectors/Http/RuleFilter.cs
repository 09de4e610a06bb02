using Whistle.Detectors.Rules;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>
/// Which rules a request asks for: of one type, with one of the names, in one of the groups and files, and with labels (as they are
/// written, before their templates are filled in) that satisfy one of the selectors. What is empty asks for nothing special.
/// </summary>
sealed record RuleFilter(
    string Type, IReadOnlyList<string> Names, IReadOnlyList<string> Groups, IReadOnlyList<string> Files,
    IReadOnlyList<IReadOnlyList<LabelMatcher>> Matches, bool ExcludesAlerts)
{
    /// <exception cref="BadParameterException">A value is none that its parameter takes.</exception>
    public static RuleFilter From(QueryParameters parameters)
    {
        var type = parameters["type"] ?? "";
        return type is "" or "alert" or "record"
            ? new(
                type, parameters.All("rule_name[]"), parameters.All("rule_group[]"), parameters.All("file[]"), parameters.Matches(),
                parameters.Flag("exclude_alerts"))
            : throw new BadParameterException($"invalid parameter \"type\": not supported value \"{type}\"; it is alert or record");
    }

    public bool Selects(RuleGroup group) => IsAmong(Groups, group.Name) && IsAmong(Files, group.File);

    public bool Selects(Rule rule) => (Type.Length == 0 || Type == (rule is AlertRule ? "alert" : "record")) && IsAmong(Names, rule.Name)
        && (Matches.Count == 0 || Matches.Any(matchers => matchers.All(m => m.IsMatch(ValueOf(rule, m.Name)))));

    static bool IsAmong(IReadOnlyList<string> wanted, string name) => wanted.Count == 0 || wanted.Contains(name);

    static string ValueOf(Rule rule, string label) => rule.Labels.FirstOrDefault(l => l.Name == label)?.Text ?? "";
}
