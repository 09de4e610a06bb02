using Whistle.Inventory;
using Whistle.Remediation.Runs;
using Whistle.Web.Charts;
using Whistle.Web.Nodes;

namespace Whistle.Web.Live;

/// <summary>The charts of a node with what repairs did, read once a look at the telemetry for all who look at it.</summary>
sealed class ChartReader(NodeReader nodes)
{
    readonly SharedReads<(NodeId, string), IReadOnlyList<ChartView>> _charts = new();

    public async Task<IReadOnlyList<ChartView>> ReadAsync(FleetSnapshot snapshot, NodeId node, ChartRange range)
    {
        var charts = await _charts.GetAsync(
            (node, range.Name), snapshot.TelemetryVersion, () => nodes.ChartsAsync(node, range, snapshot.Now, CancellationToken.None));
        var runs = snapshot.Runs.Where(r => r.NodeId == node).ToList();
        return runs.Count == 0 ? charts : [.. charts.Select(c => c with { Marks = Marks(c, runs) })];
    }

    // A repair of a disk is shown on that disk's chart only.
    internal static IReadOnlyList<RepairMark> Marks(ChartView chart, IReadOnlyList<Run> runs) =>
    [
        .. runs.Where(
            r => r.Subject["mountpoint"] is not { Length: > 0 } mount || (chart.Kind is ChartKind.Filesystem && mount == chart.Name))
            .SelectMany(r => r.Reports.Where(s => s.Changed).Select(s => new RepairMark(s.At, $"{s.Step}: {s.Summary}")))
            .OrderBy(m => m.At),
    ];
}
