using System.Runtime.CompilerServices;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;

namespace Whistle.Agent.Sources;

/// <summary>Bytes, packets and errors of each network interface, from <c>/proc/net/dev</c> of the agent's network namespace.</summary>
sealed class NetdevCollector(HostFile proc) : IReportSource
{
    static readonly string[] Metrics =
    [
        .. Directed("receive", "bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast"),
        .. Directed("transmit", "bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed"),
    ];

    readonly Names _names = new();

    public SourceDescription Description { get; } = new() { Name = "netdev", Sends = Metrics };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new NetdevCollector(new HostFile(options.ProcPath)));

    public void Collect(SeriesSet series)
    {
        var lines = new Lines(proc.Read("net/dev"));
        while (lines.Next(out var line))
        {
            // The two lines of headings have no colon. A name may hold one itself (an alias), a number never does.
            var colon = line.LastIndexOf((byte)':');
            if (colon <= 0)
                continue;
            var device = _names.Of(line[..colon].Trim(" \t"u8));
            var fields = new Fields(line[(colon + 1)..]);
            for (var i = 0; i < Metrics.Length && fields.TryNext(out var value); i++)
                series.Add(Metrics[i], value, "device", device);
        }
    }

    static IEnumerable<string> Directed(string direction, params string[] columns) =>
        columns.Select(column => $"node_network_{direction}_{column}_total");
}

/// <summary>Whether each interface is up, from <c>/sys/class/net</c>.</summary>
sealed class NetclassCollector(HostFile sys) : IReportSource
{
    public SourceDescription Description { get; } = new() { Name = "netclass", Sends = ["node_network_up"] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new NetclassCollector(new HostFile(options.SysPath)));

    public void Collect(SeriesSet series)
    {
        foreach (var path in Directory.EnumerateDirectories(Path.Join(sys.Root, "class/net")))
        {
            var device = Path.GetFileName(path);
            try
            {
                var state = sys.Read($"class/net/{device}/operstate").TrimEnd("\n"u8);
                series.Add("node_network_up", state.SequenceEqual("up"u8) ? 1 : 0, "device", device);
            }
            catch (IOException)
            {
                // The interface went away between the listing and the read, as those of containers do.
            }
        }
    }
}
