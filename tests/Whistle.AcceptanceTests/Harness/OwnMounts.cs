using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;
using Whistle.Agent.Sources;

namespace Whistle.AcceptanceTests;

/// <summary>The agent sees a test's own mount alone, so that how full another disk of the machine is does not matter.</summary>
sealed class OwnMounts : IReportSource
{
    readonly string _mount;
    readonly string _proc;
    readonly FilesystemCollector _collector;

    OwnMounts(string mount, string folder)
    {
        (_mount, _proc) = (mount, Path.Combine(folder, "own-mounts"));
        _collector = new FilesystemCollector(new HostFile(_proc), "/", MountProbe.OfHost());
        Directory.CreateDirectory(Path.Combine(_proc, "1"));
    }

    public SourceDescription Description => _collector.Description;

    /// <summary>All sources of the host, with one mount.</summary>
    /// <param name="mount">Where it is mounted.</param>
    /// <param name="folder">For a file of this test.</param>
    public static IReportSource[] SourcesOf(AgentOptions options, string mount, string folder) =>
        [.. HostSources.Of(options).Select(s => s is FilesystemCollector ? new OwnMounts(mount, folder) : s)];

    public void Collect(SeriesSet series)
    {
        var lines = File.ReadLines("/proc/self/mounts").Where(l => l.Split(' ')[1] == _mount);
        File.WriteAllLines(Path.Combine(_proc, "1", "mounts"), lines);
        _collector.Collect(series);
    }
}
