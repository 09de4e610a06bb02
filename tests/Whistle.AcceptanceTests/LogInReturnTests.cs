using System.Net;

using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Where a log-in leads, and what of a browser's earlier session it takes over: to the dashboard, and nothing.</summary>
public sealed class LogInReturnTests
{
    const string Elsewhere = "elsewhere.example";

    // As frameworks know it, and as whoever lures somebody to the log-in would write it.
    static readonly string Return = string.Join('&', new[] { "ReturnUrl", "returnUrl", "return", "redirect_uri", "next", "url" }
        .SelectMany(name => new[] { $"https://{Elsewhere}/", $"//{Elsewhere}/", $"/\\{Elsewhere}/" }
            .Select(address => $"{name}={Uri.EscapeDataString(address)}")));

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Wherever_it_is_asked_to_return_to_a_log_in_leads_to_the_dashboard()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        var ann = await Account.AddAsync(server, "ann");
        using var browser = new Browser();
        (string, string)[] fields = [.. Return.Split('&').Select(f => f.Split('=')).Select(f => (f[0], Uri.UnescapeDataString(f[1])))];

        // Whoever asks for a page is led to the log-in of this server, whatever the page is called.
        foreach (var path in new[] { $"/incidents?{Return}", $"//{Elsewhere}/", $"/\\{Elsewhere}/" })
        {
            var (status, _, headers) = await browser.OpenAsync(
                new Uri(server.App.Address.GetLeftPart(UriPartial.Authority) + path), Cancellation);
            Assert.Equal((302, server.App.Address.Authority), (status, new Uri(server.App.Address, headers.Location!).Authority));
        }

        AssertLeadsHome(await browser.OpenAsync(ann.At($"login?{Return}"), Cancellation), 401);
        AssertLeadsHome(
            await browser.SendAsync(ann.At($"login?{Return}"), Cancellation, [("name", "ann"), ("password", "wrong"), .. fields]), 401);
        AssertLeadsHome(
            await browser.SendAsync(ann.At($"login?{Return}"), Cancellation, [("name", "ann"), ("password", ann.Password), .. fields]),
            200);
        await ann.TurnOnAsync(browser);
        using var other = new Browser();
        var (_, page, _) = await other.SendAsync(
            ann.At($"login?{Return}"), Cancellation, [("name", "ann"), ("password", ann.Password), .. fields]);
        AssertLeadsHome(
            await other.SendAsync(
                ann.At($"login?{Return}"), Cancellation, [("step", Account.Value(page, "step")), ("code", ann.Code(1)), .. fields]),
            200);
        AssertLeadsHome(await other.OpenAsync(new Uri($"{server.App.LoginLink()}&{Return}"), Cancellation), 200);
        var token = await Account.InviteAsync(server, "bob");
        AssertLeadsHome(
            await other.SendAsync(
                ann.At($"invitation?{Return}"), Cancellation,
                [("token", token), ("password", "nine quiet lamps on a boat"), ("again", "nine quiet lamps on a boat"), .. fields]),
            200);
        var (out303, _, to) = await other.SendAsync(ann.At($"logout?{Return}"), Cancellation, fields);
        Assert.Equal((303, "/"), (out303, $"{to.Location}"));
    }

    [Fact]
    public async Task Wherever_it_is_asked_to_return_to_a_log_in_at_the_provider_leads_to_the_dashboard()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            RunTimers = false,
            Oidc = new()
            {
                Authority = provider.Issuer,
                ClientId = "whistle",
                ClientSecretFile = PrivateText.Write(Path.GetTempFileName(), OidcProvider.Secret),
                Roles = ["sre=operator"],
            },
        });
        await provider.SetAsync("1", "ann", ["sre"]);
        using var browser = new Browser();
        var next = new Uri(server.App.Address, $"login/oidc?{Return}");
        List<string> hosts = [];
        while (true)
        {
            var (status, text, headers) = await browser.OpenAsync(next, Cancellation);
            if (headers.Location is not { } location)
            {
                AssertLeadsHome((status, text, headers), 200);
                break;
            }

            next = new Uri(next, location);
            hosts.Add(next.Authority);
            // The provider leads back with its own words and whatever else it was asked with.
            if (next.AbsolutePath == "/login/oidc/done")
                next = new Uri($"{next}&{Return}");
        }

        Assert.Equal([provider.Issuer.Authority, server.App.Address.Authority], hosts.Distinct());
        Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
    }

    [Fact]
    public async Task A_log_in_begins_a_session_of_its_own_whatever_session_the_browser_had()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        var (ann, eve) = (await Account.AddAsync(server, "ann"), await Account.AddAsync(server, "eve"));
        using var stranger = new Browser();
        await stranger.OpenAsync(ann.At("login"), Cancellation);
        Assert.Equal([], stranger.Cookies.GetCookies(server.App.Address).Select(c => c.Name));

        // Eve has put the cookie of her own session into Ann's browser.
        using var planted = await eve.LoggedInAsync();
        var cookies = new CookieContainer();
        cookies.Add(server.App.Address, planted.Cookies.GetCookies(server.App.Address));
        using var browser = new Browser(cookies);
        Assert.Contains("<strong>eve</strong>", (await browser.OpenAsync(ann.At("account"), Cancellation)).Text, StringComparison.Ordinal);
        Assert.Equal(200, (await ann.LogInAsync(browser)).Status);

        var (before, after) = (Session(planted.Cookies), Session(cookies));
        Assert.Equal(before.Name, after.Name);
        Assert.NotEqual(before.Value, after.Value);
        Assert.Contains("<strong>ann</strong>", (await browser.OpenAsync(ann.At("account"), Cancellation)).Text, StringComparison.Ordinal);
        // The one that the browser had before has ended, for every copy of its cookie.
        Assert.DoesNotContain("<strong>", (await planted.OpenAsync(ann.At("account"), Cancellation)).Text, StringComparison.Ordinal);

        // And each log-in has another.
        Assert.Equal(200, (await ann.LogInAsync(browser)).Status);
        Assert.NotEqual(after.Value, Session(cookies).Value);

        // The pages have a second cookie, for their forms.
        Cookie Session(CookieContainer of) => Assert.Single(
            of.GetCookies(server.App.Address), c => !c.Name.Contains("-form-", StringComparison.Ordinal));
    }

    static void AssertLeadsHome((int Status, string Text, System.Net.Http.Headers.HttpResponseHeaders Headers) answer, int status)
    {
        Assert.Equal((status, null), (answer.Status, answer.Headers.Location));
        Assert.DoesNotContain(Elsewhere, answer.Text, StringComparison.Ordinal);
        if (status == 200)
            Assert.Contains("content='0; url=/'", answer.Text, StringComparison.Ordinal);
    }
}
