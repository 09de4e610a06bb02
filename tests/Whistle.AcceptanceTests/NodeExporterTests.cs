using System.Globalization;

using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The agent beside the real node exporter on the same host.</summary>
public sealed class NodeExporterTests
{
    // Debian's build excludes more than upstream's does; the agent keeps to upstream's defaults.
    static readonly string[] UpstreamDefaults =
    [
        "--collector.filesystem.mount-points-exclude="
            + "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
        "--collector.netdev.device-exclude=",
    ];

    // A gauge that moves to and fro may have been elsewhere when the exporter looked, but not every time.
    const int Looks = 10;

    [Fact]
    public async Task The_agent_says_what_the_node_exporter_says_under_the_same_names_and_labels()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var address = $"127.0.0.1:{ChildProcess.FreePort()}";
        var process = ChildProcess.Start(Requirement.NodeExporter(), [$"--web.listen-address={address}", .. UpstreamDefaults]);
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri($"http://{address}") };
            await process.UntilAnswersAsync(http, "/", cancellation);
            var first = await LookAsync(http, cancellation);
            AssertSameSeries(first);

            var wrong = first.Differences();
            Assert.DoesNotContain(wrong, s => !first.Gauges.Contains(s.Labels.Name));
            for (var i = 1; i < Looks && wrong.Count > 0; i++)
            {
                var still = (await LookAsync(http, cancellation)).Differences().Select(s => s.Labels).ToHashSet();
                wrong.RemoveAll(s => !still.Contains(s.Labels));
            }

            Assert.Empty(wrong);
        }
        finally
        {
            await process.KillAndWaitAsync();
        }
    }

    static void AssertSameSeries(Look look)
    {
        var (before, there, after) = (look.Before, look.Exporter(), look.After);
        Assert.True(look.Families.Count > 100, $"Only {look.Families.Count} families are compared.");
        // The exporter has collectors that the agent does not have yet, but none that is compared lacks a series. Disks and
        // interfaces that come or go during the test (other tests make some) may be on either side.
        Assert.Empty(
            before.Keys.Intersect(after.Keys).Where(l => look.Families.Contains(l.Name)).Except(there.Keys).Select(l => $"only here: {l}"));
        Assert.Empty(there.Keys.Except(before.Keys).Except(after.Keys).Select(l => $"only there: {l}"));
    }

    // The agent looks shortly before and after the exporter, so counters must enclose the exporter's value. Gauges move
    // both ways; those of memory and disk by what else runs on the machine in that instant.
    static bool IsBetween(string name, double before, double there, double after) => name switch
    {
        "node_scrape_collector_duration_seconds" => true,
        _ when Exact(name) => there.Equals(after),
        _ => Math.Min(before, after) - Slack(name, after) <= there && there <= Math.Max(before, after) + Slack(name, after),
    };

    static double Slack(string name, double value) => name switch
    {
        "node_filesystem_files_free" => 10_000,
        "node_timex_maxerror_seconds" or "node_timex_estimated_error_seconds" or "node_timex_offset_seconds" => 0.1,
        // Idle and waiting are estimates that may step back.
        "node_cpu_seconds_total" => 0.5,
        _ when name.EndsWith("_bytes", StringComparison.Ordinal) => 256 << 20,
        _ when name.StartsWith("node_load", StringComparison.Ordinal) => 0.1,
        _ => 1e-9 * Math.Abs(value),
    };

    static bool Exact(string name) => name is "node_boot_time_seconds" or "node_uname_info" or "node_memory_MemTotal_bytes"
        or "node_memory_SwapTotal_bytes" or "node_memory_HugePages_Total" or "node_filesystem_size_bytes" or "node_filesystem_files"
        or "node_filesystem_readonly" or "node_filesystem_device_error" or "node_network_up" or "node_scrape_collector_success"
        or "node_timex_sync_status" or "node_timex_tick_seconds" or "node_timex_tai_offset_seconds" or "node_timex_loop_time_constant";

    static Dictionary<Labels, double> Collect()
    {
        var options = new AgentOptions { Buffer = new BufferOptions { Folder = "unused" } };
        var collectors = HostSources.Of(options).Where(s => s.Description.Job == SourceDescription.NodeExporter);
        var report = new HostReport(collectors, "h1", TimeProvider.System, NullLogger.Instance);
        return report.Collect(1, _ => { }).ToDictionary(s => s.Labels.Drop(["job", "instance"]), s => s.Samples[0].Value);
    }

    static async Task<Look> LookAsync(HttpClient http, CancellationToken cancellation)
    {
        var before = Collect();
        var lines = (await http.GetStringAsync(new Uri("metrics", UriKind.Relative), cancellation)).Split('\n');
        var after = Collect();
        return new(
            before, lines.Where(l => l.StartsWith("node_", StringComparison.Ordinal)).Select(Parse).ToDictionary(), after,
            [.. lines.Select(l => l.Split(' ')).Where(l => l is ["#", "TYPE", _, "gauge"]).Select(l => l[2])]);
    }

    // The exporter's labels hold no escapes here but those of C strings; a value never holds a brace.
    static KeyValuePair<Labels, double> Parse(string line)
    {
        var end = line.LastIndexOf(' ');
        var value = double.Parse(line[(end + 1)..].Replace("Inf", "Infinity", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        var open = line.IndexOf('{', StringComparison.Ordinal);
        if (open < 0)
            return new(Labels.OfMetric(line[..end]), value);
        var labels = line[(open + 1)..line.LastIndexOf('}')].Split("\",", StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split("=\"", 2))
            .Select(pair => (pair[0], pair[1].TrimEnd('"').Replace("\\\\", "\\", StringComparison.Ordinal)));
        return new(Labels.OfMetric(line[..open], [.. labels]), value);
    }

    /// <summary>The agent, the exporter, and the agent again.</summary>
    sealed record Look(
        Dictionary<Labels, double> Before, Dictionary<Labels, double> There, Dictionary<Labels, double> After, HashSet<string> Gauges)
    {
        public HashSet<string> Families { get; } =
            [.. After.Keys.Select(l => l.Name).Where(n => n.StartsWith("node_", StringComparison.Ordinal))];

        // Of the collectors that the agent has.
        public Dictionary<Labels, double> Exporter()
        {
            var collectors = After.Keys.Select(l => l["collector"]).ToHashSet();
            return There.Where(s => Families.Contains(s.Key.Name) && collectors.Contains(s.Key["collector"])).ToDictionary();
        }

        public List<(Labels Labels, string Values)> Differences() =>
        [
            .. from s in Exporter()
               where Before.ContainsKey(s.Key) && After.ContainsKey(s.Key) && !IsBetween(s.Key.Name, Before[s.Key], s.Value, After[s.Key])
               select (s.Key, $"{Before[s.Key]:R} here, {s.Value:R} there, {After[s.Key]:R} here"),
        ];
    }
}
