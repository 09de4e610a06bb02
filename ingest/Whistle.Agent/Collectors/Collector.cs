namespace Whistle.Agent.Collectors;

/// <summary>
/// One source of metrics on the host. The names of collectors and metrics are those of node_exporter 1.5, so that
/// rules and dashboards made for it work unchanged.
/// </summary>
interface ICollector
{
    string Name { get; }

    /// <summary>
    /// Writes what the host shows now. Any exception means that nothing is known: what was written before it is
    /// discarded, and no series counts as vanished.
    /// </summary>
    void Collect(SeriesSet series);
}

/// <summary>The source exists, but not on this host or not with these rights. The message says what is lacking.</summary>
sealed class NoDataException(string message) : Exception(message);
