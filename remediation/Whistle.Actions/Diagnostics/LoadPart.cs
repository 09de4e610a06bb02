using System.Text;

namespace Whistle.Actions.Diagnostics;

/// <summary>Load, pressure, memory and the limits that fill up, as the kernel writes them.</summary>
static class LoadPart
{
    static readonly string[] Whole =
    [
        "loadavg", "uptime", "pressure/cpu", "pressure/memory", "pressure/io", "sys/fs/file-nr", "sys/kernel/pid_max",
        "sys/net/netfilter/nf_conntrack_count", "sys/net/netfilter/nf_conntrack_max",
    ];

    static readonly string[] Memory =
    [
        "MemTotal:", "MemFree:", "MemAvailable:", "Buffers:", "Cached:", "SwapTotal:", "SwapFree:", "Dirty:", "Writeback:", "Slab:",
        "SUnreclaim:",
    ];
    static readonly string[] Paging = ["oom_kill ", "pgmajfault ", "pswpin ", "pswpout "];

    public static string Read(string proc)
    {
        var text = new StringBuilder();
        foreach (var name in Whole)
        {
            if (ProcText.Read(Path.Join(proc, name)) is { } value)
                text.Append(name).Append(": ").Append(value.TrimEnd().Replace("\n", " | ", StringComparison.Ordinal)).Append('\n');
        }

        foreach (var line in Lines(proc, "meminfo", Memory).Concat(Lines(proc, "vmstat", Paging)))
            text.Append(line).Append('\n');
        return text.ToString();
    }

    static IEnumerable<string> Lines(string proc, string name, string[] wanted) =>
        ProcText.Lines(Path.Join(proc, name)).Where(l => wanted.Any(w => l.StartsWith(w, StringComparison.Ordinal)));
}

/// <summary>Files of <c>/proc</c>, any of which may be missing or vanish.</summary>
static class ProcText
{
    const int MostLines = 200_000;

    public static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>None where it cannot be read.</summary>
    public static IEnumerable<string> Lines(string path)
    {
        var lines = new List<string>();
        try
        {
            lines.AddRange(File.ReadLines(path).Take(MostLines));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What came until then is worth more than nothing.
        }

        return lines;
    }

    /// <summary>Of the first process, because the agent's own network may be another one.</summary>
    public static string Network(string proc, string name)
    {
        var first = Path.Join(proc, "1/net", name);
        return File.Exists(first) ? first : Path.Join(proc, "net", name);
    }
}
