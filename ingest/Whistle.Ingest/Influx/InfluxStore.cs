using Microsoft.Extensions.Logging;

using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>
/// The time-series store beyond one machine: a metric is a measurement, its labels are tags, its samples are in a bucket of one InfluxDB or
/// of several. Partitions, retention and the index are InfluxDB's own.
/// </summary>
/// <remarks>
/// Of two values for one instant the last stays. An endpoint that does not answer fails what concerns it: an answer is never of fewer.
/// </remarks>
public sealed partial class InfluxStore : ITelemetryStore, IDisposable
{
    internal const string Component = "telemetry-store";

    // InfluxDB refuses a longer one, and a body with it; the space after it is counted too.
    const int LongestKey = 65_535;

    readonly InfluxOptions _options;
    readonly TimeProvider _time;
    readonly EndpointMap _map;
    readonly Target[] _targets;
    readonly Dictionary<ClusterId, int> _targetOf = [];
    long _commits;
    bool _failed;

    /// <summary>Asks nothing yet; see <see cref="Check"/>.</summary>
    /// <exception cref="StoreException">A file of certificates cannot be read.</exception>
    /// <exception cref="ArgumentException">The options are not valid; see <see cref="InfluxOptions.Errors"/>.</exception>
    public InfluxStore(InfluxOptions options, TimeProvider time, HealthBoard? health = null, ILogger<InfluxStore>? logger = null)
    {
        if (options.Errors() is { Count: > 0 } errors)
            throw new ArgumentException(string.Join(' ', errors), nameof(options));
        (_options, _time) = (options, time);
        _map = new EndpointMap(options.Endpoints.SkipLast(1).Select(e => e.Clusters));
        _targets = [.. options.Endpoints.Select(endpoint =>
        {
            var connection = new InfluxConnection(endpoint, options, time);
            return new Target(
                connection, new InfluxWriter(connection, options, time, health, logger),
                new InfluxSetUp(connection, options, health, logger));
        })];
    }

    public TimeSpan Retention => _options.Retention;

    /// <summary>Counted in this process: InfluxDB does not number what it takes.</summary>
    public long NextCommit => _commits + 1;

    /// <summary>How many samples the servers have refused for good.</summary>
    public long RefusedSamples => _targets.Sum(t => t.Writer.Refused);

    public void Dispose() => Array.ForEach(_targets, t => t.Connection.Dispose());

    /// <summary>
    /// Looks whether every endpoint answers and has its bucket, makes a bucket that is missing where the token may, and says in the health
    /// what is wrong. To be called at start; maintenance calls it again.
    /// </summary>
    public void Check()
    {
        foreach (var target in _targets)
            target.IsWell = target.SetUp.Check();
    }

    void ITelemetryStore.Append(CommitBatch batch) => Append(batch);

    internal void Append(CommitBatch batch)
    {
        var started = _time.GetTimestamp();
        foreach (var target in _targets)
        {
            target.Lines.Clear();
            target.Writer.IsHasty = _failed;
        }

        for (var i = 0; i < batch.Count; i++)
        {
            var series = batch.Series[i];
            var target = TargetOf(series.Labels);
            var key = series.StoreKey ??= InfluxLines.Key(series.Labels);
            if (key.Length > LongestKey)
            {
                target.Writer.Refuse($"the series {series.Labels.Name} has more than {LongestKey} bytes of labels");
                continue;
            }

            target.Lines.Add(key, batch.Times[i], batch.Values[i]);
            if (target.Lines.Count >= _options.BatchLines || target.Lines.Length >= _options.BatchBytes)
                target.Write(started);
        }

        foreach (var target in _targets)
            target.Write(started);
        _commits++;
        _failed = false;
    }

    /// <summary>
    /// Nothing to open: what is wrong is out there. What failed may be there in part, and is written again as it was.
    /// </summary>
    Recovery ITelemetryStore.Recover()
    {
        _failed = true;
        // What is wrong is found by maintenance, which keeps nobody waiting.
        foreach (var target in _targets)
            target.IsWell = false;
        return new(_commits, IsReplaced: false);
    }

    void ITelemetryStore.Warn(long minTime, long maxTime)
    {
        // What is missing is known to InfluxDB alone.
    }

    Target TargetOf(Labels labels)
    {
        if (_targets.Length == 1)
            return _targets[0];
        var cluster = ClusterId.Of(labels);
        if (!_targetOf.TryGetValue(cluster, out var index))
            _targetOf[cluster] = index = _map.Of(cluster);
        return _targets[index];
    }

    IEnumerable<InfluxConnection> ConnectionsFor(IReadOnlyList<LabelMatcher> matchers) =>
        _map.For(matchers).Select(i => _targets[i].Connection);

    sealed class Target(InfluxConnection connection, InfluxWriter writer, InfluxSetUp setUp)
    {
        public InfluxConnection Connection => connection;

        public InfluxWriter Writer => writer;

        public InfluxSetUp SetUp => setUp;

        public InfluxLines Lines { get; } = new();

        public bool IsWell { get; set; }

        public void Write(long started)
        {
            if (Lines.Count > 0)
                writer.Write(Lines.Bytes, Lines.Count, started);
            Lines.Clear();
        }
    }
}
