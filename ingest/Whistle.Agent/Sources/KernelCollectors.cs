using System.Runtime.CompilerServices;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Agent.Sources;

sealed class LoadavgCollector(HostFile proc) : IReportSource
{
    public SourceDescription Description { get; } = new() { Name = "loadavg", Sends = ["node_load1", "node_load5", "node_load15"] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new LoadavgCollector(new HostFile(options.ProcPath)));

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
sealed class PressureCollector(HostFile proc) : IReportSource
{
    // The kernel states microseconds. The line "full" of cpu has no meaning for a whole host.
    static readonly (string File, string Some, string? Full)[] Resources =
    [
        ("pressure/cpu", "node_pressure_cpu_waiting_seconds_total", null),
        ("pressure/io", "node_pressure_io_waiting_seconds_total", "node_pressure_io_stalled_seconds_total"),
        ("pressure/memory", "node_pressure_memory_waiting_seconds_total", "node_pressure_memory_stalled_seconds_total"),
    ];

    public SourceDescription Description { get; } = new()
    {
        Name = "pressure",
        Sends = [.. Resources.SelectMany(r => new[] { r.Some, r.Full }).OfType<string>()],
    };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new PressureCollector(new HostFile(options.ProcPath)));

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
sealed class StatCollector(HostFile proc) : IReportSource
{
    static readonly (byte[] Key, string Metric)[] Values =
    [
        ("btime"u8.ToArray(), "node_boot_time_seconds"),
        ("ctxt"u8.ToArray(), "node_context_switches_total"),
        ("processes"u8.ToArray(), "node_forks_total"),
        ("intr"u8.ToArray(), "node_intr_total"),
        ("procs_running"u8.ToArray(), "node_procs_running"),
        ("procs_blocked"u8.ToArray(), "node_procs_blocked"),
    ];

    public SourceDescription Description { get; } = new() { Name = "stat", Sends = [.. Values.Select(v => v.Metric)] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new StatCollector(new HostFile(options.ProcPath)));

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
        foreach (var (known, metric) in Values)
        {
            if (key.SequenceEqual(known))
                return metric;
        }

        return null;
    }
}

sealed class TimeCollector(TimeProvider time) : IReportSource
{
    public SourceDescription Description { get; } = new() { Name = "time", Sends = ["node_time_seconds"] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new TimeCollector(options.Time));

    public void Collect(SeriesSet series) =>
        series.Add("node_time_seconds", (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds);
}

/// <summary>How well the kernel's clock is kept, from <c>adjtimex(2)</c> in its reading mode.</summary>
sealed class TimexCollector : IReportSource
{
    // STA_NANO: offset and jitter are in nanoseconds instead of microseconds.
    const int StatusNano = 0x2000;

    // TIME_ERROR: the clock is not synchronised.
    const int StateError = 5;

    // Frequencies are parts per million with 16 binary digits after the point.
    const double PartsPerMillion = 65536e6;

    public SourceDescription Description { get; } = new()
    {
        Name = "timex",
        Sends =
        [
            "node_timex_sync_status", "node_timex_offset_seconds", "node_timex_frequency_adjustment_ratio", "node_timex_maxerror_seconds",
            "node_timex_estimated_error_seconds", "node_timex_status", "node_timex_loop_time_constant", "node_timex_tick_seconds",
            "node_timex_tai_offset_seconds",
        ],
    };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(_ => new TimexCollector());

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

sealed class UnameCollector : IReportSource
{
    public SourceDescription Description { get; } = new() { Name = "uname", Sends = ["node_uname_info"] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(_ => new UnameCollector());

    public void Collect(SeriesSet series)
    {
        var name = Native.SystemName();
        series.Add("node_uname_info", 1,
            new Label("domainname", name.Domain), new Label("machine", name.Machine), new Label("nodename", name.Node),
            new Label("release", name.Release), new Label("sysname", name.System), new Label("version", name.Version));
    }
}
