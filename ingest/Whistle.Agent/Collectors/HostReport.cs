using Microsoft.Extensions.Logging;

using Whistle.Telemetry;

namespace Whistle.Agent.Collectors;

/// <summary>
/// Runs every collector and puts their series into one report. A collector that fails costs its own series and
/// nothing else. Not thread-safe; the series of a report are valid until the next one.
/// </summary>
sealed class HostReport
{
    // The same complaint again and again says nothing new.
    static readonly TimeSpan ComplainEvery = TimeSpan.FromMinutes(10);

    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly Source[] _sources;
    readonly SeriesSet _outcomes;
    readonly SeriesSet _own;
    readonly List<TimeSeries> _report = [];

    public HostReport(IEnumerable<ICollector> collectors, string instance, TimeProvider time, ILogger log)
    {
        _time = time;
        _log = log;
        Label[] common = [new("job", "node-exporter"), new("instance", instance)];
        _sources = [.. collectors.Select(c => new Source(c, new SeriesSet(common)))];
        _outcomes = new SeriesSet(common);
        _own = new SeriesSet(common);
    }

    /// <summary>The series of the last reports, by collector.</summary>
    public IEnumerable<KeyValuePair<string, SeriesSet>> Sets =>
        [.. _sources.Select(s => KeyValuePair.Create(s.Collector.Name, s.Series)), new("outcomes", _outcomes), new("agent", _own)];

    /// <summary>Rises whenever a series comes or goes.</summary>
    public long Changes => Sets.Sum(set => set.Value.Changes);

    /// <summary>The collectors of this host, in the order of the report.</summary>
    public static ICollector[] HostCollectors(AgentOptions options)
    {
        var proc = new HostFile(options.ProcPath);
        // Long enough for a host under heavy load, short enough that a mount which begins to hang costs no default tick.
        var probe = new MountProbe(Native.FileSystemUsage, patience: TimeSpan.FromSeconds(2), budget: TimeSpan.FromSeconds(6));
        return
        [
            new CpuCollector(proc),
            new DiskstatsCollector(proc),
            new FilesystemCollector(proc, options.RootPath, probe),
            new LoadavgCollector(proc),
            new MeminfoCollector(proc),
            new NetclassCollector(new HostFile(options.SysPath)),
            new NetdevCollector(proc),
            new PressureCollector(proc),
            new StatCollector(proc),
            new TimeCollector(options.Time),
            new TimexCollector(),
            new UnameCollector(),
        ];
    }

    /// <param name="time">Milliseconds since 1970 UTC, the time of every sample.</param>
    /// <param name="writeOwn">Adds what the agent says about itself.</param>
    public IReadOnlyList<TimeSeries> Collect(long time, Action<SeriesSet> writeOwn)
    {
        _report.Clear();
        _outcomes.Begin();
        foreach (var source in _sources)
            Run(source, time);
        _outcomes.Commit(time, _report);
        _own.Begin();
        writeOwn(_own);
        _own.Commit(time, _report);
        return _report;
    }

    void Run(Source source, long time)
    {
        var name = source.Collector.Name;
        var start = _time.GetTimestamp();
        var success = TryCollect(source, time);
        _outcomes.Add("node_scrape_collector_duration_seconds", _time.GetElapsedTime(start).TotalSeconds, "collector", name);
        _outcomes.Add("node_scrape_collector_success", success ? 1 : 0, "collector", name);
    }

    bool TryCollect(Source source, long time)
    {
        source.Series.Begin();
        try
        {
            source.Collector.Collect(source.Series);
            source.Series.Commit(time, _report);
            source.LastComplaint = null;
            return true;
        }
        catch (Exception e)
        {
            source.Series.Abandon();
            Complain(source, e);
            return false;
        }
    }

    void Complain(Source source, Exception exception)
    {
        var now = _time.GetUtcNow();
        if (source.LastComplaint == exception.Message && (now - source.ComplainedAt).Duration() < ComplainEvery)
            return;
        source.LastComplaint = exception.Message;
        source.ComplainedAt = now;
        if (exception is NoDataException)
            _log.CollectorHasNoData(source.Collector.Name, exception.Message);
        else
            _log.CollectorFailed(source.Collector.Name, exception);
    }

    sealed class Source(ICollector collector, SeriesSet series)
    {
        public ICollector Collector { get; } = collector;

        public SeriesSet Series { get; } = series;

        public string? LastComplaint { get; set; }

        public DateTimeOffset ComplainedAt { get; set; }
    }
}
