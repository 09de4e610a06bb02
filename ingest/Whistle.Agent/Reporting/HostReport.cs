using Microsoft.Extensions.Logging;

using Whistle.Agent.Linux;
using Whistle.Telemetry;

namespace Whistle.Agent.Reporting;

/// <summary>
/// Reads every source that is due and puts their series into one report. A source that fails or hangs costs its own series and
/// nothing else. Not thread-safe; the series of a report are valid until the next one.
/// </summary>
sealed class HostReport
{
    const string Success = "node_scrape_collector_success";
    const string Duration = "node_scrape_collector_duration_seconds";
    const string Interval = "whistle_agent_interval_seconds";

    // The same complaint again and again says nothing new.
    static readonly TimeSpan ComplainEvery = TimeSpan.FromMinutes(10);

    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly SourceState[] _sources;
    readonly SeriesSet _results = new();
    readonly SeriesSet _own;
    readonly List<TimeSeries> _report = [];

    public HostReport(IEnumerable<IReportSource> sources, string instance, TimeProvider time, ILogger log)
    {
        _time = time;
        _log = log;
        _sources = [.. sources.Select(s => new SourceState(s, instance, time))];
        _own = new SeriesSet(new Label("job", AgentReport.Job), new Label("instance", instance));
    }

    /// <summary>The series of the last reports, by source.</summary>
    public IEnumerable<KeyValuePair<string, SeriesSet>> Sets =>
        [.. _sources.Select(s => KeyValuePair.Create(s.Description.Name, s.Series)), new("results", _results), new("own", _own)];

    /// <summary>Rises whenever a series comes or goes.</summary>
    public long Changes => Sets.Sum(set => set.Value.Changes);

    /// <summary>False while a source that hangs may still write into its set.</summary>
    public bool IsAtRest => !_sources.Any(s => s.Hangs);

    /// <param name="time">Milliseconds since 1970 UTC, the time of every sample.</param>
    /// <param name="writeOwn">Adds what the agent says about itself.</param>
    public IReadOnlyList<TimeSeries> Collect(long time, Action<SeriesSet> writeOwn)
    {
        _report.Clear();
        _results.Begin();
        foreach (var source in _sources)
        {
            if (source.IsDue(time))
                Read(source, time);
            else
                HoldResults(source);
        }

        _results.Commit(time, _report);
        _own.Begin();
        writeOwn(_own);
        _own.Commit(time, _report);
        return _report;
    }

    void Read(SourceState source, long time)
    {
        var start = _time.GetTimestamp();
        var success = TryRead(source, time);
        _results.Add(Duration, _time.GetElapsedTime(start).TotalSeconds, source.Labels);
        _results.Add(Success, success ? 1 : 0, source.Labels);
        if (source.Description.Interval is { } interval)
            _results.Add(Interval, interval.TotalSeconds, source.Labels);
    }

    void HoldResults(SourceState source)
    {
        foreach (var metric in new[] { Duration, Success, Interval })
            _results.Hold(metric, source.Labels);
    }

    bool TryRead(SourceState source, long time)
    {
        try
        {
            source.Read(time, _report);
            source.LastComplaint = null;
            return true;
        }
        catch (Exception e)
        {
            Complain(source, e);
            return false;
        }
    }

    void Complain(SourceState source, Exception exception)
    {
        var now = _time.GetUtcNow();
        if (source.LastComplaint == exception.Message && (now - source.ComplainedAt).Duration() < ComplainEvery)
            return;
        source.LastComplaint = exception.Message;
        source.ComplainedAt = now;
        if (exception is NoDataException)
            _log.SourceHasNoData(source.Description.Name, exception.Message);
        else
            _log.SourceFailed(source.Description.Name, exception);
    }
}
