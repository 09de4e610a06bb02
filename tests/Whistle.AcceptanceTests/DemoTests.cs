using System.Net.Http.Headers;
using System.Net.Http.Json;

using Whistle.Alerting.Tickets;
using Whistle.Demo;
using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>`whistle demo`, stepped by hand instead of by the clock.</summary>
public sealed class DemoTests(ITestOutputHelper output) : IDisposable
{
    static readonly DateTimeOffset Live = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-demo").FullName;
    readonly List<PagerEvent> _pager = [];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact(Timeout = 300_000)]
    public async Task Within_its_twenty_minutes_all_that_the_script_promises_takes_place()
    {
        var options = new DemoOptions { Nodes = DemoOptions.FewestNodes };
        var cancellation = TestContext.Current.CancellationToken;
        await using var run = await DemoRun.StartAsync(options, new Uri("http://127.0.0.1:0"), _folder, Live, cancellation);
        await run.FillAsync((_, _) => { }, cancellation);
        Assert.Equal(Live, run.Now);
        Assert.Empty(run.Incidents.Active());
        var lines = new List<string>();
        var teller = new DemoTeller(run, "", lines.Add);
        run.Pager.Taken += _pager.Add;

        await UntilAsync(run, teller, TimeSpan.FromMinutes(8));
        var waiting = Assert.Single(run.Runs.Since(Live), r => r.Node == "worker-02");
        Assert.Equal(RunState.AwaitingApproval, waiting.State);
        await ApproveAsync(run, waiting);
        await UntilAsync(run, teller, DemoOptions.Show + TimeSpan.FromMinutes(1));
        lines.ForEach(output.WriteLine);

        Assert.Equal(0, run.LostReports);
        Cleaned(run, "prod-eu-1", "worker-03");
        Cleaned(run, "prod-us-1", waiting.Node);
        HandedOver(run);
        Silent(run);
        LeftAlone(run);
        OnlyPlanned(run);
        Assert.Contains(lines, l => l.Contains($"whistle runs approve {waiting.Id} --plan {waiting.PlanHash}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(new[] { "--help" }, 0, "--nodes")]
    [InlineData(new[] { "--nodes", "5" }, 2, "--nodes: 5 is not between 12, which the script needs, and 2000.")]
    [InlineData(new[] { "--nodes", "many" }, 2, "\"many\" is no whole number.")]
    [InlineData(new[] { "--listen", "http://192.0.2.1:80" }, 2, "is no http address of this machine's loopback")]
    [InlineData(new[] { "--data", "/proc" }, 2, "--data: /proc is not empty")]
    public async Task Options_that_will_not_do_are_refused_in_words(string[] options, int exit, string says)
    {
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", ["demo", .. options]);
        var text = new StringWriter();
        process.OutputDataReceived += (_, line) => text.WriteLine(line.Data);
        process.ErrorDataReceived += (_, line) => text.WriteLine(line.Data);
        await process.WaitForExitAsync(Cancellation);

        Assert.Equal(exit, process.ExitCode);
        Assert.Contains(says, text.ToString(), StringComparison.Ordinal);
    }

    static async Task UntilAsync(DemoRun run, DemoTeller teller, TimeSpan time)
    {
        while (run.Now < Live + time)
        {
            await run.StepAsync(DemoRun.Step, Cancellation);
            teller.Look();
        }
    }

    async Task ApproveAsync(DemoRun run, Run waiting)
    {
        using var http = new HttpClient { BaseAddress = run.App.Address };
        var token = await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token.Trim());
        using var answer = await http.PostAsJsonAsync(
            new Uri($"api/whistle/v1/runs/{waiting.Id}/approve", UriKind.Relative), new { planHash = waiting.PlanHash }, Cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    static Incident Find(DemoRun run, string cluster, string node) =>
        Assert.Single(run.Incidents.Since(Live), i => i.Cluster == cluster && i.Subject["node"] == node);

    void Cleaned(DemoRun run, string cluster, string node)
    {
        var incident = Find(run, cluster, node);
        Assert.Equal(IncidentState.Closed, incident.State);
        Assert.Equal(RunState.Succeeded, Assert.Single(run.Runs.OfIncident(incident.Id)).State);
        Assert.DoesNotContain(_pager, e => e.Key.StartsWith(incident.Id, StringComparison.Ordinal));
        Assert.Contains(_pager, e => e.Action == "change" && e.Summary.StartsWith($"[{cluster}] node-disk-filling: Deleted", StringComparison.Ordinal));
    }

    void HandedOver(DemoRun run)
    {
        var incident = Find(run, "prod-eu-1", "worker-07");
        Assert.Equal([RunState.Failed, RunState.Escalated], run.Runs.OfIncident(incident.Id).Select(r => r.State));
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
        var ticket = Assert.Single(run.App.Alerting.Tickets.List());
        Assert.Equal((incident.Id, TicketState.Open), (ticket.Incident, ticket.State));
        Assert.Equal("/var/lib/postgresql/16/main/pg_wal", ticket.LargestDirectories[0].Path);
    }

    void Silent(DemoRun run)
    {
        var incident = Find(run, "prod-eu-1", "worker-05");
        Assert.Equal("NodeSilent", Assert.Single(incident.Signals).Name);
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
        var unknown = Assert.Single(run.App.Rules.Signals, s => s.State is SignalState.Unknown);
        Assert.Equal(("worker-05", "/srv/scratch", SignalState.Pending), (unknown.Labels["node"], unknown.Labels["mountpoint"], unknown.Condition.Before));
    }

    static void LeftAlone(DemoRun run) =>
        Assert.DoesNotContain(run.App.Rules.Signals.Concat(run.App.Rules.EndedSignals(Live - DemoScript.History)), s => s.Labels["mountpoint"] == "/var/log");

    void OnlyPlanned(DemoRun run)
    {
        var incident = Find(run, "staging", "worker-04");
        var attempt = Assert.Single(run.Runs.OfIncident(incident.Id));
        Assert.Equal((RunState.Waiting, 0), (attempt.State, attempt.Reports.Count));
        var timeline = run.Incidents.Timeline(incident.Id);
        Assert.Contains(timeline, e => e.Kind == "plan" && e.Text.Contains("disk.clean-paths", StringComparison.Ordinal));
        Assert.Contains(timeline, e => e.Kind == "gate" && e.Text.Contains("The mode is observe", StringComparison.Ordinal));
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
    }
}
