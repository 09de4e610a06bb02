using System.Net;

using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.Oidc;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Log-in at a real provider, over the real protocol.</summary>
public sealed class OidcTests
{
    static readonly string[] Sre = ["sre"];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_logs_in_there_has_the_roles_of_their_groups()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("1", "ann", ["sre", "lunch"]);
        using var ann = Browser(server);

        Assert.Equal(HttpStatusCode.OK, await LogInAsync(ann));
        Assert.Equal(HttpStatusCode.OK, (await ann.GetAsync("api/whistle/v1/control-timeline", Cancellation)).StatusCode);
        Assert.Equal(["operator of all tenants"], await GrantsAsync(server, "ann"));

        var entry = Assert.Single(await server.App.Services.GetRequiredService<AuditLog>().ListAsync(
            new(Action: "log-in"), 10, Cancellation)).What;
        var person = (await server.App.Services.GetRequiredService<PeopleStore>().FindByNameAsync("ann", Cancellation))!.Person;
        Assert.Equal(("ann", person.Identity, AuditOutcome.Done), (entry.Actor.Name, entry.Actor.Identity, entry.Outcome));
        Assert.Contains("\"subject\":\"1\",\"grants\":[\"operator of all tenants\"]", entry.Details, StringComparison.Ordinal);

        // The next log-in decides again, and only about what the last one gave.
        await provider.SetAsync("1", "ann", ["acme"]);
        using var again = Browser(server);
        Assert.Equal(HttpStatusCode.OK, await LogInAsync(again));
        Assert.Equal(["viewer of acme/prod-1"], await GrantsAsync(server, "ann"));
        Assert.Equal(HttpStatusCode.Forbidden, (await ann.GetAsync("api/whistle/v1/control-timeline", Cancellation)).StatusCode);
    }

    [Fact]
    public async Task Whose_groups_have_no_role_is_told_so_and_has_no_account()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("2", "bob", ["lunch"]);
        using var bob = Browser(server);

        Assert.Equal(HttpStatusCode.Unauthorized, await LogInAsync(bob));
        Assert.Null(await server.App.Services.GetRequiredService<PeopleStore>().FindByNameAsync("bob", Cancellation));
        var entry = Assert.Single(await server.App.Services.GetRequiredService<AuditLog>().ListAsync(new(), 10, Cancellation)).What;
        Assert.Equal(("bob", AuditOutcome.Refused), (entry.Actor.Name, entry.Outcome));
    }

    [Fact]
    public async Task A_name_from_there_is_no_proof_of_being_whoever_has_it_here()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        var invitations = server.App.Services.GetRequiredService<Invitations>();
        var (token, _) = await invitations.InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), "root", [new(Role.Admin, AccessScope.All)],
            Invitations.Usual, Cancellation);
        Assert.NotNull((await invitations.AcceptAsync(token!, "root", "hash", Cancellation)).Person);
        await provider.SetAsync("3", "ROOT", ["acme"]);
        using var other = Browser(server);

        Assert.Equal(HttpStatusCode.OK, await LogInAsync(other));
        Assert.Equal(["viewer of acme/prod-1"], await GrantsAsync(server, "ROOT-2"));
        Assert.Equal(["admin of all tenants"], await GrantsAsync(server, "root"));
    }

    [Theory]
    [InlineData("expired", "SecurityTokenExpiredException")]
    [InlineData("forged", "SecurityTokenInvalidSignatureException")]
    [InlineData("unsigned", "SecurityTokenInvalidSignatureException")]
    public async Task A_token_that_is_expired_or_forged_logs_nobody_in(string fault, string reason)
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("4", "eve", Sre, fault);
        var failures = Failures(server);
        using var eve = Browser(server);

        Assert.Equal(HttpStatusCode.Unauthorized, await LogInAsync(eve));
        Assert.Equal(HttpStatusCode.Unauthorized, (await eve.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);
        Assert.Empty(await server.App.Services.GetRequiredService<PeopleStore>().AllAsync(Cancellation));
        Assert.Contains(reason, Assert.Single(failures), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_in_that_this_browser_did_not_begin_is_refused()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("5", "eve", Sre);
        string? answer = null;
        using var handler = new HttpClientHandler { AllowAutoRedirect = false };
        using var eve = new HttpClient(handler) { BaseAddress = server.App.Address };
        for (var next = new Uri(server.App.Address, "login/oidc"); answer is null;)
        {
            using var step = await eve.GetAsync(next, Cancellation);
            next = new Uri(next, step.Headers.Location!);
            answer = next.AbsolutePath == "/login/oidc/done" ? next.ToString() : null;
        }

        // Eve leads another's browser to where her own log-in ends.
        using var victim = Browser(server);
        Assert.Equal(HttpStatusCode.Unauthorized, (await victim.GetAsync(answer, Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await victim.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);
    }

    [Fact]
    public async Task While_the_provider_is_down_those_who_are_logged_in_go_on_and_others_are_told()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("6", "ann", Sre);
        using var ann = Browser(server);
        Assert.Equal(HttpStatusCode.OK, await LogInAsync(ann));
        await provider.StopAsync();

        Assert.Equal(HttpStatusCode.OK, (await ann.GetAsync("incidents", Cancellation)).StatusCode);
        using var bob = Browser(server);
        using var refused = await bob.GetAsync("login/oidc", Cancellation);
        Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
        Assert.Contains("does not answer", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_disabled_here_does_not_come_in_and_whoever_logs_out_is_out()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("7", "ann", Sre);
        using var ann = Browser(server);
        Assert.Equal(HttpStatusCode.OK, await LogInAsync(ann));
        await LogOutAsync(server, ann);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ann.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);

        using var disabled = await server.Http.PostAsync("api/whistle/v1/people/ann/disable", null, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, disabled.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, await LogInAsync(ann));
    }

    [Fact]
    public async Task Whoever_logs_out_is_led_to_the_provider_and_is_out_there_too()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("8", "ann", Sre);
        using var ann = Browser(server);
        await LogInAsync(ann);
        await LogInAsync(ann);
        Assert.Equal(1, await provider.ProofsAsync());

        var there = WebUtility.HtmlDecode(Between(await LogOutAsync(server, ann), "content='0; url=", "'"));
        Assert.StartsWith($"{provider.Issuer}session/end?", there, StringComparison.Ordinal);
        Assert.Contains("client_id=whistle", there, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ann.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);
        var question = await ann.GetStringAsync(there, Cancellation);
        using var answer = new FormUrlEncodedContent(
            [new("xsrf", Between(question, "name=\"xsrf\" value=\"", "\"")), new("logout", "yes")]);
        using var back = await ann.PostAsync(new Uri(provider.Issuer, "session/end/confirm"), answer, Cancellation);
        Assert.Equal(new Uri(server.App.Address, "login"), back.RequestMessage!.RequestUri);

        await LogInAsync(ann);
        Assert.Equal(2, await provider.ProofsAsync());
    }

    [Fact]
    public async Task Another_site_s_page_begins_no_log_in()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider);
        await provider.SetAsync("10", "ann", Sre);
        using var ann = Browser(server);
        using var request = new HttpRequestMessage(HttpMethod.Get, "login/oidc");
        request.Headers.Add("Sec-Fetch-Site", "cross-site");

        using var answer = await ann.SendAsync(request, Cancellation);
        Assert.Equal(new Uri(server.App.Address, "login"), answer.RequestMessage!.RequestUri);
        Assert.Equal(0, await provider.ProofsAsync());
    }

    [Fact]
    public async Task A_provider_that_calls_itself_otherwise_is_not_the_one_that_was_named()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        var other = new UriBuilder(provider.Issuer) { Host = "localhost" }.Uri;
        await using var server = await StartAsync(provider, authority: other);
        using var ann = Browser(server);

        using var refused = await ann.GetAsync("login/oidc", Cancellation);
        Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
        Assert.Equal(0, await provider.ProofsAsync());
    }

    [Theory]
    [InlineData("down")]
    [InlineData("not to")]
    [InlineData("not from there")]
    public async Task Whoever_cannot_be_led_to_the_provider_is_out_here(string why)
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await StartAsync(provider, why != "not to");
        await provider.SetAsync("9", "ann", Sre);
        using var ann = Browser(server);
        if (why == "not from there")
            await ann.GetAsync(server.App.LoginLink(), Cancellation);
        else
            await LogInAsync(ann);
        if (why == "down")
        {
            await provider.StopAsync();
            // A start since then: nothing of the provider is known yet.
            server.App.Services.GetRequiredService<IOptionsMonitorCache<OpenIdConnectOptions>>().Clear();
        }

        Assert.Equal(HttpStatusCode.OK, (await ann.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);
        Assert.DoesNotContain("http-equiv", await LogOutAsync(server, ann), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Unauthorized, (await ann.GetAsync("api/whistle/v1/incidents", Cancellation)).StatusCode);
    }

    [Theory]
    [InlineData("sre", "has no role")]
    [InlineData("=viewer", "has no role")]
    [InlineData("sre=boss", "is not a role")]
    [InlineData("sre=customer", "name the tenant")]
    [InlineData("sre=viewer@", "neither a tenant nor a cluster")]
    [InlineData("sre=viewer@a/b/c", "neither a tenant nor a cluster")]
    public void A_role_that_cannot_be_read_keeps_the_server_from_starting(string role, string reason)
    {
        var options = new OidcOptions { Authority = new("https://login.example.com"), ClientId = "whistle", Roles = [role] };

        Assert.Contains(reason, Assert.Single(options.Errors()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_provider_without_TLS_is_refused() => Assert.Contains(
        "not https", new OidcOptions { Authority = new("http://login.example.com"), ClientId = "w", Roles = ["a=viewer"] }
            .Errors().Single().Reason, StringComparison.Ordinal);

    static async Task<InProcessServer> StartAsync(OidcProvider provider, bool logOutThere = true, Uri? authority = null)
    {
        // A temporary file is its owner's alone.
        var secret = Path.GetTempFileName();
        await File.WriteAllTextAsync(secret, OidcProvider.Secret, Cancellation);
        return await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            RunTimers = false,
            Oidc = new()
            {
                Authority = authority ?? provider.Issuer,
                ClientId = "whistle",
                ClientSecretFile = secret,
                LogOutThere = logOutThere,
                Roles = ["sre=operator", "acme=viewer@acme/prod-1"],
            },
        });
    }

    // Why log-ins fail, as the library says it.
    static List<string> Failures(InProcessServer server)
    {
        List<string> failures = [];
        var oidc = server.App.Services.GetRequiredService<IOptionsMonitor<OpenIdConnectOptions>>().Get("oidc");
        var usual = oidc.Events.OnRemoteFailure;
        oidc.Events.OnRemoteFailure = context =>
        {
            failures.Add($"{context.Failure}");
            return usual(context);
        };
        return failures;
    }

    static HttpClient Browser(InProcessServer server) => new() { BaseAddress = server.App.Address };

    static async Task<HttpStatusCode> LogInAsync(HttpClient browser)
    {
        using var page = await browser.GetAsync("login/oidc", Cancellation);
        var text = await page.Content.ReadAsStringAsync(Cancellation);
        TestContext.Current.TestOutputHelper?.WriteLine($"{page.RequestMessage!.RequestUri!.AbsolutePath}: {page.StatusCode} {text}");
        return page.StatusCode;
    }

    static async Task<string> LogOutAsync(InProcessServer server, HttpClient browser)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "logout");
        request.Headers.Add("Origin", server.App.Address.GetLeftPart(UriPartial.Authority));
        using var answer = await browser.SendAsync(request, Cancellation);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }

    static string Between(string text, string before, string after) =>
        text[(text.IndexOf(before, StringComparison.Ordinal) + before.Length)..].Split(after)[0];

    static async Task<IEnumerable<string>> GrantsAsync(InProcessServer server, string name) =>
        (await server.App.Services.GetRequiredService<PeopleStore>().FindByNameAsync(name, Cancellation))!.Grants
            .Select(g => g.Grant.ToString());
}
