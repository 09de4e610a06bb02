using Whistle.Agent.Settings;

namespace Whistle.Agent.Reporting;

/// <summary>What the agent says about itself in every report.</summary>
static class AgentReport
{
    public const string Job = "whistle-agent";

    /// <summary>For <c>docs/report-sources.md</c>.</summary>
    public static readonly IReadOnlyList<string> Sends =
    [
        "whistle_agent_buffer_bytes", "whistle_agent_buffered_reports", "whistle_agent_clock_skew_seconds",
        "whistle_agent_dropped_samples_total", "whistle_agent_info", "whistle_agent_interval_seconds",
    ];

    public static void WriteIdentity(SeriesSet series, AgentOptions options)
    {
        series.Add("whistle_agent_info", 1, "version", AgentOptions.Version);
        series.Add("whistle_agent_interval_seconds", options.Interval.TotalSeconds);
    }
}
