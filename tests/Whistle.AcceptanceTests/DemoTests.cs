using System.Net.Http.Headers;
using System.Net.Http.Json;

using Whistle.Alerting.Tickets;
using Whistle.Demo;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
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
        Assert.Empty(await run.Incidents.ActiveAsync(Cancellation));
        var lines = new List<string>();
        var teller = new DemoNarrator(run, "", lines.Add);
        run.Pager.Received += _pager.Add;

        await UntilAsync(run, teller, TimeSpan.FromMinutes(8));
        var waiting = Assert.Single(await run.Runs.SinceAsync(Live, Cancellation), r => r.Node == "worker-02");
        Assert.Equal(RunState.AwaitingApproval, waiting.State);
        await ApproveAsync(run, waiting);
        await UntilAsync(run, teller, DemoOptions.Show + TimeSpan.FromMinutes(1));
        lines.ForEach(output.WriteLine);

        Assert.Equal(0, run.LostReports);
        await CleanedAsync(run, "prod-eu-1", "worker-03");
        await CleanedAsync(run, "prod-us-1", waiting.Node);
        await HandedOverAsync(run);
        await SilentAsync(run);
        await LeftAloneAsync(run);
        await OnlyPlannedAsync(run);
        Assert.Contains(lines, l => l.Contains($"whistle runs approve {waiting.Id} --plan {waiting.PlanHash}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(new[] { "--help" }, 0, "--nodes")]
    [InlineData(new[] { "--nodes", "5" }, 2, "--nodes: 5 is not between 12, which the script needs, and 2000.")]
    [InlineData(new[] { "--nodes", "many" }, 2, "\"many\" is not a whole number.")]
    [InlineData(new[] { "--listen", "http://192.0.2.1:80" }, 2, "is not an http address of this machine's loopback")]
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

    static async Task UntilAsync(DemoRun run, DemoNarrator teller, TimeSpan time)
    {
        while (run.Now < Live + time)
        {
            await run.StepAsync(DemoRun.Step, Cancellation);
            await teller.LookAsync(Cancellation);
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

    static async Task<Incident> FindAsync(DemoRun run, string cluster, string node) =>
        Assert.Single(await run.Incidents.SinceAsync(Live, Cancellation), i => i.Cluster == cluster && i.Subject["node"] == node);

    async Task CleanedAsync(DemoRun run, string cluster, string node)
    {
        var incident = await FindAsync(run, cluster, node);
        Assert.Equal(IncidentState.Closed, incident.State);
        Assert.Equal(RunState.Succeeded, Assert.Single(await run.Runs.OfIncidentAsync(incident.Id, Cancellation)).State);
        Assert.DoesNotContain(_pager, e => e.Key.StartsWith(incident.Id, StringComparison.Ordinal));
        Assert.Contains(
            _pager, e => e.Action == "change" && e.Summary.StartsWith($"[{cluster}] node-disk-filling: Deleted", StringComparison.Ordinal));
    }

    async Task HandedOverAsync(DemoRun run)
    {
        var incident = await FindAsync(run, "prod-eu-1", "worker-07");
        Assert.Equal(
            [RunState.Failed, RunState.Escalated], (await run.Runs.OfIncidentAsync(incident.Id, Cancellation)).Select(r => r.State));
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
        var ticket = Assert.Single(await run.App.Alerting.Tickets.ListAsync(cancellation: Cancellation));
        Assert.Equal((incident.Id, TicketState.Open), (ticket.Incident, ticket.State));
        Assert.Equal("/var/lib/postgresql/16/main/pg_wal", ticket.LargestDirectories[0].Path);
    }

    async Task SilentAsync(DemoRun run)
    {
        var incident = await FindAsync(run, "prod-eu-1", "worker-05");
        Assert.Equal("NodeSilent", Assert.Single(incident.Signals).Name);
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
        var unknown = Assert.Single(run.App.Rules.Signals, s => s.State is SignalState.Unknown);
        Assert.Equal(
            ("worker-05", "/srv/scratch", SignalState.Pending),
            (unknown.Labels["node"], unknown.Labels["mountpoint"], unknown.Condition.Before));
    }

    static async Task LeftAloneAsync(DemoRun run) =>
        Assert.DoesNotContain(
            run.App.Rules.Signals.Concat(await run.App.Rules.EndedSignalsAsync(Live - DemoScript.History, Cancellation)),
            s => s.Labels["mountpoint"] == "/var/log");

    async Task OnlyPlannedAsync(DemoRun run)
    {
        var incident = await FindAsync(run, "staging", "worker-04");
        var attempt = Assert.Single(await run.Runs.OfIncidentAsync(incident.Id, Cancellation));
        Assert.Equal((RunState.Waiting, 0), (attempt.State, attempt.Reports.Count));
        var timeline = await run.Incidents.TimelineAsync(incident.Id, Cancellation);
        Assert.Contains(timeline, e => e.Kind is TimelineKind.Plan && e.Text.Contains("disk.clean-paths", StringComparison.Ordinal));
        Assert.Contains(timeline, e => e.Kind is TimelineKind.Gate && e.Text.Contains("The mode is observe", StringComparison.Ordinal));
        Assert.Contains(_pager, e => e.Action == "trigger" && e.Key == $"{incident.Id}/1");
    }
}
