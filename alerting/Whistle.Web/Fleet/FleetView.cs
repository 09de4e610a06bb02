using Whistle.Alerting.Tickets;
using Whistle.Remediation.Runs;
using Whistle.Web.Clusters;
using Whistle.Web.Incidents;
using Whistle.Web.Live;
using Whistle.Web.Nodes;

namespace Whistle.Web.Fleet;

/// <summary>Runs that wait for one reason.</summary>
/// <param name="First">The one that waits longest.</param>
sealed record WaitingGroup(string Reason, int Count, Run First);

/// <summary>The first page: who is needed, what comes due, what Whistle does, and the fleet, the worst first.</summary>
sealed record FleetView
{
    public required FleetSnapshot Snapshot { get; init; }

    public required IReadOnlyList<IncidentRow> Incidents { get; init; }

    public required IReadOnlyList<ClusterView> Clusters { get; init; }

    /// <summary>Runs at work, the oldest first.</summary>
    public required IReadOnlyList<Run> AtWork { get; init; }

    public required IReadOnlyList<WaitingGroup> Waiting { get; init; }

    public IEnumerable<IncidentRow> Open => Incidents.Where(i => i.Standing is not Standing.Closed);

    public IEnumerable<IncidentRow> ForPeople => Incidents.Where(i => i.Standing is Standing.NeedsPerson or Standing.NeedsApproval);

    /// <summary>Open tickets whose incident is not listed already.</summary>
    public IEnumerable<Ticket> OtherTickets
    {
        get
        {
            var listed = ForPeople.Select(i => i.Incident.Id).ToHashSet();
            return Snapshot.OpenTickets.Where(t => !listed.Contains(t.Incident));
        }
    }

    public int Reporting => Snapshot.Nodes.Count(n => n.State is NodeState.Reporting);

    public int ClosedToday => Incidents.Count(i => i.Standing is Standing.Closed);

    // Where nobody can be paged, the hint above the page says so.
    string NotPaged => Snapshot.HasChannel ? "; nobody has been paged yet" : "";

    static string Words(int count, string what) => count == 1 ? $"1 {what}incident is" : $"{count} {what}incidents are";

    /// <summary>How the fleet is, in a sentence.</summary>
    public string Headline
    {
        get
        {
            var (people, open) = (ForPeople.Count() + OtherTickets.Count(), Open.Count());
            if (open == 0 && people == 0 && !Snapshot.IsWhole)
                return "The state of the fleet is unknown.";
            if (Snapshot.Nodes.Count == 0)
                return "No nodes yet.";
            if (open == 0 && people == 0)
                return Reporting == Snapshot.Nodes.Count ? "All is well." : "Nothing is wrong on the nodes that report.";
            var critical = Open.Count(i => i.Incident.Severity == "critical");
            var first = people switch
            {
                0 when critical > 0 => $"{Words(critical, "critical ")} open{NotPaged}.",
                0 => $"{Words(open, "")} open; nobody is needed yet.",
                1 => "1 thing needs a person.",
                _ => $"{people} things need a person.",
            };
            return AtWork.Count switch
            {
                0 => first,
                1 => $"{first} 1 repair is running.",
                var running => $"{first} {running} repairs are running.",
            };
        }
    }

    public static FleetView Of(FleetSnapshot snapshot)
    {
        var incidents = IncidentRow.All(snapshot);
        return new FleetView
        {
            Snapshot = snapshot,
            Incidents = incidents,
            Clusters = ClusterView.All(snapshot, incidents),
            AtWork = [.. snapshot.Live.Where(r => r.IsAtWork)],
            Waiting =
            [
                .. snapshot.Live.Where(r => !r.IsAtWork)
                    .GroupBy(r => r.Reason.Length > 0 ? r.Reason : "Just proposed; the gates are checked at the next pass.")
                    .Select(g => new WaitingGroup(g.Key, g.Count(), g.MinBy(r => r.Since)!)).OrderByDescending(g => g.Count),
            ],
        };
    }

    /// <summary>Nodes whose name, cluster, tenant, mount points or signals hold the text.</summary>
    public static IEnumerable<NodeView> Filter(IReadOnlyList<NodeView> nodes, string text) =>
        text.Length == 0 ? nodes : nodes.Where(
            n => Has(n.Key.Node, text) || Has(n.Key.Cluster, text) || Has(n.Key.Tenant, text) || n.Signals.Any(s => Has(s.Name, text)));

    static bool Has(string value, string text) => value.Contains(text, StringComparison.OrdinalIgnoreCase);
}
