using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;

using Whistle.Detectors.Http;
using Whistle.Ingest;
using Whistle.Remediation;
using Whistle.Remediation.Commands;
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
        var builder = WebApplication.CreateSlimBuilder();
        WhistleApi.Add(builder.Services);
        await using var app = builder.Build();
        WhistleApi.Use(app);
        app.Urls.Add("http://127.0.0.1:0");
        var credentials = new Credentials(bench.Runs.Database, bench.Clock);
        CommandApi.Map(app, bench.Host, credentials, bench.Clock);
        RemediationApi.Map(app, bench.Environment, bench.Host, bench.Clock);
        await app.StartAsync(TestContext.Current.CancellationToken);
        using var people = new HttpClient { BaseAddress = new Uri(app.Urls.First() + "/api/whistle/v1/") };
        using var agent = Agent(app.Urls.First(), credentials.Enroll("t", "c", "n"));
        using var other = Agent(app.Urls.First(), credentials.Enroll("t", "c", "m"));
        using var nobody = Agent(app.Urls.First(), "wst_none");

        bench.Agent.Absent = true;
        bench.Fire();
        var id = (await bench.RunUntilAsync(r => r.State is RunState.Waiting)).Id;
        await bench.StepsAsync(2);
        Assert.Contains("observe", (await people.GetFromJsonAsync<JsonElement>($"runs/{id}/explain")).GetProperty("explanation").GetString());
        Assert.Equal(HttpStatusCode.BadRequest, (await people.PutAsJsonAsync("runbook-modes", new { cluster = "c", tenant = "t", mode = "always" })).StatusCode);
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
        Assert.Contains("stop", denied.Reason);
        (await people.PutAsJsonAsync("kill-switch", new { on = false, reason = "go on" })).EnsureSuccessStatusCode();
        await bench.RunUntilAsync(r => r.Issued == 2);
        leased = Assert.Single((await (await agent.PostAsJsonAsync("lease", new { waitSeconds = 0 })).Content.ReadFromJsonAsync(AgentProtocolJson.Default.ListLeasedCommand))!);
        Assert.Equal((true, 10), ((await Begin(agent, leased)).Granted, (await Begin(agent, leased)).Seconds));
        var result = new CommandResult(leased.Token, CommandOutcome.Succeeded, "done", null);
        Assert.Equal(HttpStatusCode.NoContent, (await agent.PostAsJsonAsync($"{leased.Id}/result", result, AgentProtocolJson.Default.CommandResult)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await agent.PostAsJsonAsync($"{leased.Id}/result", result, AgentProtocolJson.Default.CommandResult)).StatusCode);

        var pause = await (await people.PostAsJsonAsync("pauses", new { node = "n", reason = "work", @for = "1h" })).Content.ReadFromJsonAsync<JsonElement>();
        await bench.StepsAsync(1);
        var run = await people.GetFromJsonAsync<JsonElement>($"runs/{id}");
        Assert.Equal(("waiting", "measure"), (run.GetProperty("state").GetString(), run.GetProperty("steps")[0].GetProperty("step").GetString()));
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

    static async Task<BeginAnswer> Begin(HttpClient agent, LeasedCommand leased) => (await (await agent.PostAsJsonAsync(
        $"{leased.Id}/begin", new BeginRequest(leased.Token), AgentProtocolJson.Default.BeginRequest)).Content.ReadFromJsonAsync(AgentProtocolJson.Default.BeginAnswer))!;

    static HttpClient Agent(string address, string token) => new()
    {
        BaseAddress = new Uri(address + "/agent/v1/commands/"),
        DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
    };
}
