using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Names of tenants and clusters that nobody knows, and whose something is where no tenant is named.</summary>
public sealed class KnownPlaceTests : IAsyncLifetime
{
    const string Root = "api/whistle/v1";

    // Those that take a tenant where there is none yet: they add it.
    static readonly string[] Adding = ["enrolAgent", "makeJoinToken"];

    // Those that look for something that was enrolled.
    static readonly string[] Finding = ["revokeAgent", "rotateAgents", "revokeGrant", "addCluster"];

    // Brakes, whose names are looked up by KnownNames.
    static readonly string[] Brakes = ["addPause", "setMode", "addWindow", "addFreeze"];

    InProcessServer _server = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await InProcessServer.StartAsync(Cancellation);
        await _server.App.Credentials.EnrollAsync(new("acme", "prod"), "n1", Cancellation);
        await _server.App.Credentials.EnrollAsync(new("globex", "stage"), "n1", Cancellation);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    public static TheoryData<string, string, string> Acts => new()
    {
        { "grant", "POST people/{person}/grants", """{"role":"viewer","tenant":"TENANT","cluster":"CLUSTER"}""" },
        { "invite", "POST invitations", """{"grants":[{"role":"viewer"},{"role":"viewer","tenant":"TENANT","cluster":"CLUSTER"}]}""" },
        { "makeToken", "POST tokens", """{"name":"x","grants":[{"role":"viewer","tenant":"TENANT","cluster":"CLUSTER"}]}""" },
        { "listNodes", "GET nodes?tenant=TENANT&cluster=CLUSTER", "" },
        { "listClusters", "GET clusters?tenant=TENANT", "" },
        { "listAudit", "GET audit?tenant=TENANT", "" },
        { "exportAudit", "GET audit/export?tenant=TENANT", "" },
    };

    [Theory]
    [MemberData(nameof(Acts))]
    public async Task What_names_a_tenant_or_a_cluster_that_nobody_knows_is_refused_with_those_that_are(
        string name, string route, string body)
    {
        var person = await new Tenancy(_server, "acme").PersonAsync();
        var (status, error) = await SendAsync(_server.Http, "acmee", "prod");
        Assert.True((int)status is 400 or 404, $"{name} answered {status}");
        Assert.StartsWith("There is no tenant acmee that you may see: did you mean acme?", error, StringComparison.Ordinal);
        if ((route + body).Contains("CLUSTER", StringComparison.Ordinal))
        {
            var (second, cluster) = await SendAsync(_server.Http, "acme", "stage");
            Assert.Equal(status, second);
            Assert.StartsWith("There is no cluster stage of tenant acme that you may see", cluster, StringComparison.Ordinal);
        }

        Assert.True((int)(await SendAsync(_server.Http, "acme", "prod")).Status is 200 or 204);

        // What somebody does not see is not told as a name that is near.
        var viewer = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        var (_, foreign) = await SendAsync(viewer.Http, "globexx", "stage");
        Assert.DoesNotContain("globex", foreign.Replace("globexx", "", StringComparison.Ordinal), StringComparison.Ordinal);

        async Task<(HttpStatusCode Status, string Error)> SendAsync(HttpClient http, string tenant, string cluster)
        {
            string Filled(string text) => text.Replace("TENANT", tenant, StringComparison.Ordinal)
                .Replace("CLUSTER", cluster, StringComparison.Ordinal).Replace("{person}", person.Name, StringComparison.Ordinal);
            using var request = new HttpRequestMessage(new(route.Split(' ')[0]), $"{Root}/{Filled(route.Split(' ')[1])}");
            if (body.Length > 0)
                request.Content = new StringContent(Filled(body), null, "application/json");
            using var answer = await http.SendAsync(request, Cancellation);
            var text = await answer.Content.ReadAsStringAsync(Cancellation);
            return (
                answer.StatusCode,
                answer.IsSuccessStatusCode ? "" : JsonDocument.Parse(text).RootElement.GetProperty("error").GetString()!);
        }
    }

    [Fact]
    public async Task Every_call_that_takes_the_name_of_a_tenant_is_one_of_these()
    {
        var document = await _server.Http.GetFromJsonAsync<JsonElement>("openapi/v1.json", Cancellation);
        var schemas = document.GetProperty("components").GetProperty("schemas");
        var taking = document.GetProperty("paths").EnumerateObject().SelectMany(p => p.Value.EnumerateObject())
            .Where(o => o.Value.ValueKind is JsonValueKind.Object && o.Value.TryGetProperty("operationId", out _) && Takes(o.Value))
            .Select(o => o.Value.GetProperty("operationId").GetString()!);

        Assert.Equal(
            Acts.Select(a => a.Data.Item1).Concat(Adding).Concat(Finding).Concat(Brakes).Order(), taking.Order());

        bool Takes(JsonElement call) =>
            (call.TryGetProperty("parameters", out var parameters) && parameters.EnumerateArray().Any(
                p => p.GetProperty("in").GetString() == "query" && p.GetProperty("name").GetString() == "tenant"))
            || (call.TryGetProperty("requestBody", out var body) && HasTenant(body));

        bool HasTenant(JsonElement of) => of.ValueKind switch
        {
            JsonValueKind.Object => of.EnumerateObject().Any(m =>
                m.Name == "$ref" ? HasTenant(schemas.GetProperty(m.Value.GetString()!.Split('/')[^1]))
                : (m.Name == "properties" && m.Value.TryGetProperty("tenant", out _)) || HasTenant(m.Value)),
            JsonValueKind.Array => of.EnumerateArray().Any(HasTenant),
            _ => false,
        };
    }

    [Fact]
    public async Task Without_a_tenant_the_only_one_that_has_it_is_meant_and_of_several_none()
    {
        await _server.App.Credentials.EnrollAsync(new("acme", "both"), "n1", Cancellation);
        await _server.App.Credentials.EnrollAsync(new("globex", "both"), "n1", Cancellation);
        await _server.App.Credentials.EnrollAsync(new("globex", "both"), "n2", Cancellation);

        Assert.Equal(
            """{"asked":1,"tenant":"acme","cluster":"prod","node":null}""",
            await PostAsync(_server.Http, "agents/rotation", new { cluster = "prod" }));
        Assert.Equal(
            """{"asked":1,"tenant":"globex","cluster":"both","node":"n2"}""",
            await PostAsync(_server.Http, "agents/rotation", new { cluster = "both", node = "n2" }));
        Assert.Contains(
            "tenant: acme, globex each have agents in a cluster both, revoked or not. Name one with --tenant.",
            await PostAsync(_server.Http, "agents/rotation", new { cluster = "both" }), StringComparison.Ordinal);
        Assert.Contains(
            "tenant: acme, globex each have a node n1 in a cluster both, revoked or not.",
            await DeleteAsync(_server.Http, "cluster=both&node=n1"), StringComparison.Ordinal);
        // To somebody of one tenant it is the only one.
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        Assert.Equal(
            """{"revoked":1,"tenant":"acme","cluster":"both","node":"n1"}""", await DeleteAsync(someone.Http, "cluster=both&node=n1"));

        await _server.App.Credentials.EnrollAsync(new("acme", "both"), "n3", Cancellation);
        await _server.App.Credentials.EnrollAsync(new("globex", "both"), "n3", Cancellation);
        string[] where = ["--cluster", "both", "--server", $"{_server.App.Address}", "--data", _server.Folder];
        foreach (var verb in new[] { "show", "archive", "unarchive" })
        {
            var (exit, output, _) = await Programs.WhistleAsync(["nodes", verb, "n2", .. where]);
            Assert.Equal(0, exit);
            Assert.Contains("globex/both/n2", output, StringComparison.Ordinal);
            var (refused, _, error) = await Programs.WhistleAsync(["nodes", verb, "n3", .. where]);
            Assert.Equal((1, "tenant: acme, globex each have a node n3 in a cluster both. Name one with --tenant.\n"), (refused, error));
        }
    }

    [Fact]
    public async Task A_new_sender_without_a_tenant_is_of_the_only_one_that_has_the_cluster_and_of_several_of_none()
    {
        await _server.App.Credentials.EnrollAsync(new("acme", "both"), "n1", Cancellation);
        await _server.App.Credentials.EnrollAsync(new("globex", "both"), "n1", Cancellation);

        Assert.Contains(
            "\"token\"", await PostAsync(_server.Http, "agents", new { cluster = "prod", node = "new" }), StringComparison.Ordinal);
        Assert.Contains(new NodeId("acme", "prod", "new"), (await _server.App.Credentials.NodesAsync(Cancellation)).Select(n => n.Id));
        Assert.Contains(
            "\"tenant\":\"acme\"", await PostAsync(_server.Http, "join-tokens", new { cluster = "prod", uses = 1 }),
            StringComparison.Ordinal);
        foreach (var (call, body) in new (string, object)[]
        {
            ("agents", new { cluster = "both", node = "n2" }), ("join-tokens", new { cluster = "both", uses = 1 }),
        })
            Assert.Contains(
                "tenant: acme, globex each have a cluster both. Name one with --tenant.", await PostAsync(_server.Http, call, body),
                StringComparison.Ordinal);
        var (exit, _, error) = await Programs.WhistleAsync(
            "agents", "add", "--cluster", "both", "--node", "n2", "--offline", "--data", _server.Folder);
        Assert.Equal((1, "tenant: acme, globex each have a cluster both. Name one with --tenant.\n"), (exit, error));
        Assert.Contains(
            "\"isNewCluster\":true", await PostAsync(_server.Http, "agents", new { cluster = "fresh", node = "n" }),
            StringComparison.Ordinal);
        Assert.Contains(new NodeId("default", "fresh", "n"), (await _server.App.Credentials.NodesAsync(Cancellation)).Select(n => n.Id));
        // To somebody of one tenant it is the only one, and nobody else's is named.
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        Assert.Contains(
            "\"isNewCluster\":false", await PostAsync(someone.Http, "agents", new { cluster = "both", node = "n3" }),
            StringComparison.Ordinal);
        Assert.Contains(new NodeId("acme", "both", "n3"), (await _server.App.Credentials.NodesAsync(Cancellation)).Select(n => n.Id));
    }

    [Fact]
    public async Task What_is_revoked_already_does_not_lead_to_the_next_customer()
    {
        await _server.App.Credentials.EnrollAsync(new("default", "prod"), "n1", Cancellation);
        await DeleteAsync(_server.Http, "tenant=default&cluster=prod&node=n1");

        Assert.Contains("acme, default each have", await DeleteAsync(_server.Http, "cluster=prod&node=n1"), StringComparison.Ordinal);
        Assert.Contains(
            "acme, default each have", await PostAsync(_server.Http, "agents/rotation", new { cluster = "prod", node = "n1" }),
            StringComparison.Ordinal);
        var (exit, output, error) = await Programs.WhistleAsync(
            "agents", "revoke", "--cluster", "prod", "--node", "n1", "--offline", "--data", _server.Folder);
        Assert.Equal(
            (1, "", "tenant: acme, default each have a node n1 in a cluster prod, revoked or not. Name one with --tenant.\n"),
            (exit, output, error));
        Assert.Contains(
            "acme/prod/n1", (await _server.App.Credentials.AgentsAsync(Cancellation)).Select(a => a.NodeId.ToString()));
        // Which tenant was meant is not known, and not said.
        Assert.Equal(
            ["revoke-agent prod/n1", "rotate-agents prod/n1", "revoke-agent prod/n1"], (await EntriesAsync())[1..]);
    }

    [Fact]
    public async Task What_nobody_has_is_no_tenants_and_what_is_like_it_is_named()
    {
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        const string Says = "is in force, so none was revoked. Enrolled are, among others, ";
        using (var answer = await someone.Http.DeleteAsync($"{Root}/agents?cluster=prd&node=n1", Cancellation))
        {
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            Assert.Contains(
                $"No token of prd/n1 {Says}acme/prod/n1.", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }

        Assert.Contains(
            $"No token of stge {Says}globex/stage/n1, ", await DeleteAsync(_server.Http, "cluster=stge"), StringComparison.Ordinal);
        using (var answer = await someone.Http.PostAsJsonAsync($"{Root}/agents/rotation", new { cluster = "prd" }, Cancellation))
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal(["revoke-agent prd/n1", "revoke-agent stge", "rotate-agents prd"], await EntriesAsync());
        var (exit, _, error) = await Programs.WhistleAsync(
            "agents", "revoke", "--cluster", "stge", "--offline", "--data", _server.Folder);
        Assert.Equal(1, exit);
        Assert.StartsWith($"No token of stge {Says}globex/stage/n1, ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tenant_that_a_typing_error_has_added_is_what_is_to_be_archived()
    {
        string[] where = ["--cluster", "prod", "--server", $"{_server.App.Address}", "--data", _server.Folder];
        await SaysAsync("acmee", ["agents", "add", "--node", "n1", "--tenant", "acmee", .. where]);
        await SaysAsync("acmeee", ["agents", "join-token", "--tenant", "acmeee", .. where]);
        await SaysAsync(
            "acmeeee", ["agents", "add", "--node", "n1", "--tenant", "acmeeee", .. where[..2], "--offline", "--data", _server.Folder]);

        static async Task SaysAsync(string tenant, string[] verb)
        {
            var (exit, _, error) = await Programs.WhistleAsync(verb);
            Assert.Equal(0, exit);
            Assert.EndsWith(
                $"The tenant {tenant} and its cluster prod were not known, and are added. If that is a typing error: "
                + $"whistle tenants archive {tenant}\n", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_act_whose_name_is_in_its_body_has_it_in_the_audit_and_a_node_that_enrols_itself_is_somebody()
    {
        await PostAsync(_server.Http, "agents", new { tenant = "acme", cluster = "prod", node = "n7" });
        await PostAsync(_server.Http, "agents/rotation", new { tenant = "acme", cluster = "prod" });
        await DeleteAsync(_server.Http, "tenant=acme&cluster=prod&node=n7");
        await PostAsync(_server.Http, "invitations", new { name = "bea", grants = new[] { new { role = "viewer" } } });
        await PostAsync(_server.Http, "tokens", new { name = "ci", grants = new[] { new { role = "viewer" } } });
        await PostAsync(_server.Http, "tenants", new { id = "initech" });
        await PostAsync(_server.Http, "clusters", new { tenant = "initech", id = "c" });
        await PostAsync(_server.Http, "agents", new { tenant = "acme", cluster = "prod", node = "NO" });
        var join = JsonDocument.Parse(await PostAsync(_server.Http, "join-tokens", new { tenant = "acme", cluster = "prod" })).RootElement;
        using var request = new HttpRequestMessage(HttpMethod.Post, "agent/v1/enrol")
        {
            Content = JsonContent.Create(new { node = "n8", credential = Telemetry.AccessToken.New(Telemetry.AccessToken.OfSender) }),
        };
        request.Headers.Authorization = new("Bearer", join.GetProperty("token").GetString());
        using var enrolled = await _server.Http.SendAsync(request, Cancellation);
        Assert.Equal(HttpStatusCode.OK, enrolled.StatusCode);

        var entries = await ActsAsync();
        Assert.Equal(
            [
                "enrol-agent acme/prod/n7", "rotate-agents acme/prod", "revoke-agent acme/prod/n7", "invite bea", "make-token ci",
                "add-tenant initech", "add-cluster initech/c", "enrol-agent acme/prod/NO", "make-join-token acme/prod", "enrol-by-token n8",
            ],
            entries.Select(e => $"{e.What.Action} {e.What.Subject}"));
        Assert.Equal($"join-token:{join.GetProperty("made").GetProperty("id").GetString()}", entries[^1].What.Actor.Name);
    }

    [Fact]
    public async Task A_node_that_is_enrolled_is_not_enrolled_again_unless_that_is_said()
    {
        var node = new { tenant = "acme", cluster = "prod", node = "n1", replace = false };
        Assert.Contains("acme/prod/n1 is enrolled already.", await PostAsync(_server.Http, "agents", node), StringComparison.Ordinal);
        Assert.Contains(
            "\"isNewCluster\":false", await PostAsync(_server.Http, "agents", node with { replace = true }), StringComparison.Ordinal);
        Assert.Contains(
            "\"isNewCluster\":true", await PostAsync(_server.Http, "agents", node with { cluster = "new" }), StringComparison.Ordinal);
    }

    async Task<List<AuditEntry>> ActsAsync() =>
        [
            .. (await _server.App.Services.GetRequiredService<AuditLog>().ListAsync(new(), 100, Cancellation))
                .Where(e => e.What.Action != "read").OrderBy(e => e.Number),
        ];

    async Task<List<string>> EntriesAsync() =>
        [
            .. (await ActsAsync()).Where(e => e.What.Action.Contains("-agent", StringComparison.Ordinal))
                .Select(e => $"{e.What.Action} {e.What.Subject}"),
        ];

    static async Task<string> PostAsync(HttpClient http, string path, object body)
    {
        using var answer = await http.PostAsJsonAsync($"{Root}/{path}", body, Cancellation);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }

    static async Task<string> DeleteAsync(HttpClient http, string query)
    {
        using var answer = await http.DeleteAsync($"{Root}/agents?{query}", Cancellation);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }
}
