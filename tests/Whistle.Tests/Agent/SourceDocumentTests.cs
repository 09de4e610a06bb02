using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;
using Whistle.Detectors.Evaluation;

using Xunit;

namespace Whistle.Tests.Agent;

/// <summary>The page about the sources, which the server reads too, says what the sources say of themselves.</summary>
public sealed class SourceDocumentTests
{
    const string Heading = "| source | job | instance | read | time-out | sends |\n| --- | --- | --- | --- | --- | --- |\n";

    static readonly string Page = Path.Combine(Repository.Root, "docs", "report-sources.md");
    static readonly AgentOptions Options = new() { Buffer = new BufferOptions { Folder = "unused" } };
    static readonly IReadOnlyList<SourceDescription> Descriptions = [.. HostSources.Of(Options).Select(s => s.Description)];

    [Fact]
    public void The_table_is_made_of_what_the_sources_say_of_themselves()
    {
        var text = File.ReadAllText(Page);
        var start = text.IndexOf(Heading, StringComparison.Ordinal);
        var end = text.IndexOf("\n\n", start, StringComparison.Ordinal) + 1;
        var table = Heading + string.Concat(Descriptions.Select(Row));
        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_WRITE_DOCS") == "1")
            File.WriteAllText(Page, text[..start] + table + text[end..]);
        else
            Assert.True(text[start..end] == table, $"{Page} is behind; run this test with WHISTLE_TEST_WRITE_DOCS=1.\n{table}");
    }

    [Fact]
    public void What_the_agent_says_about_itself_is_on_the_page()
    {
        var text = File.ReadAllText(Page);

        var sends = string.Join(", ", AgentReport.Sends.Select(s => $"`{s}`"));
        Assert.Contains($"`{AgentReport.Job}`: {sends}.\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_source_of_the_program_has_added_itself_under_a_name_of_its_own()
    {
        var types = typeof(IReportSource).Assembly.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(IReportSource)));

        Assert.Equal(types.Select(t => t.Name).Order(), HostSources.Of(Options).Select(s => s.GetType().Name).Order());
        Assert.Distinct(Descriptions.Select(d => d.Name));
    }

    [Fact]
    public void Every_source_says_what_can_be_kept()
    {
        Assert.All(Descriptions, d => Assert.Matches("^[a-z0-9_]+$", d.Name));
        Assert.All(Descriptions, d => Assert.NotEmpty(d.Sends));
        Assert.All(Descriptions, d => Assert.InRange(d.Interval?.TotalSeconds ?? 15, 1, 120));
        Assert.All(Descriptions, d => Assert.True(d.Instance is null || d.Job != SourceDescription.NodeExporter, d.Name));
    }

    [Fact]
    public void This_host_sends_nothing_that_no_source_declares()
    {
        foreach (var source in HostSources.Of(Options))
        {
            var report = new HostReport([source], "h1", TimeProvider.System, NullLogger.Instance);
            var sent = report.Collect(1, _ => { }).Where(s => !s.Labels.Has("collector")).Select(s => s.Labels.Name);
            Assert.All(sent, n => Assert.True(source.Description.Declares(n), $"{source.Description.Name} sends {n}."));
        }
    }

    [Fact]
    public void The_server_knows_the_source_of_each_metric_that_is_declared() => Assert.All(
        Descriptions.SelectMany(d => d.Sends.Select(metric => (d.Name, Metric: metric.Replace("*", "x", StringComparison.Ordinal)))),
        sent => Assert.Equal(sent.Name, ReportSources.Shipped.Of(sent.Metric)));

    [Theory]
    [InlineData("node_load1", "loadavg")]
    [InlineData("node_memory_MemFree_bytes", "meminfo")]
    [InlineData("node_filefd_allocated", "filefd")]
    [InlineData("node_network_up", "netclass")]
    [InlineData("node_network_mtu_bytes", "netdev")]
    [InlineData("node_load", null)]
    [InlineData("whistle_agent_info", null)]
    [InlineData("up", null)]
    public void A_whole_name_goes_before_a_prefix(string metric, string? source) => Assert.Equal(source, ReportSources.Shipped.Of(metric));

    [Fact]
    public void A_long_prefix_goes_before_a_short_one() =>
        Assert.Equal("b", new ReportSources("| `a` | `x_*` |\n| `b` | y | `x_y_*` |\n").Of("x_y_z"));

    static string Row(SourceDescription d) =>
        $"| `{d.Name}` | {d.Job} | {d.Instance ?? "the agent's"} | {(d.Interval is { } i ? $"every {i.TotalSeconds} s" : "each report")} "
        + $"| {d.Timeout.TotalSeconds} s | {string.Join(", ", d.Sends.Order(StringComparer.Ordinal).Select(s => $"`{s}`"))} |\n";
}
