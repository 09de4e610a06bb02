using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Tests.Agent;

/// <summary>A folder that stands for a host's /proc, /sys or a buffer, and goes with the test.</summary>
sealed class HostFixture : IDisposable
{
    public string Folder { get; } = Directory.CreateTempSubdirectory("whistle").FullName;

    public HostFile Files => new(Folder);

    public void Write(string path, string content)
    {
        var full = Path.Join(Folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

static class Reports
{
    public static HostReport Of(params IReportSource[] sources) =>
        new(sources, "h1", new FakeTimeProvider(), NullLogger.Instance);

    /// <summary>One report as sorted lines without the labels that all series share, and without the report about itself.</summary>
    public static string[] Lines(this HostReport report, long time = 1000) =>
    [
        .. report.Collect(time, _ => { })
            .Where(s => !s.Labels.Has("collector"))
            .Select(Line).Order(StringComparer.Ordinal),
    ];

    public static double Success(this HostReport report, string collector) =>
        report.Collect(1000, _ => { })
            .Single(s => s.Labels.Name == "node_scrape_collector_success" && s.Labels["collector"] == collector).Samples[0].Value;

    static string Line(TimeSeries series)
    {
        var value = series.Samples[0].Value;
        // What a source says under a job or an instance of its own is told.
        var isUsual = series.Labels["job"] == SourceDescription.NodeExporter && series.Labels["instance"] == "h1";
        var labels = isUsual ? series.Labels.Drop(["job", "instance"]) : series.Labels;
        return $"{labels} {(StaleMarker.Is(value) ? "stale" : value.ToString("R"))}";
    }
}

/// <summary>Says what it is told to say; throws where it is told to.</summary>
sealed class ScriptedCollector(string name, Action<SeriesSet> collect) : IReportSource
{
    public SourceDescription Description { get; init; } = new() { Name = name, Sends = ["*"], Timeout = Timeout.InfiniteTimeSpan };

    public Action<SeriesSet> Script { get; set; } = collect;

    public void Collect(SeriesSet series) => Script(series);
}
