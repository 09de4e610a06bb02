using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State.Health;
using Whistle.Web.Charts;
using Whistle.Web.Nodes;
using Whistle.Web.Signals;
using Whistle.Web.Text;

namespace Whistle.Web.Live;

/// <summary>All that the pages show of the fleet, at one instant, for all viewers or as one of them may see it. Immutable.</summary>
public sealed partial record FleetSnapshot
{
    readonly IReadOnlyDictionary<string, string> _tenantNames = new Dictionary<string, string>();
    readonly IReadOnlyDictionary<ClusterId, string> _clusterNames = new Dictionary<ClusterId, string>();

    public FleetSnapshot()
    {
    }

    /// <summary>Rises with every snapshot.</summary>
    public required long Version { get; init; }

    /// <summary>Rises with every look at the telemetry, which is less frequent.</summary>
    public long TelemetryVersion { get; init; }

    public required DateTimeOffset Now { get; init; }

    /// <summary>Open ones, and those that closed within the last day. The oldest first.</summary>
    public IReadOnlyList<Incident> Incidents { get; init; } = [];

    /// <summary>Those that go on, and those that ended within the last day. The oldest first.</summary>
    public IReadOnlyList<Run> Runs { get; init; } = [];

    /// <summary>Why nothing happens now, by the ids of the runs that go on.</summary>
    public IReadOnlyDictionary<string, string> Explanations { get; init; } = new Dictionary<string, string>();

    /// <summary>The runs that wait for a person to do something, by their ids.</summary>
    public IReadOnlySet<string> Asking { get; init; } = new HashSet<string>();

    /// <summary>Who has taken an incident on, by its id.</summary>
    public IReadOnlyDictionary<string, Acknowledgement> Acknowledgements { get; init; } = new Dictionary<string, Acknowledgement>();

    /// <summary>When people were paged for an incident, by its id, where that is not over.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Paged { get; init; } = new Dictionary<string, DateTimeOffset>();

    /// <summary>Since when a page has been due that no channel could carry, by the incident's id.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Unpaged { get; init; } = new Dictionary<string, DateTimeOffset>();

    /// <summary>False where no notification channel is configured, so that nobody is paged.</summary>
    public bool HasChannel { get; init; } = true;

    public KillSwitch Kill { get; init; } = new(false, "", "", DateTimeOffset.UnixEpoch);

    public IReadOnlyList<Pause> Pauses { get; init; } = [];

    public IReadOnlyList<ModeEntry> Modes { get; init; } = [];

    public IReadOnlyList<Runbook> Runbooks { get; init; } = [];

    /// <summary>The latest first.</summary>
    public IReadOnlyList<Ticket> Tickets { get; init; } = [];

    public IReadOnlyList<EnrolledAgent> Agents { get; init; } = [];

    /// <summary>Tenants by id, archived ones too; of one that is seen in part, what is written down about it is for others.</summary>
    public IReadOnlyList<KnownTenant> Tenants
    {
        get;
        init => (field, _tenantNames) = (value, value.ToDictionary(t => t.Id, t => t.Entry.Name));
    } = [];

    /// <summary>Clusters by name, archived ones too.</summary>
    public IReadOnlyList<KnownCluster> Clusters
    {
        get;
        init => (field, _clusterNames) = (value, value.ToDictionary(c => c.Id, c => c.Entry.Name));
    } = [];

    /// <summary>What is known of nodes' agents, of archived ones too.</summary>
    public IReadOnlyDictionary<NodeId, KnownNode> Known { get; init; } = new Dictionary<NodeId, KnownNode>();

    /// <summary>Active signals, the worst first.</summary>
    public IReadOnlyList<SignalView> Signals { get; init; } = [];

    /// <summary>The worst first.</summary>
    public IReadOnlyList<NodeView> Nodes { get; init; } = [];

    /// <summary>Disks that a rule expects to be full, the soonest first.</summary>
    public IReadOnlyList<DueForecast> Due { get; init; } = [];

    /// <summary>What is wrong with the server itself, the worst first.</summary>
    public IReadOnlyList<HealthProblem> Health { get; init; } = [];

    /// <summary>Why a part is missing or old, and what to do.</summary>
    public string? Error { get; init; }

    /// <summary>Nothing is missing or old, as far as the server knows of itself.</summary>
    public bool IsWhole => Error is null && Health.All(p => p.State is not HealthState.Failed);

    /// <summary>What people call the tenant; its id where nobody named it.</summary>
    public string NameOf(string tenant) => _tenantNames.GetValueOrDefault(tenant, tenant);

    /// <summary>What people call the cluster; its id where nobody named it.</summary>
    public string NameOf(ClusterId cluster) => _clusterNames.GetValueOrDefault(cluster, cluster.Cluster);

    /// <summary>What stands where nothing is listed: nothing seen is not nothing there.</summary>
    public string Nothing(string words) => IsWhole ? words : "Unknown while data is missing.";

    /// <summary>The same for a figure: a dash in place of a zero that may not be one.</summary>
    public string Figure(int count) => count > 0 || IsWhole ? count.ToString() : Quantity.Unknown;

    public IEnumerable<Incident> Open => Incidents.Where(i => i.ClosedAt is null);

    public IEnumerable<Run> Live => Runs.Where(r => r.EndedAt is null);

    public IEnumerable<Ticket> OpenTickets => Tickets.Where(t => t.State is not (TicketState.Resolved or TicketState.Closed));
}
