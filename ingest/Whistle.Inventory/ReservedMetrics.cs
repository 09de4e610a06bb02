using System.Collections.Frozen;

using Whistle.State.Health;

namespace Whistle.Inventory;

/// <summary>
/// The metrics that the server itself records. What decides who is silent rests on them, so no sender may write them: its own become
/// <c>exported_…</c>. The list is explicit, because agents send <c>whistle_…</c> names too.
/// </summary>
public static class ReservedMetrics
{
    public const string AgentUp = "whistle_agent_up";
    public const string AgentReportAge = "whistle_agent_last_report_age_seconds";

    /// <summary>A copy of <see cref="CollectorSuccess"/>, made only of what came under a node's own credential.</summary>
    public const string OwnCollectorSuccess = "whistle_agent_collector_success";

    /// <summary>Likewise, of <see cref="AgentInterval"/>.</summary>
    public const string OwnInterval = "whistle_agent_report_interval_seconds";

    public const string CollectorUp = "whistle_collector_up";
    public const string CollectorReportAge = "whistle_collector_last_report_age_seconds";

    /// <summary>1 at the time of the newest sample of each request of a cluster's collector.</summary>
    public const string CollectorReport = "whistle_collector_report";

    public const string Alerts = "ALERTS";

    /// <summary>The value is since when the alert's <c>for</c> counts, in seconds since 1970 UTC.</summary>
    public const string AlertsForState = "ALERTS_FOR_STATE";

    /// <summary>What an agent says of its sources, under node_exporter's name: whoever runs a node_exporter may send it.</summary>
    public const string CollectorSuccess = "node_scrape_collector_success";

    /// <summary>How often an agent reports; with the label <c>collector</c>, how often it reads that source.</summary>
    public const string AgentInterval = "whistle_agent_interval_seconds";

    const string Exported = "exported_";

    /// <summary>Those that it states at all times, whoever is silent.</summary>
    public static readonly FrozenSet<string> Presence = FrozenSet.Create(AgentUp, AgentReportAge, CollectorUp, CollectorReportAge);

    public static readonly FrozenSet<string> Names =
        FrozenSet.Create([.. Presence, OwnCollectorSuccess, OwnInterval, CollectorReport, Alerts, AlertsForState, PassWatch.OverdueMetric]);

    /// <summary>What a sender's metric is stored as. No two names become one, so <c>exported_ALERTS</c> moves on by one as well.</summary>
    internal static string NameFrom(string claimed) => IsReserved(claimed) ? Exported + claimed : claimed;

    /// <summary>A sender's metric that has another name here.</summary>
    public static bool IsRenamed(string stored) =>
        stored.StartsWith(Exported, StringComparison.Ordinal) && IsReserved(stored[Exported.Length..]);

    /// <summary>The name of the copy that proves a node's report, for the metrics that do.</summary>
    public static string? ProofOf(string metric) => metric switch
    {
        CollectorSuccess => OwnCollectorSuccess,
        AgentInterval => OwnInterval,
        _ => null,
    };

    static bool IsReserved(string name)
    {
        var rest = name.AsSpan();
        while (rest.StartsWith(Exported, StringComparison.Ordinal))
            rest = rest[Exported.Length..];
        return Names.GetAlternateLookup<ReadOnlySpan<char>>().Contains(rest);
    }
}
