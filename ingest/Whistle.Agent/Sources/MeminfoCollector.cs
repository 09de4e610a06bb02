using System.Runtime.CompilerServices;
using System.Text;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;

namespace Whistle.Agent.Sources;

/// <summary>Every line of <c>/proc/meminfo</c>; what the kernel gives in kB becomes bytes.</summary>
sealed class MeminfoCollector(HostFile proc) : IReportSource
{
    readonly Names _names = new();
    readonly Dictionary<(string Field, bool InBytes), string> _metrics = [];

    public SourceDescription Description { get; } = new() { Name = "meminfo", Sends = ["node_memory_*"] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new MeminfoCollector(new HostFile(options.ProcPath)));

    public void Collect(SeriesSet series)
    {
        var lines = new Lines(proc.Read("meminfo"));
        var found = false;
        while (lines.Next(out var line))
        {
            var colon = line.IndexOf((byte)':');
            if (colon <= 0)
                continue;
            var fields = new Fields(line[(colon + 1)..]);
            if (!fields.TryNext(out var value))
                continue;
            var inBytes = fields.Next().SequenceEqual("kB"u8);
            series.Add(Metric(_names.Of(line[..colon]), inBytes), inBytes ? value * 1024 : value);
            found = true;
        }

        if (!found)
            throw new NoDataException("/proc/meminfo has no line that can be parsed.");
    }

    string Metric(string field, bool inBytes)
    {
        if (_metrics.TryGetValue((field, inBytes), out var metric))
            return metric;
        var name = new StringBuilder("node_memory_");
        foreach (var c in field)
        {
            // Active(anon) is Active_anon.
            if (c != ')')
                name.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
        }

        return _metrics[(field, inBytes)] = name.Append(inBytes ? "_bytes" : "").ToString();
    }
}
