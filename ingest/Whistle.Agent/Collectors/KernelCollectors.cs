using Whistle.Telemetry;

namespace Whistle.Agent.Collectors;

sealed class LoadavgCollector(HostFile proc) : ICollector
{
    public string Name => "loadavg";

    public void Collect(SeriesSet series)
    {
        var fields = new Fields(proc.Read("loadavg"));
        if (!fields.TryNext(out var one) || !fields.TryNext(out var five) || !fields.TryNext(out var fifteen))
            throw new NoDataException("/proc/loadavg does not begin with three numbers.");
        series.Add("node_load1", one);
        series.Add("node_load5", five);
        series.Add("node_load15", fifteen);
    }
}

/// <summary>Pressure stall information: seconds that some or all tasks waited for a resource.</summary>
sealed class PressureCollector(HostFile proc) : ICollector
{
    // The kernel states microseconds. The line "full" of cpu has no meaning for a whole host.
    static readonly (string File, string Some, string? Full)[] Resources =
    [
        ("pressure/cpu", "node_pressure_cpu_waiting_seconds_total", null),
        ("pressure/io", "node_pressure_io_waiting_seconds_total", "node_pressure_io_stalled_seconds_total"),
        ("pressure/memory", "node_pressure_memory_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total"),
    ];

    public string Name => "pressure";

    public void Collect(SeriesSet series)
    {
        if (!proc.Exists("pressure/cpu"))
            throw new NoDataException("The kernel gives no pressure information; it needs Linux 4.20 with CONFIG_PSI (boot with psi=1).");
        foreach (var (file, some, full) in Resources)
        {
            var lines = new Lines(proc.Read(file));
            while (lines.Next(out var line))
            {
                var metric = line.StartsWith("some "u8) ? some : line.StartsWith("full "u8) ? full : null;
                var total = line.IndexOf("total="u8);
                if (metric is not null && total >= 0 && new Fields(line[(total + 6)..]).TryNext(out var microseconds))
                    series.Add(metric, microseconds / 1e6);
            }
        }
    }
}

/// <summary>Boot time and counters of the whole system, from <c>/proc/stat</c>.</summary>
sealed class StatCollector(HostFile proc) : ICollector
{
    public string Name => "stat";

    public void Collect(SeriesSet series)
    {
        var lines = new Lines(proc.Read("stat"));
        while (lines.Next(out var line))
        {
            var fields = new Fields(line);
            if (Metric(fields.Next()) is { } metric && fields.TryNext(out var value))
                series.Add(metric, value);
        }
    }

    static string? Metric(ReadOnlySpan<byte> key)
    {
        if (key.SequenceEqual("btime"u8))
            return "node_boot_time_seconds";
        if (key.SequenceEqual("ctxt"u8))
            return "node_context_switches_total";
        if (key.SequenceEqual("processes"u8))
            return "node_forks_total";
        if (key.SequenceEqual("intr"u8))
            return "node_intr_total";
        if (key.SequenceEqual("procs_running"u8))
            return "node_procs_running";
        return key.SequenceEqual("procs_blocked"u8) ? "node_procs_blocked" : null;
    }
}

sealed class TimeCollector(TimeProvider time) : ICollector
{
    public string Name => "time";

    public void Collect(SeriesSet series) =>
        series.Add("node_time_seconds", (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds);
}

/// <summary>How well the kernel's clock is kept, from <c>adjtimex(2)</c> in its reading mode.</summary>
sealed class TimexCollector : ICollector
{
    // STA_NANO: offset and jitter are in nanoseconds instead of microseconds.
    const int StatusNano = 0x2000;

    // TIME_ERROR: the clock is not synchronised.
    const int StateError = 5;

    // Frequencies are parts per million with 16 binary digits after the point.
    const double PartsPerMillion = 65536e6;

    public string Name => "timex";

    public void Collect(SeriesSet series)
    {
        var state = Native.ReadClock(out var clock);
        var second = (clock.Status & StatusNano) != 0 ? 1e9 : 1e6;
        series.Add("node_timex_sync_status", state == StateError ? 0 : 1);
        series.Add("node_timex_offset_seconds", clock.Offset / second);
        series.Add("node_timex_frequency_adjustment_ratio", 1 + clock.Frequency / PartsPerMillion);
        series.Add("node_timex_maxerror_seconds", clock.MaxError / 1e6);
        series.Add("node_timex_estimated_error_seconds", clock.EstimatedError / 1e6);
        series.Add("node_timex_status", clock.Status);
        series.Add("node_timex_loop_time_constant", clock.Constant);
        series.Add("node_timex_tick_seconds", clock.Tick / 1e6);
        series.Add("node_timex_tai_offset_seconds", clock.Tai);
    }
}

sealed class UnameCollector : ICollector
{
    public string Name => "uname";

    public void Collect(SeriesSet series)
    {
        var name = Native.SystemName();
        series.Add("node_uname_info", 1,
            new Label("domainname", name.Domain), new Label("machine", name.Machine), new Label("nodename", name.Node),
            new Label("release", name.Release), new Label("sysname", name.System), new Label("version", name.Version));
    }
}
