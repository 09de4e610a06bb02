using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Web.Places;
using Whistle.Web.Signals;

namespace Whistle.Web.Nodes;

/// <summary>The nodes of the fleet, the worst first, from who should report and what the queries gave.</summary>
static class NodeList
{
    public static IReadOnlyList<NodeView> Build(
        IReadOnlyList<EnrolledAgent> agents, IReadOnlyList<SignalView> signals, FleetTelemetry telemetry)
    {
        var byNode = signals.ToLookup(s => s.Node);
        var filesystems = Filesystems(telemetry, byNode).ToLookup(f => f.Key.Node);
        var enrolled = agents.ToDictionary(a => a.NodeId);
        var nodes = enrolled.Keys.Union(filesystems.Select(f => f.Key)).Union(telemetry.NodesOf(FleetTelemetry.LastReport))
            .Select(k =>
                Node(k, enrolled.GetValueOrDefault(k), telemetry) with { Filesystems = Ordered(filesystems[k]), Signals = [.. byNode[k]] });
        return Ordered(nodes);
    }

    /// <summary>The same nodes with what is wrong with them now.</summary>
    public static IReadOnlyList<NodeView> With(IReadOnlyList<NodeView> nodes, IReadOnlyList<SignalView> signals)
    {
        var byNode = signals.ToLookup(s => s.Node);
        return Ordered(nodes.Select(n => byNode.Contains(n.Key) || n.Signals.Count > 0 ? n with { Signals = [.. byNode[n.Key]] } : n));
    }

    static IReadOnlyList<NodeView> Ordered(IEnumerable<NodeView> nodes) =>
    [
        .. nodes.OrderBy(n => n.Rank).ThenByDescending(n => n.Fullest?.Used ?? 0).ThenBy(n => n.Key.Node, StringComparer.Ordinal)
            .ThenBy(n => n.Key.Cluster, StringComparer.Ordinal).ThenBy(n => n.Key.Tenant, StringComparer.Ordinal),
    ];

    static NodeView Node(NodeId key, EnrolledAgent? agent, FleetTelemetry telemetry)
    {
        var last = telemetry.Of(agent is null ? FleetTelemetry.LastReport : FleetTelemetry.LastOwnReport, key);
        var boot = telemetry.Of(FleetTelemetry.BootTime, key);
        var seen = Seen(last, telemetry.Of(FleetTelemetry.LastHeard, key), agent);
        return new NodeView
        {
            Key = key,
            State = State(agent is not null, telemetry.Of(FleetTelemetry.Up, key), seen),
            LastReport = seen,
            Load = telemetry.Of(FleetTelemetry.Load, key),
            Cores = telemetry.Of(FleetTelemetry.Cores, key),
            MemoryTotal = telemetry.Of(FleetTelemetry.MemoryTotal, key),
            MemoryAvailable = telemetry.Of(FleetTelemetry.MemoryAvailable, key),
            BootedAt = double.IsFinite(boot) ? Instant(boot) : null,
        };
    }

    // The server counts the silence of an agent that it never heard from its enrolment.
    static DateTimeOffset? Seen(double last, double heard, EnrolledAgent? agent)
    {
        if (double.IsFinite(last))
            return Instant(last);
        var at = double.IsFinite(heard) ? Instant(heard) : (DateTimeOffset?)null;
        return at - agent?.EnrolledAt < TimeSpan.FromSeconds(1) ? null : at;
    }

    // The server's own judgement is the one that fires NodeSilent; the page must not contradict it.
    static NodeState State(bool isEnrolled, double up, DateTimeOffset? seen)
    {
        if (up == 0 && isEnrolled)
            return NodeState.Silent;
        return seen is null && isEnrolled ? NodeState.Awaited : NodeState.Reporting;
    }

    static IEnumerable<FilesystemView> Filesystems(FleetTelemetry telemetry, ILookup<NodeId, SignalView> signals)
    {
        var available = telemetry.ByFilesystem(FleetTelemetry.Available);
        var inodes = telemetry.ByFilesystem(FleetTelemetry.Inodes);
        var inodesFree = telemetry.ByFilesystem(FleetTelemetry.InodesFree);
        var readOnly = telemetry.ByFilesystem(FleetTelemetry.ReadOnly);
        var errors = telemetry.ByFilesystem(FleetTelemetry.DeviceError);
        var sizes = telemetry.ByFilesystem(FleetTelemetry.Size);
        foreach (var key in sizes.Keys.Union(errors.Keys))
        {
            yield return new FilesystemView
            {
                Key = key,
                Size = sizes.GetValueOrDefault(key, double.NaN),
                Available = available.GetValueOrDefault(key, double.NaN),
                Inodes = inodes.GetValueOrDefault(key, double.NaN),
                InodesFree = inodesFree.GetValueOrDefault(key, double.NaN),
                ReadOnly = readOnly.GetValueOrDefault(key) == 1,
                Failing = errors.GetValueOrDefault(key) == 1,
                Signals = [.. signals[key.Node].Where(s => s.Mountpoint.Length > 0 && s.Mountpoint == key.Mountpoint)],
            };
        }
    }

    static IReadOnlyList<FilesystemView> Ordered(IEnumerable<FilesystemView> filesystems) =>
        [.. filesystems.OrderBy(Rank).ThenByDescending(f => f.Used).ThenBy(f => f.Key.Mountpoint, StringComparer.Ordinal)];

    static int Rank(FilesystemView filesystem) =>
        filesystem.Signals.Count > 0
            ? filesystem.Signals[0].Rank
            : filesystem.Failing ? SignalOrder.Rank("", "") - 1
            : SignalOrder.Rank("", "");

    static DateTimeOffset Instant(double seconds) =>
        DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Round(Math.Clamp(seconds, 0, 1e11) * 1000));
}

/// <summary>What the queries of the page gave: one answer a query, for all nodes.</summary>
sealed class FleetTelemetry
{
    internal const string Size = "node_filesystem_size_bytes";
    internal const string Available = "node_filesystem_avail_bytes";
    internal const string Inodes = "node_filesystem_files";
    internal const string InodesFree = "node_filesystem_files_free";
    internal const string ReadOnly = "node_filesystem_readonly";
    internal const string DeviceError = "node_filesystem_device_error";
    internal const string Load = "node_load1";
    internal const string MemoryTotal = "node_memory_MemTotal_bytes";
    internal const string MemoryAvailable = "node_memory_MemAvailable_bytes";
    internal const string BootTime = "node_boot_time_seconds";
    internal const string Cores = """count by (tenant, cluster, node, instance) (node_cpu_seconds_total{mode="idle"})""";
    internal const string LastReport = "max by (tenant, cluster, node, instance) (timestamp(node_scrape_collector_success))";
    internal const string LastOwnReport = $"max by (tenant, cluster, node, instance) (timestamp({ReservedMetrics.OwnCollectorSuccess}))";
    internal const string LastHeard = "timestamp(whistle_agent_last_report_age_seconds) - whistle_agent_last_report_age_seconds";
    internal const string Up = "whistle_agent_up";

    internal static readonly string[] FilesystemMetrics = [Size, Available, Inodes, InodesFree, ReadOnly, DeviceError];

    internal static readonly string[] NodeQueries =
        [Load, MemoryTotal, MemoryAvailable, BootTime, Cores, LastReport, LastOwnReport, LastHeard, Up];

    readonly Dictionary<string, Dictionary<FilesystemKey, double>> _filesystems = [];
    readonly Dictionary<string, Dictionary<NodeId, double>> _nodes = [];

    /// <summary>Takes an answer. What is known already stays: fresh answers are added before old ones.</summary>
    public void Add(string query, IReadOnlyList<VectorSample> samples)
    {
        if (FilesystemMetrics.Contains(query))
        {
            var metric = _filesystems.TryGetValue(query, out var known) ? known : _filesystems[query] = [];
            foreach (var (labels, value) in samples)
                metric.TryAdd(FilesystemKey.Of(labels), value);
        }
        else
        {
            var metric = _nodes.TryGetValue(query, out var known) ? known : _nodes[query] = [];
            foreach (var (labels, value) in samples)
                metric.TryAdd(TelemetryNode.Of(labels), value);
        }
    }

    internal IReadOnlyDictionary<FilesystemKey, double> ByFilesystem(string query) =>
        _filesystems.GetValueOrDefault(query) ?? [];

    internal double Of(string query, NodeId node) =>
        _nodes.TryGetValue(query, out var values) && values.TryGetValue(node, out var value) ? value : double.NaN;

    internal IEnumerable<NodeId> NodesOf(string query) => _nodes.GetValueOrDefault(query)?.Keys.AsEnumerable() ?? [];
}
