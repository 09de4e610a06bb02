using System.Text.RegularExpressions;

using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>Which endpoint has the samples of a cluster: the first with a pattern for it, or the last.</summary>
/// <param name="rules">Patterns such as <c>tenant/cluster</c> of each endpoint but the last.</param>
sealed class EndpointMap(IEnumerable<IReadOnlyList<string>> rules)
{
    readonly Rule[][] _rules = [.. rules.Select(r => r.Select(Rule.Parse).ToArray())];

    /// <summary>The endpoint's index.</summary>
    public int Of(ClusterId cluster)
    {
        var at = Array.FindIndex(_rules, rules => rules.Any(r => r.IsMatch(cluster)));
        return at < 0 ? _rules.Length : at;
    }

    /// <summary>Those that may have series which satisfy all matchers. One that surely has none is left out.</summary>
    public IEnumerable<int> For(IReadOnlyList<LabelMatcher> matchers)
    {
        var tenants = matchers.Where(m => m.Name == Sender.TenantLabel).ToArray();
        var clusters = matchers.Where(m => m.Name == Sender.ClusterLabel).ToArray();
        var (tenant, cluster) = (Known(tenants), Known(clusters));
        if (tenant is not null && cluster is not null)
            return [Of(new(tenant, cluster))];
        List<int> found = [];
        for (var i = 0; i < _rules.Length; i++)
        {
            var concerned = _rules[i]
                .Where(r => MayMatch(r.OfTenant, tenants, tenant) && MayMatch(r.OfCluster, clusters, cluster)).ToList();
            if (concerned.Count > 0)
                found.Add(i);
            // Everything that is asked for is there, and nothing further on.
            if (concerned.Exists(r => IsWhole(r.OfTenant, tenant) && IsWhole(r.OfCluster, cluster)))
                return found;
        }

        return [.. found, _rules.Length];
    }

    static string? Known(LabelMatcher[] matchers) => Array.Find(matchers, m => m.Operator == MatchOperator.Equal)?.Value;

    static bool MayMatch(Pattern pattern, LabelMatcher[] matchers, string? known) =>
        known is not null ? pattern.IsMatch(known) : pattern.Literal is not { } text || matchers.All(m => m.IsMatch(text));

    static bool IsWhole(Pattern pattern, string? known) => pattern.IsAny || (known is not null && pattern.IsMatch(known));

    sealed record Rule(Pattern OfTenant, Pattern OfCluster)
    {
        public static Rule Parse(string text)
        {
            var at = text.IndexOf('/', StringComparison.Ordinal);
            return new(new(text[..at]), new(text[(at + 1)..]));
        }

        public bool IsMatch(ClusterId cluster) => OfTenant.IsMatch(cluster.Tenant) && OfCluster.IsMatch(cluster.Cluster);
    }

    sealed class Pattern(string text)
    {
        readonly Regex _regex = new(
            $@"\A{Regex.Escape(text).Replace("\\*", ".*", StringComparison.Ordinal)}\z",
            RegexOptions.CultureInvariant | RegexOptions.Singleline | RegexOptions.NonBacktracking);

        public bool IsAny => text == "*";

        /// <summary>The only text that matches; null where there are others.</summary>
        public string? Literal => text.Contains('*', StringComparison.Ordinal) ? null : text;

        public bool IsMatch(string name) => _regex.IsMatch(name);
    }
}
