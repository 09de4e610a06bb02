using System.Net.WebSockets;
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
