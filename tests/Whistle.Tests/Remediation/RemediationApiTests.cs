using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;

using Whistle.Actions.Protocol;
using Whistle.Commands;
using Whistle.Detectors.Http;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Http;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class RemediationApiTests
{
    [Fact]
    public async Task An_agent_leases_begins_and_reports_over_HTTP_and_people_see_and_hold_it()
    {
        using var bench = new RemediationBench(RunbookMode.Observe);
        await using var app = await StartAsync(bench);
        var credentials = new Credentials(bench.Runs.Database, bench.Clock);
        using var people = People(app);
        using var agent = Agent(app.Urls.First(), await credentials.EnrollAsync(new("t", "c"), "n", TestContext.Current.CancellationToken));
        using var other = Agent(app.Urls.First(), await credentials.EnrollAsync(new("t", "c"), "m", TestContext.Current.CancellationToken));
        using var nobody = Agent(app.Urls.First(), "wst_none");

        bench.Agent.Absent = true;
        bench.Fire();
        var id = (await bench.RunUntilAsync(r => r.State is RunState.Waiting)).Id;
        await bench.StepsAsync(2);
        Assert.Contains(
            "observe", (await people.GetFromJsonAsync<JsonElement>($"runs/{id}/explain")).GetProperty("explanation").GetString());
        Assert.Equal(
            HttpStatusCode.BadRequest,
            (await people.PutAsJsonAsync("runbook-modes", new { cluster = "c", tenant = "t", mode = "always" })).StatusCode);
        (await people.PutAsJsonAsync("runbook-modes", new { cluster = "c", tenant = "t", mode = "automatic" })).EnsureSuccessStatusCode();

        var poll = agent.PostAsJsonAsync("lease", new { waitSeconds = 30 });
        await bench.RunUntilAsync(r => r.State is RunState.Running);
        var leased = Assert.Single((await (await poll).Content.ReadFromJsonAsync(AgentProtocolJson.Default.ListLeasedCommand))!);
        Assert.Equal("/data", leased.Parameters.GetProperty("mountPoint").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await other.PostAsJsonAsync("lease", new { waitSeconds = 0 })).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.PostAsJsonAsync("lease", new { waitSeconds = 0 })).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await other.PostAsJsonAsync($"{leased.Id}/begin", new { token = leased.Token })).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await agent.PostAsync("lease", new StringContent("["))).StatusCode);

        (await people.PutAsJsonAsync("kill-switch", new { on = true, reason = "stop" })).EnsureSuccessStatusCode();
        var denied = await Begin(agent, leased);
        Assert.False(denied.Granted);
        Assert.Contains("The kill switch is on.", denied.Reason);
        (await people.PutAsJsonAsync("kill-switch", new { on = true })).EnsureSuccessStatusCode();
        Assert.Equal((true, "stop"), (
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).On,
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).Reason));
        Assert.Equal(HttpStatusCode.BadRequest, (await people.PutAsJsonAsync("kill-switch", new { on = false })).StatusCode);
        (await people.PutAsJsonAsync("kill-switch", new { on = false, reason = "go on" })).EnsureSuccessStatusCode();
        (await people.PutAsJsonAsync("kill-switch", new { on = true })).EnsureSuccessStatusCode();
        Assert.Equal((true, KillSwitch.NoReason), (
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).On,
            (await bench.Control.KillSwitchAsync(TestContext.Current.CancellationToken)).Reason));
        (await people.PutAsJsonAsync("kill-switch", new { on = false, reason = "go on" })).EnsureSuccessStatusCode();
        await bench.RunUntilAsync(r => r.Issued == 2);
        leased = Assert.Single((await (await agent.PostAsJsonAsync("lease", new { waitSeconds = 0 })).Content.ReadFromJsonAsync(
            AgentProtocolJson.Default.ListLeasedCommand))!);
        Assert.Equal((true, 10), ((await Begin(agent, leased)).Granted, (await Begin(agent, leased)).Seconds));
        var result = new CommandResult(leased.Token, CommandOutcome.Succeeded, "done", null);
        Assert.Equal(
            HttpStatusCode.NoContent,
            (await agent.PostAsJsonAsync($"{leased.Id}/result", result, AgentProtocolJson.Default.CommandResult)).StatusCode);
        Assert.Equal(
            HttpStatusCode.NoContent,
            (await agent.PostAsJsonAsync($"{leased.Id}/result", result, AgentProtocolJson.Default.CommandResult)).StatusCode);

        var pause = await (await people.PostAsJsonAsync("pauses", new { node = "n", reason = "work", @for = "1h" })).Content
            .ReadFromJsonAsync<JsonElement>();
        await bench.StepsAsync(1);
        var run = await people.GetFromJsonAsync<JsonElement>($"runs/{id}");
        Assert.Equal(
            ("waiting", "measure"), (run.GetProperty("state").GetString(), run.GetProperty("steps")[0].GetProperty("step").GetString()));
        Assert.Contains("Paused by", run.GetProperty("explanation").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await people.DeleteAsync($"pauses/{pause.GetProperty("id").GetInt64()}")).StatusCode);
        Assert.Equal(0, (await people.GetFromJsonAsync<JsonElement>("pauses")).GetArrayLength());
        var incident = (await people.GetFromJsonAsync<JsonElement>("incidents"))[0];
        var whole = await people.GetFromJsonAsync<JsonElement>($"incidents/{incident.GetProperty("id").GetString()}");
        Assert.Equal("opened", whole.GetProperty("timeline")[0].GetProperty("kind").GetString());
        Assert.Equal(1, whole.GetProperty("runs").GetArrayLength());
        Assert.Equal("automatic", (await people.GetFromJsonAsync<JsonElement>("runbooks"))[0].GetProperty("mode").GetString());
        Assert.Equal(HttpStatusCode.NotFound, (await people.GetAsync("runs/none")).StatusCode);
        Assert.True((await people.GetFromJsonAsync<JsonElement>("control-timeline")).GetArrayLength() >= 5);
    }

    [Fact]
    public async Task People_set_windows_and_freezes_do_tasks_and_say_yes_to_a_step()
    {
        using var bench = new RemediationBench();
        File.WriteAllText(bench.RunbookFile, """
            name: disk
            summary: Ask people
            answers: [{ signal: Filling }]
            mode: automatic
            steps:
              - { name: look, task: "Look at ${mountpoint}" }
              - { name: agree, approval: customer }
              - { name: clean, action: disk.clean-paths }
            verify: {}
            """);
        Assert.Empty(bench.Host.Reload().Errors);
        await using var app = await StartAsync(bench);
        using var people = People(app);
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.State is RunState.Running);

        async Task<string> RefusedAsync(HttpStatusCode status, string path, object body)
        {
            var answer = await people.PostAsJsonAsync(path, body);
            Assert.Equal(status, answer.StatusCode);
            return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString()!;
        }

        Assert.StartsWith(
            "note: it is empty", await RefusedAsync(HttpStatusCode.BadRequest, $"runs/{run.Id}/tasks/look", new { note = " " }));
        Assert.Equal(
            "step: \"clean\" is not a task for a person; the steps of that kind are look.",
            await RefusedAsync(HttpStatusCode.BadRequest, $"runs/{run.Id}/tasks/clean", new { note = "x" }));
        Assert.StartsWith("There is no run none.", await RefusedAsync(HttpStatusCode.NotFound, "runs/none/tasks/look", new { note = "x" }));
        (await people.PostAsJsonAsync($"runs/{run.Id}/tasks/look", new { note = "seen" })).EnsureSuccessStatusCode();
        await bench.RunUntilAsync(r => r.State is RunState.AwaitingApproval);
        Assert.Equal(
            "step: \"look\" needs no approval of its own; the steps of that kind are agree.",
            await RefusedAsync(HttpStatusCode.BadRequest, $"runs/{run.Id}/approve", new { planHash = run.PlanHash, step = "look" }));

        var explained = await people.GetFromJsonAsync<JsonElement>($"runs/{run.Id}/explain");
        Assert.Contains("agree: waiting for approval by customer.", explained.GetProperty("explanation").GetString());
        var gates = explained.GetProperty("gates").EnumerateArray().ToDictionary(g => g.GetProperty("name").GetString()!);
        Assert.Equal(GatePipeline.Gates.Select(g => g.Name.Word()), gates.Keys);
        Assert.Equal("not asked for this action", gates["quorum"].GetProperty("notAsked").GetString());
        (await people.PostAsJsonAsync($"runs/{run.Id}/approve", new { planHash = run.PlanHash, step = "agree" })).EnsureSuccessStatusCode();
        await bench.RunUntilAsync(r => r.State is RunState.Succeeded);
        Assert.StartsWith(
            "The run has ended: ", await RefusedAsync(HttpStatusCode.Conflict, $"runs/{run.Id}/tasks/look", new { note = "x" }));

        var window = await (await people.PostAsJsonAsync("windows", new
        {
            recurrence = "FREQ=WEEKLY;BYDAY=SA",
            start = "2026-01-03T22:00",
            @for = "4h",
            timeZone = "Europe/Berlin",
            cluster = "c",
        }))
            .Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(
            ("2026-01-03T21:00:00+00:00", JsonValueKind.Null),
            (window.GetProperty("nextAt").GetString(), window.GetProperty("openUntil").ValueKind));
        Assert.StartsWith(
            "start: \"tonight\" is not a local time",
            await RefusedAsync(HttpStatusCode.BadRequest, "windows", new { recurrence = "FREQ=DAILY", start = "tonight", @for = "4h" }));
        Assert.StartsWith("for: a window lasts from 5m to 7d.", await RefusedAsync(
            HttpStatusCode.BadRequest, "windows", new { recurrence = "FREQ=DAILY", start = "2026-01-03T22:00", @for = "8d" }));
        Assert.StartsWith("recurrence: FREQ=OFTEN", await RefusedAsync(
            HttpStatusCode.BadRequest, "windows", new { recurrence = "FREQ=OFTEN", start = "2026-01-03T22:00", @for = "4h" }));
        Assert.StartsWith("recurrence: FREQ=SECONDLY is too often", await RefusedAsync(
            HttpStatusCode.BadRequest, "windows", new { recurrence = "FREQ=SECONDLY", start = "2026-01-03T22:00", @for = "4h" }));
        Assert.Contains("would never open again", await RefusedAsync(
            HttpStatusCode.BadRequest, "windows", new { recurrence = "FREQ=DAILY;COUNT=1", start = "2025-01-03T22:00", @for = "4h" }));
        Assert.StartsWith("timeZone: \"Mars/Base\"", await RefusedAsync(
            HttpStatusCode.BadRequest, "windows",
            new { recurrence = "FREQ=DAILY", start = "2026-01-03T22:00", @for = "4h", timeZone = "Mars/Base" }));
        Assert.Equal(HttpStatusCode.NoContent, (await people.DeleteAsync($"windows/{window.GetProperty("id")}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await people.DeleteAsync($"windows/{window.GetProperty("id")}")).StatusCode);

        Assert.StartsWith(
            "from: the freeze would be over",
            await RefusedAsync(HttpStatusCode.BadRequest, "freezes", new { reason = "x", @for = "1h", from = "2020-01-01T00:00:00Z" }));
        Assert.StartsWith(
            "reason: it is empty", await RefusedAsync(HttpStatusCode.BadRequest, "freezes", new { reason = "", @for = "1h" }));
        var freeze = await (await people.PostAsJsonAsync("freezes", new { reason = "the fair", @for = "72h" })).Content
            .ReadFromJsonAsync<JsonElement>();
        Assert.Equal(
            "the fair",
            Assert.Single((await people.GetFromJsonAsync<JsonElement>("freezes")).EnumerateArray()).GetProperty("reason").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await people.DeleteAsync($"freezes/{freeze.GetProperty("id")}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await people.DeleteAsync($"freezes/{freeze.GetProperty("id")}")).StatusCode);
    }

    /// <summary>
    /// Each renamed field of incidents has its old name too, with the same value, until the version that Renames.All names.
    /// </summary>
    [Fact]
    public async Task An_incident_has_the_old_names_of_its_fields_too()
    {
        using var bench = new RemediationBench();
        await using var app = await StartAsync(bench);
        using var people = People(app);
        bench.Fire();
        var elsewhere = Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", "n"), ("alertname", "NodeNotReady"));
        bench.Others.Add(bench.Signal! with { Name = "NodeNotReady", Labels = elsewhere, InhibitedBy = Inhibitor.Of(bench.Signal!) });
        await bench.ReconcileAsync();

        var listed = Assert.Single((await people.GetFromJsonAsync<JsonElement>("incidents")).EnumerateArray());
        var one = await people.GetFromJsonAsync<JsonElement>($"incidents/{Text(listed, "id")}");
        Assert.Equal("[\"NodeNotReady\"]", one.GetProperty("inhibits").GetRawText());
        foreach (var rename in Renames.All.Where(
            r => r.Kind is RenameKind.ApiField && r.Old.StartsWith("incidents.", StringComparison.Ordinal)))
        {
            Assert.All([listed, one], i => Assert.Equal(
                i.GetProperty(rename.New.Split('.')[1]).GetRawText(), i.GetProperty(rename.Old.Split('.')[1]).GetRawText()));
        }
    }

    [Fact]
    public async Task A_replay_says_what_would_have_been_done_and_why_not()
    {
        using var bench = new RemediationBench(RunbookMode.Observe);
        await using var app = await StartAsync(bench);
        using var people = People(app);
        bench.Fire();
        await bench.StepsAsync(5);
        async Task<JsonElement> ReplayAsync() =>
            Assert.Single((await people.GetFromJsonAsync<JsonElement>("runbook-replay?from=1h")).EnumerateArray());

        var answer = await ReplayAsync();
        Assert.Equal(
            ("would-act", "observe", "n", "disk"),
            (Text(answer, "verdict"), Text(answer, "mode"), Text(answer, "node"), Text(answer, "runbook")));
        Assert.Equal("clean: disk.clean-paths {\"mountPoint\":\"/data\"}", answer.GetProperty("commands")[1].GetString());
        // A lone signal must have fired for the runbook's minute.
        Assert.Equal(RemediationBench.Start.AddMinutes(1), answer.GetProperty("at").GetDateTimeOffset());

        await bench.Control.AddAsync(
            new Pause(0, "t", "", "", "", "work", "ann", RemediationBench.Start, RemediationBench.Start.AddMinutes(2)),
            TestContext.Current.CancellationToken);
        Assert.Equal("pause: Paused by ann until 2026-01-01 00:02:00Z: work.", Text(await ReplayAsync(), "why"));
        File.WriteAllText(
            bench.RunbookFile, File.ReadAllText(bench.RunbookFile).Replace("${mountpoint}", "${volume}", StringComparison.Ordinal));
        Assert.Empty(bench.Host.Reload().Errors);
        answer = await ReplayAsync();
        Assert.Equal("no-plan", Text(answer, "verdict"));
        Assert.Contains("no label volume", Text(answer, "why"), StringComparison.Ordinal);
        Assert.Empty((await people.GetFromJsonAsync<JsonElement>("runbook-replay?from=1h&to=30m")).EnumerateArray());
        Assert.Equal(HttpStatusCode.BadRequest, (await people.GetAsync("runbook-replay?from=soon")).StatusCode);
    }

    static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    static async Task<WebApplication> StartAsync(RemediationBench bench)
    {
        var builder = LocalCaller.Builder();
        WhistleApi.Add(builder.Services);
        var app = builder.Build();
        WhistleApi.Use(app);
        LocalCaller.Use(app);
        app.Urls.Add("http://127.0.0.1:0");
        CommandApi.Map(app, bench.Host, new Credentials(bench.Runs.Database, bench.Clock), bench.Clock);
        var credentials = new Credentials(bench.Runs.Database, bench.Clock);
        await credentials.EnrollAsync(new("t", "c"), "n", TestContext.Current.CancellationToken);
        RemediationApi.Map(app, bench.Environment with { Senders = credentials.SendersAsync }, bench.Host, bench.Clock);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    static HttpClient People(WebApplication app) => new() { BaseAddress = new Uri(app.Urls.First() + "/api/whistle/v1/") };

    static async Task<BeginAnswer> Begin(HttpClient agent, LeasedCommand leased) => (await (await agent.PostAsJsonAsync(
        $"{leased.Id}/begin", new BeginRequest(leased.Token), AgentProtocolJson.Default.BeginRequest)).Content.ReadFromJsonAsync(
            AgentProtocolJson.Default.BeginAnswer))!;

    static HttpClient Agent(string address, string token) => new()
    {
        BaseAddress = new Uri(address + "/agent/v1/commands/"),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
    };
}
