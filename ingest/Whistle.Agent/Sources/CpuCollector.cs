using System.Buffers.Text;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Agent.Sources;

/// <summary>Seconds that each processor spent in each mode, from <c>/proc/stat</c>.</summary>
sealed class CpuCollector(HostFile proc) : IReportSource
{
    // USER_HZ, which Linux fixes at 100 for every architecture that .NET runs on.
    const double TicksPerSecond = 100;

    // The kernel's idle and iowait may step back a little. A step of more than this is a processor that was replaced.
    const double LargestStepBack = 3;

    static readonly string[] Modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "user", "nice"];
    const int FirstGuestMode = 8;

    const string Seconds = "node_cpu_seconds_total";
    const string GuestSeconds = "node_cpu_guest_seconds_total";

    readonly Dictionary<int, double[]> _last = [];
    readonly Names _names = new();

    public SourceDescription Description { get; } = new() { Name = "cpu", Sends = [GuestSeconds, Seconds] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new CpuCollector(new HostFile(options.ProcPath)));

    public void Collect(SeriesSet series)
    {
        var lines = new Lines(proc.Read("stat"));
        var found = false;
        while (lines.Next(out var line))
        {
            if (!line.StartsWith("cpu"u8) || !Utf8Parser.TryParse(line[3..], out int cpu, out var digits))
                continue;
            found = true;
            Add(series, cpu, _names.Of(line.Slice(3, digits)), new Fields(line[(3 + digits)..]));
        }

        if (!found)
            throw new NoDataException("/proc/stat lists no processor.");
    }

    void Add(SeriesSet series, int cpu, string name, Fields fields)
    {
        ref var last = ref CollectionsMarshal.GetValueRefOrAddDefault(_last, cpu, out _);
        last ??= new double[Modes.Length];
        for (var mode = 0; mode < Modes.Length && fields.TryNext(out var ticks); mode++)
        {
            var seconds = ticks / TicksPerSecond;
            if (seconds > last[mode] || last[mode] - seconds > LargestStepBack)
                last[mode] = seconds;
            var metric = mode < FirstGuestMode ? Seconds : GuestSeconds;
            series.Add(metric, last[mode], new Label("cpu", name), new Label("mode", Modes[mode]));
        }
    }
}
