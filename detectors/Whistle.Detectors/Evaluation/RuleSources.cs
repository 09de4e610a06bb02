using Whistle.Detectors.Expressions;
using Whistle.Detectors.Rules;
using Whistle.Inventory;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Where a rule's inputs come from in the end: the agents' sources behind its metrics, seen through recording rules.
/// <see cref="ServerOnly"/>: every metric is made by the server itself, so its source is always known. <see cref="ScrapeOnly"/>: every
/// metric is the scraper's own about its target (<c>up</c>, <c>scrape_…</c>), which it states also of a target that does not answer.
/// </summary>
sealed record RuleSources(IReadOnlyList<string> Reported, bool ServerOnly, bool ScrapeOnly)
{
    const string ScrapePrefix = "scrape_";

    public static RuleSources Of(Rule rule, RuleSet rules)
    {
        var metrics = new HashSet<string>();
        var any = Collect(rule.Expression.Inputs, rules, metrics);
        return new(
            [.. metrics.Select(ReportSources.Shipped.Of).OfType<string>().Distinct().Order(StringComparer.Ordinal)],
            !any && metrics.Count > 0 && metrics.All(ReservedMetrics.Presence.Contains),
            !any && metrics.Count > 0 && metrics.All(m => m is "up" || m.StartsWith(ScrapePrefix, StringComparison.Ordinal)));
    }

    // Answers whether a selector without a fixed name was met.
    static bool Collect(IReadOnlyList<RuleInput> inputs, RuleSet rules, HashSet<string> metrics)
    {
        var any = false;
        foreach (var input in inputs)
        {
            if (input.Metric is null)
                any = true;
            else if (metrics.Add(input.Metric) && rules.Recording(input.Metric) is { } recording)
                any |= Collect(recording.Inputs, rules, metrics);
        }

        return any;
    }
}
