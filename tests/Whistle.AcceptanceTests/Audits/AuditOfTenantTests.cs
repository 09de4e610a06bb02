using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests.Audits;

/// <summary>Whose entries are whose, and who may read them.</summary>
public sealed class AuditOfTenantTests
{
    const string Root = "api/whistle/v1";

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Who_reads_the_audit_of_a_tenant_sees_its_entries_and_no_others()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var (tenant, cluster) in new[] { ("t", "c"), ("u", "c"), ("t", "d") })
            await PostAsync(server.Http, "join-tokens", $$"""{"tenant":"{{tenant}}","cluster":"{{cluster}}"}""", HttpStatusCode.OK);
        await PostAsync(server.Http, "freezes", """{"reason":"the fair","for":"1h"}""", HttpStatusCode.OK);
        using var all = await ClientAsync(server, "ada", new(Role.Admin, AccessScope.All));
        using var tess = await ClientAsync(server, "tess", new(Role.Admin, AccessScope.Of("t")));
        using var vera = await ClientAsync(server, "vera", new(Role.Viewer, AccessScope.Of("t")));

        Assert.Equal([("t", "d"), ("t", "c")], await PlacesAsync(tess, "audit?action=make-join-token"));
        Assert.Equal([("t", "d"), ("u", "c"), ("t", "c")], await PlacesAsync(all, "audit?action=make-join-token"));
        Assert.Equal(HttpStatusCode.NotFound, (await tess.GetAsync($"{Root}/audit?tenant=u", Cancellation)).StatusCode);
        Assert.Equal([], await PlacesAsync(tess, "audit?action=add-freeze"));
        Assert.Equal([("u", "c")], await PlacesAsync(all, "audit?tenant=u&action=make*"));
        var lines = (await tess.GetStringAsync($"{Root}/audit/export", Cancellation)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, l => Assert.Equal("t", JsonDocument.Parse(l).RootElement.GetProperty("tenant").GetString()));

        Assert.Equal(HttpStatusCode.Forbidden, (await tess.GetAsync($"{Root}/audit/verify", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await all.GetAsync($"{Root}/audit/verify", Cancellation)).StatusCode);
        foreach (var path in new[] { "audit", "audit/verify", "audit/export" })
            Assert.Equal(HttpStatusCode.Forbidden, (await vera.GetAsync($"{Root}/{path}", Cancellation)).StatusCode);
        // The pages take programs too.
        Assert.DoesNotContain("add-freeze", await tess.GetStringAsync("audit", Cancellation), StringComparison.Ordinal);
        Assert.Contains("make-join-token", await tess.GetStringAsync("audit", Cancellation), StringComparison.Ordinal);
        Assert.Contains(">Audit</a>", await tess.GetStringAsync("tickets", Cancellation), StringComparison.Ordinal);
        Assert.DoesNotContain(">Audit</a>", await vera.GetStringAsync("tickets", Cancellation), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await vera.GetAsync("audit", Cancellation)).StatusCode);
    }

    [Fact]
    public async Task What_is_not_allowed_is_an_entry_in_the_name_of_whoever_tried()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var tess = await ClientAsync(server, "tess", new(Role.Operator, AccessScope.Of("t")));
        await PostAsync(tess, "join-tokens", """{"tenant":"t","cluster":"c"}""", HttpStatusCode.OK);
        await PostAsync(tess, "join-tokens", """{"tenant":"u","cluster":"c"}""", HttpStatusCode.Forbidden);
        await PostAsync(tess, "people/tess/disable", "{}", HttpStatusCode.Forbidden);
        for (var i = 0; i < 20; i++)
            Assert.Equal(HttpStatusCode.Forbidden, (await tess.PostAsync("-/reload", null, Cancellation)).StatusCode);

        var entries = (await server.Http.GetFromJsonAsync<JsonElement>($"{Root}/audit", Cancellation)).GetProperty("entries")
            .EnumerateArray().Reverse().ToList();
        Assert.Equal(
            [
                ("make-join-token", "done", "t"), ("make-join-token", "refused", "u"), ("disable-person", "refused", ""),
                ("/-/reload", "refused", ""),
            ],
            entries.Select(e => (Text(e, "action"), Text(e, "outcome"), Text(e, "tenant"))));
        Assert.All(entries, e => Assert.Equal("tess (token ci)", Text(e, "actor")));
        Assert.All(entries, e => Assert.StartsWith("token:", Text(e, "identity"), StringComparison.Ordinal));
        Assert.Contains("manage-people", Text(entries[2], "reason"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reading_is_an_entry_of_support_and_none_of_the_customer()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var tenant in new[] { "t", "u" })
            await server.App.Credentials.EnrollAsync(new(tenant, "c"), "n", Cancellation);
        using var carl = await ClientAsync(server, "carl", new(Role.Customer, AccessScope.Of("t")));
        using var sue = await ClientAsync(server, "sue", new(Role.Responder, AccessScope.Of("t")));
        foreach (var http in new[] { carl, sue })
        {
            foreach (var path in new[] { $"{Root}/agents", $"{Root}/runs", "api/v1/query?query=up", "nodes/t/c/n", "nodes/u/c/n" })
                await http.GetAsync(path, Cancellation);
        }

        var entries = (await server.Http.GetFromJsonAsync<JsonElement>($"{Root}/audit", Cancellation)).GetProperty("entries")
            .EnumerateArray().Reverse().ToList();
        Assert.Equal(
            [("list-agents", "t"), ("list-runs", "t"), ("/api/v1/query", "t"), ("page-node", "t")],
            entries.Select(e => (Text(e, "subject"), Text(e, "tenant"))));
        Assert.All(entries, e => Assert.Equal(("read", "sue (token ci)"), (Text(e, "action"), Text(e, "actor"))));
    }

    [Fact]
    public async Task What_is_about_one_tenant_is_entered_for_that_tenant()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var ada = await ClientAsync(server, "ada", new(Role.Admin, AccessScope.All));
        using var vera = await ClientAsync(server, "vera", new(Role.Viewer, AccessScope.Of("t")));
        foreach (var path in new[]
        {
            "query?query=up{tenant=\"t\"} or down{tenant=\"u\"}", "query_range?query=up&start=0&end=60&step=60",
            "series?match[]=up{tenant=\"u\"}", "labels?match[]=up{tenant=\"t\"}",
        })
            Assert.Equal(HttpStatusCode.OK, (await ada.GetAsync($"api/v1/{path}", Cancellation)).StatusCode);
        await PostAsync(ada, "people/vera/disable", "{}", HttpStatusCode.NoContent);

        var entries = (await server.Http.GetFromJsonAsync<JsonElement>($"{Root}/audit", Cancellation)).GetProperty("entries")
            .EnumerateArray().Reverse().ToList();
        Assert.Equal(
            [
                ("read", "/api/v1/labels", "t"), ("read", "/api/v1/query", "t"), ("read", "/api/v1/query", "u"),
                ("read", "/api/v1/query_range", ""), ("read", "/api/v1/series", "u"), ("disable-person", "vera", "t"),
            ],
            entries.Select(e => (Text(e, "action"), Text(e, "subject"), Text(e, "tenant")))
                .OrderBy(e => e.Item1 != "read").ThenBy(e => e, Comparer<(string, string, string)>.Create(
                    (a, b) => string.CompareOrdinal($"{a}", $"{b}"))));
    }

    static async Task<IEnumerable<(string, string)>> PlacesAsync(HttpClient http, string path) =>
        (await http.GetFromJsonAsync<JsonElement>($"{Root}/{path}", Cancellation)).GetProperty("entries").EnumerateArray()
            .Select(e => (Text(e, "tenant"), Text(e, "cluster"))).ToList();

    static async Task PostAsync(HttpClient http, string path, string body, HttpStatusCode expected)
    {
        using var answer = await http.PostAsync($"{Root}/{path}", new StringContent(body, null, "application/json"), Cancellation);
        Assert.Equal(expected, answer.StatusCode);
    }

    static string Text(JsonElement element, string name) => element.GetProperty(name).ToString();

    static async Task<HttpClient> ClientAsync(InProcessServer server, string name, Grant grant)
    {
        var services = server.App.Services;
        var invitations = services.GetRequiredService<Invitations>();
        var (invitation, _) = await invitations.InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), name, [grant], Invitations.Usual, Cancellation);
        var person = (await invitations.AcceptAsync(invitation!, name, "hash", Cancellation)).Person!;
        var actor = await services.GetRequiredService<PeopleDirectory>().ActorOfAsync(person.Identity, Cancellation);
        var (token, _, _) = await services.GetRequiredService<ApiTokens>()
            .MakeAsync(actor!, "ci", [grant], ApiTokens.Usual, Cancellation);
        return new HttpClient
        {
            BaseAddress = server.App.Address,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
        };
    }
}
