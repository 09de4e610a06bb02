using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Incidents;

public enum IncidentState
{
    Open,

    /// <summary>A run works on it.</summary>
    Mitigating,

    /// <summary>None of its signals holds any more, and that must stay so.</summary>
    Recovering,
    Closed,
}

/// <summary>
/// Signals of one cluster that belong together. Opened and closed by its signals, never by an action; a relapse reopens it.
/// </summary>
public sealed record Incident
{
    internal static readonly Labels StormSubject = Labels.Of(("scope", "cluster"));

    public required string Id { get; init; }

    public required string Tenant { get; init; }

    public required string Cluster { get; init; }

    public ClusterId ClusterId => new(Tenant, Cluster);

    /// <summary>
    /// What it is about: the labels that all its signals share (node, mountpoint, device…), without severity and alert name.
    /// </summary>
    public required Labels Subject { get; init; }

    /// <summary>It is about much of a cluster at once, whose cause is elsewhere: nothing is repaired node by node.</summary>
    public bool IsStorm => Subject.Equals(StormSubject);

    /// <summary>The summary of the worst signal.</summary>
    public required string Title { get; init; }

    /// <summary>The worst of its signals so far: critical, warning, info.</summary>
    public required string Severity { get; init; }

    public required IncidentState State { get; init; }

    public required DateTimeOffset OpenedAt { get; init; }

    public DateTimeOffset? ClosedAt { get; init; }

    /// <summary>Since when none of its signals holds; null while one does or is unknown.</summary>
    public DateTimeOffset? ClearSince { get; init; }

    /// <summary>How often it came back.</summary>
    public int Reopened { get; init; }

    public IReadOnlyList<IncidentSignal> Signals { get; init; } = [];

    /// <summary>The names of the alerts about other subjects that its signals have inhibited since it opened or reopened.</summary>
    public IReadOnlyList<string> Inhibits { get; init; } = [];

    /// <summary>What inhibits all its signals that have not cleared, in words. Null if one is not, or if its cause is here.</summary>
    public string? InhibitedBy
    {
        get
        {
            var holding = Signals.Where(s => !s.IsClear).ToList();
            return holding.Count > 0 && holding.TrueForAll(
                s => s.InhibitedBy is { } by && !Signals.Any(o => o.Fingerprint == by.Fingerprint && o.ClearedAt is null))
                ? string.Join(", ", holding.Select(s => s.InhibitedBy!.ToString()).Distinct().Order(StringComparer.Ordinal))
                : null;
        }
    }

    /// <summary>
    /// When it went from quiet to not, the latest last; of the oldest only so many are kept as tell a signal that comes and goes.
    /// </summary>
    public IReadOnlyList<DateTimeOffset> Onsets { get; init; } = [];
}

/// <param name="Since">When it began to fire.</param>
/// <param name="ClearedAt">Null while it is active (firing, or unknown after having fired).</param>
/// <param name="Unknown">Its source does not report: it is active, and nothing is concluded.</param>
/// <param name="QuietSince">
/// Since when its expression no longer holds while <c>keep_firing_for</c> keeps it active. It proves a repair and holds a page; only its
/// end closes the incident.
/// </param>
/// <param name="InhibitedBy">What inhibits it, so that it pages nobody and starts no repair; null if nothing does.</param>
public sealed record IncidentSignal(
    ulong Fingerprint, string Name, Labels Labels, string Severity, DateTimeOffset Since, DateTimeOffset? ClearedAt, bool Unknown = false,
    DateTimeOffset? QuietSince = null, Inhibitor? InhibitedBy = null)
{
    /// <summary>What it states does not hold now.</summary>
    public bool IsClear => ClearedAt is not null || QuietSince is not null;
}

/// <summary>A person has acknowledged the incident: until that ends it pages nobody, and nothing new disturbs workloads.</summary>
public sealed record Acknowledgement(string IncidentId, string Author, DateTimeOffset At, DateTimeOffset Until);

/// <summary>One line of an incident's timeline, never edited. A repeated refusal for one reason is one entry with a count.</summary>
public sealed record TimelineEntry(string IncidentId, long Number, DateTimeOffset At, TimelineKind Kind, string Text, int Count = 1);
