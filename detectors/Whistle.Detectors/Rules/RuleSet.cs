using System.Collections.Frozen;

using Whistle.Detectors.Expressions;
using Whistle.Detectors.Yaml;
using Whistle.Telemetry;

namespace Whistle.Detectors.Rules;

/// <summary>What loading gave: either rules, or every error in every file.</summary>
public sealed record RuleSetLoad(RuleSet? Rules, IReadOnlyList<YamlError> Errors);

/// <summary>How much a rule file holds.</summary>
public sealed record RuleCounts(int Groups, int Alerts, int Recordings, int InhibitRules);

/// <summary>A valid set of rule files, loaded whole. Immutable; a reload makes another.</summary>
public sealed class RuleSet
{
    public static readonly RuleSet Empty = new([], []);

    readonly FrozenDictionary<string, RecordingInput> _recorded;

    RuleSet(IReadOnlyList<RuleGroup> groups, IReadOnlyList<InhibitRule> inhibitRules)
    {
        Groups = groups;
        InhibitRules = inhibitRules;
        _recorded = groups
            .SelectMany(g => g.Rules.OfType<RecordingRule>().Select(r => (Rule: r, g.Interval)))
            .GroupBy(r => r.Rule.Name)
            .ToFrozenDictionary(
                g => g.Key,
                g => new RecordingInput([.. g.SelectMany(r => r.Rule.Expression.Inputs)], g.Max(r => r.Interval)));
    }

    internal IReadOnlyList<RuleGroup> Groups { get; }

    /// <summary>Which signals inhibit others, in the order of the files.</summary>
    internal IReadOnlyList<InhibitRule> InhibitRules { get; }

    /// <summary>How many rules the set has, alerting and recording.</summary>
    public int RuleCount => Groups.Sum(g => g.Rules.Count);

    /// <summary>The selectors of all rules, for whoever must keep data that far back.</summary>
    public IEnumerable<RuleInput> Inputs => Groups.SelectMany(g => g.Rules).SelectMany(r => r.Expression.Inputs);

    /// <summary>Files and folders (their *.yaml and *.yml, in order of name). Nothing is loaded if anything is wrong.</summary>
    public static RuleSetLoad Load(IEnumerable<string> paths)
    {
        var errors = new List<YamlError>();
        var files = new List<RuleFile>();
        foreach (var file in YamlFiles.Expand(paths))
        {
            if (YamlFiles.Read(file, errors) is { } text)
                files.Add(new RuleFileReader(file, new(file, text, errors)).Read());
        }

        var groups = files.SelectMany(f => f.Groups).ToList();
        foreach (var twice in groups.GroupBy(g => g.Key).Where(g => g.Select(x => x.File).Distinct().Count() > 1))
        {
            var second = twice.Last();
            errors.Add(new(
                second.File, 1, 1,
                $"the group \"{second.Name}\" is also in {twice.First().File}, a file of the same name; rename one of the files"));
        }

        return errors.Count > 0 ? new(null, errors) : new(new RuleSet(groups, [.. files.SelectMany(f => f.InhibitRules)]), []);
    }

    /// <summary>What of the set is from one file, named as it was loaded.</summary>
    public RuleCounts Count(string file)
    {
        var groups = Groups.Where(g => g.File == file).ToList();
        var rules = groups.SelectMany(g => g.Rules).ToList();
        return new(
            groups.Count, rules.OfType<AlertRule>().Count(), rules.OfType<RecordingRule>().Count(),
            InhibitRules.Count(r => r.File == file));
    }

    /// <summary>What is no error and yet most likely a typo: inhibit rules that name alerts which the set does not have.</summary>
    public IEnumerable<string> Warnings()
    {
        var alerts = Groups.SelectMany(g => g.Rules.OfType<AlertRule>()).Select(a => a.Name).ToHashSet();
        // Inhibit rules that are looked at without any alerts are for others.
        return alerts.Count == 0 ? [] :
            from rule in InhibitRules
            from matcher in rule.Source.Matchers.Concat(rule.Target.Matchers)
            where matcher.Name == "alertname"
            from name in Named(matcher)
            where name.Length > 0 && !alerts.Contains(name)
            group name by rule.File into missing
            select $"{missing.Key}: inhibit rules name alerts that are not among these rules: {string.Join(", ", missing.Distinct())}";
    }

    static IEnumerable<string> Named(LabelMatcher matcher) =>
        matcher.Operator is MatchOperator.Equal or MatchOperator.NotEqual ? [matcher.Value] : GoRegex.Shared(matcher.Value).Literals ?? [];

    /// <summary>
    /// The same rules for a test, which evaluates all groups at one interval: those that are named in that order, those that are not beside
    /// the first of them.
    /// </summary>
    internal RuleSet Paced(TimeSpan interval, IReadOnlyList<string> order) =>
        new(
            [.. Groups.OrderBy(g => order.Index().FirstOrDefault(o => o.Item == g.Name).Index).Select(g => g with { Interval = interval })],
            InhibitRules);

    /// <summary>The interval at which a metric is recorded and what from, or null for a metric that no rule records.</summary>
    internal RecordingInput? Recording(string metric) => _recorded.GetValueOrDefault(metric);
}

/// <summary>The selectors that a recorded metric is made from, and how often.</summary>
sealed record RecordingInput(IReadOnlyList<RuleInput> Inputs, TimeSpan Interval);
