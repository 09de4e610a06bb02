using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Runs;
using Whistle.Web.Live;
using Whistle.Web.Signals;
using Whistle.Web.Text;

namespace Whistle.Web.Incidents;

/// <summary>How things stand with an incident, for people. In the order of who must look first.</summary>
public enum Standing
{
    /// <summary>People were paged, or would have been; the repair asks them to do something, or it gave up.</summary>
    NeedsPerson,
    NeedsApproval,

    /// <summary>A run waits: a gate says not now.</summary>
    HeldBack,

    /// <summary>All its signals are inhibited.</summary>
    Inhibited,

    /// <summary>No run is there.</summary>
    Watched,
    Repairing,
    Recovering,
    Closed,
}

/// <summary>An incident with how things stand, as a line of a list.</summary>
/// <param name="Run">The latest; null where there is none.</param>
/// <param name="Why">One sentence: why nothing happens now, or what does, and when it is looked at again.</param>
/// <param name="Acknowledgement">Who has taken it on; null where nobody has.</param>
/// <param name="PagedAt">When people were paged; null where they were not, or it is over.</param>
public sealed record IncidentRow(
    Incident Incident, Run? Run, Standing Standing, string Why, Acknowledgement? Acknowledgement, DateTimeOffset? PagedAt)
{
    /// <summary>Since when a page has been due that no channel could carry; null where none is.</summary>
    public DateTimeOffset? UnpagedSince { get; init; }

    public NodeId Node => Incident.ClusterId.Node(Incident.Subject["node"]);

    /// <summary>What it is about besides the node.</summary>
    public string About => string.Join(", ", Incident.Subject.Where(l => l.Name != "node").Select(l => l.Value));

    /// <summary>Somebody must do something, and nobody has said that they do.</summary>
    public bool IsUrgent => Standing is Standing.NeedsPerson or Standing.NeedsApproval && Acknowledgement is null;

    public bool Matches(string text) => text.Length == 0 || Has(Incident.Title, text) || Has(Incident.Cluster, text)
        || Has(Incident.Tenant, text) || Incident.Subject.Any(l => Has(l.Value, text)) || Incident.Signals.Any(s => Has(s.Name, text));

    static bool Has(string value, string text) => value.Contains(text, StringComparison.OrdinalIgnoreCase);

    /// <summary>All of the snapshot, who must look first before; then the severe, then the old.</summary>
    public static IReadOnlyList<IncidentRow> All(FleetSnapshot snapshot)
    {
        var runs = snapshot.Runs.GroupBy(r => r.IncidentId).ToDictionary(g => g.Key, g => g.ToList());
        return
        [
            .. snapshot.Incidents.Select(i => Of(snapshot, i, runs.GetValueOrDefault(i.Id) ?? []))
                .OrderBy(r => r.Standing is Standing.Closed).ThenBy(r => !r.IsUrgent)
                .ThenBy(r => SignalOrder.Rank("firing", r.Incident.Severity)).ThenBy(r => r.Standing).ThenBy(r => r.Incident.OpenedAt)
                .ThenBy(r => r.Incident.Id, StringComparer.Ordinal),
        ];
    }

    /// <param name="runs">Of the incident, the oldest first.</param>
    public static IncidentRow Of(FleetSnapshot snapshot, Incident incident, IReadOnlyList<Run> runs)
    {
        var run = runs.LastOrDefault(r => r.EndedAt is null) ?? (runs.Count > 0 ? runs[^1] : null);
        var (paged, unpaged) = (At(snapshot.Paged, incident.Id), At(snapshot.Unpaged, incident.Id));
        var standing = StandingOf(incident, run, run is not null && snapshot.Asking.Contains(run.Id), (paged ?? unpaged) is not null);
        var acknowledgement = snapshot.Acknowledgements.GetValueOrDefault(incident.Id);
        return new(incident, run, standing, WhyOf(snapshot, incident, run), acknowledgement, paged)
        { UnpagedSince = unpaged };
    }

    static DateTimeOffset? At(IReadOnlyDictionary<string, DateTimeOffset> times, string id) =>
        times.TryGetValue(id, out var at) ? at : null;

    static Standing StandingOf(Incident incident, Run? run, bool asks, bool isPaged) => (incident.State, run?.State) switch
    {
        (IncidentState.Closed, _) => Standing.Closed,
        (IncidentState.Recovering, _) => Standing.Recovering,
        _ when asks => Standing.NeedsPerson,
        (_, RunState.Running or RunState.Verifying) => Standing.Repairing,
        (_, RunState.AwaitingApproval) => Standing.NeedsApproval,
        (_, RunState.Escalated) => Standing.NeedsPerson,
        _ when isPaged => Standing.NeedsPerson,
        _ when incident.InhibitedBy is not null => Standing.Inhibited,
        (_, RunState.Waiting or RunState.Proposed) => Standing.HeldBack,
        _ => Standing.Watched,
    };

    static string WhyOf(FleetSnapshot snapshot, Incident incident, Run? run)
    {
        if (incident.ClosedAt is not null)
        {
            var changes =
                run is { State: RunState.Succeeded } ? string.Join(" ", run.Reports.Where(r => r.Changed).Select(r => r.Summary)) : "";
            return changes.Length > 0
                ? $"Repaired by {run!.Runbook}: {changes} All signals cleared and stayed clear."
                : "Closed: all signals cleared and stayed clear, or their subject is gone.";
        }

        if (incident.InhibitedBy is { } cause && run is null or { EndedAt: not null } or { State: RunState.Waiting or RunState.Proposed })
            return $"Inhibited by {cause}. While that fires, nobody is paged for this and no repair starts.";
        if (run is not null && snapshot.Explanations.TryGetValue(run.Id, out var sentence))
            return sentence;
        if (incident.State is IncidentState.Recovering)
            return $"All signals cleared {Quantity.Ago(incident.ClearSince ?? snapshot.Now, snapshot.Now)}. "
                + "It closes once they have stayed clear for a while.";
        return run switch
        {
            null => snapshot.HasChannel
                ? "No runbook handles these signals. A person is paged if they do not clear in time."
                : "No runbook handles these signals.",
            { State: RunState.Escalated } => $"Whistle gave up: {run.Reason}",
            { CancelledBy: { } author } => $"{author} cancelled the repair, so Whistle does not try again: {run.Reason}",
            _ => $"The last run ended {Quantity.Ago(run.EndedAt ?? snapshot.Now, snapshot.Now)}: "
                + $"{run.Reason} Another run follows if the signals keep firing.",
        };
    }
}
