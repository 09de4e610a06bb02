using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class PeopleApiTests
{
    const string Root = "api/whistle/v1";

    static readonly Grant AdminOfT = new(Role.Admin, AccessScope.Of("t"));
    static readonly Grant ViewerOfU = new(Role.Viewer, AccessScope.Of("u"));

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_token_opens_the_api_in_its_owners_name_until_it_is_revoked()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        await server.App.Credentials.Register.AddTenantAsync("t", new(), "ann", Cancellation);
        var tess = await AddAsync(server, "tess", AdminOfT);
        using var http = await ClientAsync(server, tess, AdminOfT);

        var people = await http.GetFromJsonAsync<JsonElement>($"{Root}/people", Cancellation);
        Assert.Equal("tess", Assert.Single(people.EnumerateArray()).GetProperty("name").GetString());
        Assert.Equal(HttpStatusCode.OK, await PostAsync(http, "invitations", """{"grants":[{"role":"viewer","tenant":"t"}]}"""));
        Assert.Equal(HttpStatusCode.Forbidden, await PostAsync(http, "invitations", """{"grants":[{"role":"viewer","tenant":"u"}]}"""));
        Assert.Equal(HttpStatusCode.Forbidden, await PostAsync(http, "invitations", """{"grants":[{"role":"viewer"}]}"""));
        Assert.Equal(
            HttpStatusCode.BadRequest, await PostAsync(http, "invitations", """{"grants":[{"role":"viewer","cluster":"c"}]}"""));
        Assert.Equal(HttpStatusCode.Forbidden, await PostAsync(http, "people/tess/grants", """{"role":"admin"}"""));
        Assert.Equal(
            HttpStatusCode.BadRequest, await PostAsync(http, "tokens", """{"name":"x","grants":[{"role":"viewer","tenant":"t"}]}"""));
        Assert.Equal(HttpStatusCode.Forbidden, await PostAsync(http, "login-links", null));
        Assert.Equal(HttpStatusCode.Forbidden, (await http.DeleteAsync($"{Root}/sessions", Cancellation)).StatusCode);

        // Somebody of another tenant is nobody.
        await AddAsync(server, "uma", ViewerOfU);
        var (unknown, foreign) = (await RefusalAsync("people/nil/disable"), await RefusalAsync("people/uma/disable"));
        Assert.Equal(unknown.Replace("nil", "uma", StringComparison.Ordinal), foreign);

        var id = Assert.Single((await http.GetFromJsonAsync<JsonElement>($"{Root}/tokens", Cancellation)).EnumerateArray())
            .GetProperty("id").GetString();
        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync($"{Root}/tokens/{id}", Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync($"{Root}/people", Cancellation)).StatusCode);

        async Task<string> RefusalAsync(string path)
        {
            using var answer = await http.PostAsync($"{Root}/{path}", null, Cancellation);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            return await answer.Content.ReadAsStringAsync(Cancellation);
        }
    }

    [Fact]
    public async Task Who_is_disabled_is_out_at_once_with_cookie_and_token()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var tess = await AddAsync(server, "tess", AdminOfT);
        using var http = await ClientAsync(server, tess, AdminOfT);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"{Root}/people", Cancellation)).StatusCode);

        using var disabled = await server.Http.PostAsync($"{Root}/people/tess/disable", null, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, disabled.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync($"{Root}/people", Cancellation)).StatusCode);
    }

    [Fact]
    public async Task Another_invitation_for_a_name_ends_the_one_before_and_a_reset_is_seen_until_it_is_used()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        await AddAsync(server, "uma", ViewerOfU);
        foreach (var name in new[] { "ann", "bob", "ANN" })
        {
            Assert.Equal(
                HttpStatusCode.OK, await PostAsync(server.Http, "invitations", $$"""{"name":"{{name}}","grants":[{"role":"viewer"}]}"""));
        }

        Assert.Equal(["ANN", "bob"], (await ListAsync("invitations")).Select(i => i.GetProperty("name").GetString()).Order());
        Assert.Equal(HttpStatusCode.OK, await PostAsync(server.Http, "people/uma/reset", null));
        var until = Assert.Single(await ListAsync("people")).GetProperty("resetUntil").GetDateTimeOffset();
        var reset = Assert.Single(await ListAsync("invitations"), i => i.GetProperty("isReset").GetBoolean());
        Assert.Equal(until, reset.GetProperty("endsAt").GetDateTimeOffset());
        using var ended = await server.Http.DeleteAsync($"{Root}/invitations/{reset.GetProperty("id").GetString()}", Cancellation);
        Assert.Equal(JsonValueKind.Null, Assert.Single(await ListAsync("people")).GetProperty("resetUntil").ValueKind);

        async Task<List<JsonElement>> ListAsync(string what) =>
            [.. (await server.Http.GetFromJsonAsync<JsonElement>($"{Root}/{what}", Cancellation)).EnumerateArray()];
    }

    static async Task<Person> AddAsync(InProcessServer server, string name, Grant grant)
    {
        var invitations = server.App.Services.GetRequiredService<Invitations>();
        var (token, _) = await invitations.InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), name, [grant], Invitations.Usual, Cancellation);
        return (await invitations.AcceptAsync(token!, name, "hash", Cancellation)).Person!;
    }

    static async Task<HttpClient> ClientAsync(InProcessServer server, Person person, Grant grant)
    {
        var actor = await server.App.Services.GetRequiredService<PeopleDirectory>().ActorOfAsync(person.Identity, Cancellation);
        var (token, _, _) = await server.App.Services.GetRequiredService<ApiTokens>()
            .MakeAsync(actor!, "ci", [grant], ApiTokens.Usual, Cancellation);
        return new HttpClient
        {
            BaseAddress = server.App.Address,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
        };
    }

    static async Task<HttpStatusCode> PostAsync(HttpClient http, string path, string? body)
    {
        using var content = body is null ? null : new StringContent(body, null, "application/json");
        using var answer = await http.PostAsync($"{Root}/{path}", content, Cancellation);
        return answer.StatusCode;
    }
}
