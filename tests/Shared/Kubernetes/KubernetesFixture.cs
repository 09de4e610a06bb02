namespace Whistle.Fixtures;

/// <summary>
/// What the targets of a Kubernetes cluster expose, as far as the rules read it that are shared for clusters: node exporter,
/// kube-state-metrics, kubelet with cAdvisor, and the control plane, under their names and labels but for the external label
/// <c>cluster</c>. Nearly every alert finds a single thing in trouble: one node is <see cref="SickNode"/>, one is <see cref="LostNode"/>,
/// and beside the well pods there are a few odd ones. A sample is meant every 15 s.
/// </summary>
sealed class KubernetesFixture
{
    public const int SeriesPerNodeExporter = NodeExporterSeries.Count;

    readonly List<FixtureSeries> _series = [];

    /// <param name="nodes">At least 1; a node is lost only with 3 or more.</param>
    /// <param name="podsPerNode">At least 2: those of the daemon sets.</param>
    /// <param name="seed">Of all values.</param>
    public KubernetesFixture(int nodes, int podsPerNode = 15, int seed = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(nodes, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(podsPerNode, 2);
        NodeCount = nodes;
        var workloads = new Workloads(nodes, podsPerNode);
        for (var node = 0; node < nodes; node++)
            NodeExporterSeries.Add(_series, (uint)seed, node, node == SickNode);
        new KubeletSeries(this, _series, (uint)seed).Add(workloads);
        new KubeStateSeries(this, _series, (uint)seed).Add(workloads);
        new ControlPlaneSeries(_series, (uint)seed).Add();
        Series = _series;
    }

    public IReadOnlyList<FixtureSeries> Series { get; }

    public int NodeCount { get; }

    /// <summary>Under load and with broken parts, but there.</summary>
    public int SickNode => Math.Min(1, NodeCount - 1);

    /// <summary>Its kubelet does not answer; -1 where there is none.</summary>
    public int LostNode => NodeCount > 2 ? NodeCount - 1 : -1;

    public static string NodeName(int node) => $"node-{node:000}";

    public static string Address(int node) => $"10.0.{node / 250}.{1 + (node % 250)}";

    /// <summary>What the node exporter of a well node exposes: <see cref="SeriesPerNodeExporter"/> series.</summary>
    public static IReadOnlyList<FixtureSeries> Nodes(int node)
    {
        List<FixtureSeries> series = [];
        NodeExporterSeries.AddMetrics(series, 1, node, sick: false);
        return series;
    }

    /// <summary>The values of all series at one instant, in their order. Allocates nothing.</summary>
    /// <param name="sample">From 0.</param>
    /// <param name="values">As long as <see cref="Series"/>.</param>
    public void ValuesAt(int sample, Span<double> values)
    {
        for (var i = 0; i < _series.Count; i++)
            values[i] = _series[i].At(sample);
    }
}
