using System.Net.WebSockets;
using System.Text.Json;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A server on which everybody needs a second factor.</summary>
public sealed partial class SecondFactorTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_has_none_reaches_nothing_but_their_account_until_they_have_one()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var browser = new Browser();
        Assert.Equal(200, (await ann.LogInAsync(browser)).Status);
        var routes = server.App.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<RouteAccess>() is { IsForAnybody: false })
            .Select(e => "/" + Parameter().Replace(e.RoutePattern.RawText!, "1").TrimStart('/'))
            .Except(["/account", "/session", "/logout"])
            // What opens a connection must say where it comes from, which is asked first.
            .Where(r => !r.StartsWith("/_blazor", StringComparison.Ordinal)).Append("/no/such").Append("/account/").ToList();
        Assert.True(routes.Count > 50, string.Join(' ', routes));
        foreach (var route in routes)
        {
            var (status, text, headers) = await browser.OpenAsync(ann.At(route), Cancellation);
            Assert.True(
                status == 302 ? headers.Location!.ToString() == "/account"
                    : status == 403 && text.Contains("second factor", StringComparison.Ordinal),
                $"{route}: {status} {headers.Location}");
        }

        await Assert.ThrowsAsync<WebSocketException>(() => browser.ConnectAsync(server.App.Address, Cancellation));
        Assert.Equal(403, (int)await browser.PostAsync(server.App.Address, "api/whistle/v1/tokens", Cancellation));
        Assert.Contains("until then you reach this page alone", (await browser.OpenAsync(ann.At("account"), Cancellation)).Text,
            StringComparison.Ordinal);
        await server.App.Services.GetRequiredService<AuditLog>().FlushRefusalsAsync(all: true);
        Assert.Contains(
            await server.App.Services.GetRequiredService<AuditLog>().ListAsync(
                new(Actor: "ann", Outcome: AuditOutcome.Refused), 100, Cancellation),
            e => e.What.Reason.Contains("no second factor", StringComparison.Ordinal));

        Assert.Equal(400, (await ann.ActAsync(
            browser, "make-token", ("name", "t"), ("allows", $"{new Grant(Role.Viewer, AccessScope.All)}"), ("old", ann.Password))).Status);
        // Begun with the password alone, by whomever.
        using var other = new Browser();
        Assert.Equal(200, (await ann.LogInAsync(other)).Status);
        var codes = await ann.TurnOnAsync(browser);
        Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        Assert.Equal(200, (await browser.OpenAsync(ann.At("api/whistle/v1/incidents"), Cancellation)).Status);
        Assert.Contains("/login", (await other.OpenAsync(ann.At("account"), Cancellation)).Headers.Location!.ToString(),
            StringComparison.Ordinal);

        var (kept, reason) = await ann.ActAsync(browser, "turn-off-second-factor", ("old", ann.Password), ("proof", codes[0]));
        Assert.Equal(400, kept);
        Assert.Contains("this is your last", reason, StringComparison.Ordinal);
        Assert.True((await ann.PersonAsync()).HasTwoFactor);
    }

    [Fact]
    public async Task A_passkey_is_one_and_from_then_on_the_password_alone_opens_nothing()
    {
        await using var server = await StartAsync();
        // Passkeys are of a name, and of none in digits.
        var address = new UriBuilder(server.App.Address) { Host = "localhost" }.Uri;
        var ann = await Account.AddAsync(server, "ann");
        using var device = new Device(address.GetLeftPart(UriPartial.Authority));
        using var browser = new Browser();
        using var other = new Browser();
        foreach (var each in (Browser[])[browser, other])
            Assert.Equal(200, (await LogInAsync(each)).Status);
        var (_, page, _) = await browser.OpenAsync(new(address, "account"), Cancellation);
        var form = page[page.IndexOf("data-new", StringComparison.Ordinal)..];
        var made = device.Make(Device.Asked(page, " data-new"));
        Assert.Equal(303, (await ActAsync(
            "add-passkey", ("state", Account.Value(form, "state")), ("credential", made), ("name", "laptop"),
            ("old", ann.Password))).Status);

        Assert.Equal(200, (await browser.OpenAsync(new(address, "api/whistle/v1/incidents"), Cancellation)).Status);
        Assert.Contains(
            "/login", (await other.OpenAsync(new(address, "account"), Cancellation)).Headers.Location!.ToString(),
            StringComparison.Ordinal);
        using var late = new Browser();
        var (status, text) = await LogInAsync(late);
        Assert.Equal(401, status);
        Assert.Contains("Your password alone is not enough", text, StringComparison.Ordinal);
        Assert.False(await late.IsLoggedInAsync(address, Cancellation));
        var audit = server.App.Services.GetRequiredService<AuditLog>();
        await audit.FlushRefusalsAsync(all: true);
        Assert.Equal("ann", Assert.Single(await audit.ListAsync(new(Action: "log-in-passkey"), 100, Cancellation)).What.Subject);

        var id = JsonDocument.Parse(made).RootElement.GetProperty("id").GetString()!;
        var (kept, reason) = await ActAsync("remove-passkey", ("old", ann.Password), ("id", id));
        Assert.Equal(400, kept);
        Assert.Contains("this is your last", reason, StringComparison.Ordinal);

        async Task<(int Status, string Text)> LogInAsync(Browser by)
        {
            var (answered, said, _) = await by.SendAsync(new(address, "login"), Cancellation, ("name", "ann"), ("password", ann.Password));
            return (answered, said);
        }

        async Task<(int Status, string Text)> ActAsync(string act, params (string Name, string Value)[] fields)
        {
            var (answered, said, _) = await browser.SendAsync(new(address, "account"), Cancellation, [("act", act), .. fields]);
            return (answered, said);
        }
    }

    [Fact]
    public async Task Others_go_on_and_so_do_API_tokens_and_the_machines_own_user()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var local = await Browser.LoggedInAsync(server.App, Cancellation);
        Assert.True(await local.IsLoggedInAsync(server.App.Address, Cancellation));
        var services = server.App.Services;
        var actor = await services.GetRequiredService<PeopleDirectory>().ActorOfAsync((await ann.PersonAsync()).Identity, Cancellation);
        var (token, _, _) = await services.GetRequiredService<ApiTokens>().MakeAsync(
            actor!, "t", [new(Role.Viewer, AccessScope.All)], ApiTokens.Usual, Cancellation);
        using var http = new HttpClient { DefaultRequestHeaders = { Authorization = new("Bearer", token) } };
        using var answer = await http.GetAsync(ann.At("api/whistle/v1/incidents"), Cancellation);
        Assert.Equal(200, (int)answer.StatusCode);
    }

    static Task<InProcessServer> StartAsync() => InProcessServer.StartAsync(
        Cancellation, change: o => o with { RunTimers = false, LogIn = o.LogIn with { RequireSecondFactor = true } });

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
