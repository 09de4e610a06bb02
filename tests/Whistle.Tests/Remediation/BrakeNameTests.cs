using System.Net;
using System.Net.Http.Json;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;

using Microsoft.AspNetCore.Builder;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Http;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>Every free-text name of every safety command, and how long each of them may last.</summary>
public sealed class BrakeNameTests
{
    // Each request body that sets a brake, with a body of it that names nothing. Those that name nothing ever are not listed.
    static readonly (Type Request, string Method, string Path, string Body)[] Commands =
    [
        (typeof(PauseRequest), "POST", "pauses", """{"reason":"work","for":"1h"}"""),
        (typeof(ModeRequest), "PUT", "runbook-modes", """{"mode":"observe"}"""),
        (typeof(WindowRequest), "POST", "windows", """{"recurrence":"FREQ=DAILY","start":"2026-01-03T22:00","for":"4h"}"""),
        (typeof(FreezeRequest), "POST", "freezes", """{"reason":"the fair","for":"72h"}"""),
    ];

    static readonly Dictionary<string, string> Known =
        new() { ["tenant"] = "acme", ["cluster"] = "prod-eu-1", ["node"] = "worker-17", ["runbook"] = "disk" };

    public static TheoryData<string, string, string> Sweep
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (var (request, _, path, _) in Commands)
            {
                foreach (var part in Known.Keys.Where(f => Has(request, f)))
                {
                    var name = Known[part];
                    foreach (var wrong in new[]
                    {
                        name[..^1], name + "x", name.ToUpperInvariant(), $" {name}", $"{name} ", "", " ", "zzzzzzzz",
                    })
                        data.Add(path, part, wrong);
                }
            }

            return data;
        }
    }

    [Fact]
    public void Each_request_with_a_name_of_a_place_is_in_the_sweep() => Assert.Equal(
        typeof(RemediationApi).Assembly.GetTypes()
            .Where(t => t.Name.EndsWith("Request", StringComparison.Ordinal) && !t.IsNested && Known.Keys.Any(f => Has(t, f)))
            .Select(t => t.Name).Order(),
        Commands.Select(c => c.Request.Name).Order());

    [Theory]
    [MemberData(nameof(Sweep))]
    public async Task A_name_that_nobody_has_is_refused_with_the_nearest_and_taken_by_force(string path, string field, string wrong)
    {
        using var bench = new RemediationBench();
        await using var app = await StartAsync(bench, (new("acme", "prod-eu-1"), "worker-17"), (new("acme", "prod-eu-1"), null));
        using var people = People(app);

        var error = await RefusedAsync(people, path, (field, wrong));
        if (string.IsNullOrWhiteSpace(wrong))
            Assert.Equal($"{field}: the name is empty; leave it out to mean all.", error);
        else if (wrong == "zzzzzzzz")
            Assert.Matches($"\"{wrong}\"; there are ([a-z0-9-]+, )*{Known[field]}[.,]", error);
        else
            Assert.Contains($"There is no {field} \"{wrong}\": did you mean {Known[field]}?", error, StringComparison.Ordinal);
        if (!string.IsNullOrWhiteSpace(wrong))
            Assert.Contains("add --force", error, StringComparison.Ordinal);
        Assert.Empty(await bench.Control.PausesAsync(bench.Now, TestContext.Current.CancellationToken));
        Assert.Empty(await bench.Control.WindowsAsync(TestContext.Current.CancellationToken));
        Assert.Empty(await bench.Control.FreezesAsync(bench.Now, TestContext.Current.CancellationToken));

        using var forced = await SendAsync(people, path, (field, wrong), ("force", true));
        Assert.Equal(wrong.Trim() == wrong && wrong.Length > 0 ? HttpStatusCode.OK : HttpStatusCode.BadRequest, forced.StatusCode);
        using var known = await SendAsync(people, path, (field, Known[field]));
        Assert.Equal(HttpStatusCode.OK, known.StatusCode);
    }

    [Fact]
    public async Task Where_several_tenants_have_the_cluster_it_is_asked_whose_is_meant()
    {
        using var bench = new RemediationBench();
        await using var app = await StartAsync(
            bench, (new("acme", "prod"), "n1"), (new("globex", "prod"), "n1"),
            (new("globex", "test"), "n2"), (new("globex", "more"), "n2"));
        using var people = People(app);

        foreach (var (_, _, path, _) in Commands)
        {
            Assert.Equal(
                "tenant: acme, globex each have a cluster \"prod\". Name one with --tenant.",
                await RefusedAsync(people, path, ("cluster", "prod")));
            Assert.Equal(
                "tenant: acme, globex each have a cluster \"prod\". Name one with --tenant.",
                await RefusedAsync(people, path, ("cluster", "prod"), ("force", true)));
            Assert.Contains(
                "There is no cluster \"test\" of tenant acme", await RefusedAsync(people, path, ("cluster", "test"), ("tenant", "acme")),
                StringComparison.Ordinal);
            using var one = await SendAsync(people, path, ("cluster", "test"));
            Assert.Equal("globex", (await one.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("tenant").GetString());
            using var said = await SendAsync(people, path, ("cluster", "prod"), ("tenant", "acme"));
            Assert.Equal(HttpStatusCode.OK, said.StatusCode);
        }

        Assert.Contains(
            "acme, globex each have a node \"n1\"", await RefusedAsync(people, "pauses", ("node", "n1")), StringComparison.Ordinal);
        Assert.Equal(
            "cluster: more, test each have a node \"n2\". Name one with --cluster.", await RefusedAsync(people, "pauses", ("node", "n2")));
        Assert.Contains(
            "There is no node \"n2\" in cluster prod of tenant globex",
            await RefusedAsync(people, "pauses", ("node", "n2"), ("cluster", "prod"), ("tenant", "globex")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_mode_that_was_set_without_a_tenant_can_still_be_changed_without_one()
    {
        using var bench = new RemediationBench();
        await using var app = await StartAsync(bench, (new("acme", "prod"), "n1"));
        await bench.Control.SetAsync(
            new ModeEntry("disk", "", "prod", Whistle.Remediation.Runbooks.RunbookMode.Observe, "old", bench.Now),
            TestContext.Current.CancellationToken);
        using var people = People(app);

        using var set = await SendAsync(people, "runbook-modes", ("cluster", "prod"), ("runbook", "disk"), ("mode", "automatic"));

        var modes = await bench.Control.ModesAsync(TestContext.Current.CancellationToken);
        var (mode, _) = ControlStore.ModeOf(modes, bench.Host.Runbooks.Runbooks[0], new("acme", "prod"));
        Assert.Equal(Whistle.Remediation.Runbooks.RunbookMode.Automatic, mode);
    }

    [Fact]
    public async Task A_node_behind_a_collector_is_known_by_its_incident()
    {
        using var bench = new RemediationBench();
        await using var app = await StartAsync(bench, (new("t", "c"), null));
        using var people = People(app);
        bench.Fire();
        await bench.StepAsync();

        using var pause = await SendAsync(people, "pauses", ("node", "n"));
        Assert.Equal(HttpStatusCode.OK, pause.StatusCode);
    }

    [Theory]
    [InlineData("pauses", "30d", "721h", "A pause lasts at most 30d here. Ask for less, or set Brakes:LongestPause to more")]
    [InlineData("freezes", "366d", "367d", "A change freeze lasts at most 366d here.")]
    [InlineData("runs/RUN/approve", "24h", "25h", "An approval lasts at most 24h here.")]
    [InlineData("incidents/INCIDENT/acknowledgement", "7d", "200y", "An acknowledgement lasts at most 7d here.")]
    public async Task What_people_set_ends(string path, string longest, string longer, string refusal)
    {
        using var bench = new RemediationBench(Whistle.Remediation.Runbooks.RunbookMode.Approve);
        await using var app = await StartAsync(bench, (new("t", "c"), "n"));
        using var people = People(app);
        bench.Fire();
        var run = await bench.RunUntilAsync(r => r.PlanHash.Length > 0);
        path = path.Replace("RUN", run.Id, StringComparison.Ordinal).Replace("INCIDENT", run.IncidentId, StringComparison.Ordinal);
        JsonObject Body(string length) => path.Contains("approve", StringComparison.Ordinal)
            ? new() { ["planHash"] = run.PlanHash, ["for"] = length }
            : path.Contains("acknow", StringComparison.Ordinal) ? new() { ["for"] = length }
            : new() { ["reason"] = "x", ["for"] = length };

        using var refused = await people.PostAsJsonAsync(path, Body(longer));
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(
            refusal, (await refused.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString(), StringComparison.Ordinal);
        using var taken = await people.PostAsJsonAsync(path, Body(longest));
        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
    }

    static bool Has(Type request, string field) =>
        request.GetProperty(field, BindingFlags.IgnoreCase | BindingFlags.Public | BindingFlags.Instance)?.PropertyType == typeof(string);

    static async Task<string> RefusedAsync(HttpClient people, string path, params (string Name, object Value)[] fields)
    {
        using var answer = await SendAsync(people, path, fields);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString()!;
    }

    static Task<HttpResponseMessage> SendAsync(HttpClient people, string path, params (string Name, object Value)[] fields)
    {
        var (_, method, _, text) = Commands.Single(c => c.Path == path);
        var body = JsonNode.Parse(text)!.AsObject();
        foreach (var (name, value) in fields)
            body[name] = JsonSerializer.SerializeToNode(value);
        return people.SendAsync(new HttpRequestMessage(new HttpMethod(method), path) { Content = JsonContent.Create(body) });
    }

    static async Task<WebApplication> StartAsync(RemediationBench bench, params (ClusterId Cluster, string? Node)[] senders)
    {
        var credentials = new Credentials(bench.Runs.Database, bench.Clock);
        foreach (var (cluster, node) in senders)
            await credentials.EnrollAsync(cluster, node, TestContext.Current.CancellationToken);
        var builder = LocalCaller.Builder();
        WhistleApi.Add(builder.Services);
        var app = builder.Build();
        WhistleApi.Use(app);
        LocalCaller.Use(app);
        app.Urls.Add("http://127.0.0.1:0");
        RemediationApi.Map(app, bench.Environment with { Senders = credentials.SendersAsync }, bench.Host, bench.Clock);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    static HttpClient People(WebApplication app) => new() { BaseAddress = new Uri(app.Urls.First() + "/api/whistle/v1/") };
}
