using System.Net;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class DashboardTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_browser_is_led_to_the_login_and_a_link_opens_the_page_once()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var browser = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = server.App.Address };

        using var stranger = await browser.GetAsync("/", Cancellation);
        Assert.Equal((HttpStatusCode.Redirect, "/login"), (stranger.StatusCode, stranger.Headers.Location!.AbsolutePath));
        using var login = await browser.GetAsync("/login", Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, login.StatusCode);
        Assert.Contains("whistle login", await login.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        var link = server.App.LoginLink();
        using var first = await browser.GetAsync(link, Cancellation);
        using var second = await browser.GetAsync(link, Cancellation);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), (first.StatusCode, second.StatusCode));

        using var page = await browser.GetAsync("/", Cancellation);
        var html = await page.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("No agent is enrolled yet.", html, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Style_and_script_of_the_page_answer_to_anybody_and_may_be_kept()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var stranger = new HttpClient { BaseAddress = server.App.Address };
        var html = await server.Http.GetStringAsync("/", Cancellation);

        foreach (var address in html.Split('"').Where(a => a.StartsWith("/assets/", StringComparison.Ordinal)).Distinct())
        {
            using var asset = await stranger.GetAsync(address, Cancellation);
            Assert.Equal(HttpStatusCode.OK, asset.StatusCode);
            Assert.True(asset.Headers.CacheControl!.MaxAge > TimeSpan.FromDays(300));
        }
    }
}
