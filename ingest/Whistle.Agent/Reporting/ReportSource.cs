using Whistle.Agent.Linux;

namespace Whistle.Agent.Reporting;

/// <summary>What a source says of itself. <c>docs/report-sources.md</c> is made of it, and the server reads that.</summary>
sealed record SourceDescription
{
    /// <summary>The job of the sources that report under the names of node_exporter.</summary>
    public const string NodeExporter = "node-exporter";

    /// <summary>Unlike any other's: the label <c>collector</c> of <c>node_scrape_collector_success</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The metrics it sends; a <c>*</c> at the end stands for what the host itself names.</summary>
    public required IReadOnlyList<string> Sends { get; init; }

    /// <summary>The label <c>job</c> of all that it sends.</summary>
    public string Job { get; init; } = NodeExporter;

    /// <summary>The label <c>instance</c>; null for the agent's own.</summary>
    public string? Instance { get; init; }

    /// <summary>Null where it is read for each report. At most two minutes, or a query would miss its last value.</summary>
    public TimeSpan? Interval { get; init; }

    /// <summary>After that long a read counts as failed. Infinite where a read cannot hang; then it costs no thread.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    public bool Declares(string metric) =>
        Sends.Any(s => s.EndsWith('*') ? metric.StartsWith(s[..^1], StringComparison.Ordinal) : metric == s);
}

/// <summary>
/// Something on the host that is read for a report. Those of the job <c>node-exporter</c> have the names that node_exporter 1.5 gives its
/// collectors and metrics, so that rules and dashboards made for it work unchanged.
/// </summary>
interface IReportSource
{
    SourceDescription Description { get; }

    /// <summary>
    /// Writes what the host shows now. Any exception (<see cref="NoDataException"/> where this host has nothing to read) means that nothing
    /// is known: what was written before it is discarded, and no series counts as vanished.
    /// </summary>
    void Collect(SeriesSet series);
}
