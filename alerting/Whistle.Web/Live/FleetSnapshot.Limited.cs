using System.Diagnostics.CodeAnalysis;

using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Remediation.Runs;
using Whistle.State.Health;

namespace Whistle.Web.Live;

/// <summary>What is left of a snapshot for somebody who may not see all of it.</summary>
public sealed partial record FleetSnapshot
{
    const string ServersOwn = "Whoever runs the server sees what it is.";

    readonly FleetSnapshot? _all;

    /// <summary>Of the viewer whom it is for.</summary>
    public Rights Rights { get; private init; } = Rights.Everything;

    /// <summary>The one for all viewers that this was made of. What readers share is made of it.</summary>
    internal FleetSnapshot All => _all ?? this;

    /// <summary>As somebody with these rights may see it: nothing else is in it, not in a count either.</summary>
    public FleetSnapshot For(Rights rights)
    {
        if (_all is not null)
            return _all.For(rights);
        if (rights.SeesAll)
            return this with { Rights = rights };
        List<Incident> incidents = [.. Incidents.Where(i => rights.Sees(i.ClusterId))];
        List<Run> runs = [.. Runs.Where(r => rights.Sees(r.ClusterId))];
        var (incidentIds, runIds) = (incidents.Select(i => i.Id).ToHashSet(), runs.Select(r => r.Id).ToHashSet());
        return new FleetSnapshot(this, rights)
        {
            Incidents = incidents,
            Runs = runs,
            Explanations = Explanations.Where(e => runIds.Contains(e.Key)).ToDictionary(),
            Asking = Asking.Where(runIds.Contains).ToHashSet(),
            Acknowledgements = Acknowledgements.Where(a => incidentIds.Contains(a.Key)).ToDictionary(),
            Paged = Paged.Where(p => incidentIds.Contains(p.Key)).ToDictionary(),
            Unpaged = Unpaged.Where(p => incidentIds.Contains(p.Key)).ToDictionary(),
            Pauses = [.. Pauses.Where(p => rights.SeesPartOf(p.Scope))],
            Modes = [.. Modes.Where(m => rights.SeesPartOf(m.Scope))],
            Tickets = [.. Tickets.Where(t => rights.Sees(t.ClusterId))],
            Agents = [.. Agents.Where(a => rights.Sees(a.NodeId.ClusterId))],
            Tenants = [.. Tenants.Where(t => rights.SeesPartOf(AccessScope.Of(t.Id)))],
            Clusters = [.. Clusters.Where(c => rights.Sees(c.Id))],
            Known = Known.Where(n => rights.Sees(n.Key.ClusterId)).ToDictionary(),
            Signals = [.. Signals.Where(s => rights.Sees(s.Node.ClusterId))],
            Nodes = [.. Nodes.Where(n => rights.Sees(n.Key.ClusterId))],
            Due = [.. Due.Where(d => rights.Sees(d.Key.Node.ClusterId))],
        };
    }

    /// <summary>Whether the viewer may do it there, so that the page offers it. The act itself asks again.</summary>
    public bool May(Permission permission, ClusterId cluster) => Rights.May(permission, AccessScope.Of(cluster));

    // Nothing comes along that is not named here: what a snapshot has one day is hidden until somebody decides about it.
    [SetsRequiredMembers]
    FleetSnapshot(FleetSnapshot all, Rights rights)
    {
        (_all, Rights, Version, Now) = (all, rights, all.Version, all.Now);
        (TelemetryVersion, HasChannel, Kill, Runbooks) = (all.TelemetryVersion, all.HasChannel, all.Kill, all.Runbooks);
        Error = all.Error is null ? null : $"The server cannot read all of its data. {ServersOwn}";
        Health = [.. all.Health.Where(p => p.State is not HealthState.Warning).GroupBy(p => p.State).Select(
            g => new HealthProblem("server", "", g.Key, ServersOwn, g.Min(p => p.Since)))];
    }
}
