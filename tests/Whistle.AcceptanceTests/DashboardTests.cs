using System.Net;
using System.Text.RegularExpressions;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Incidents;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What the dashboard answers before any script runs; what a person sees and does is in Whistle.BrowserTests.</summary>
public sealed partial class DashboardTests
{
    const string Hostile = "</title></svg><script>alert(1)</script>\"' onload=alert(1) ]]>--><b>\u202egnp.exe שלום &lt;";

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_browser_is_led_to_the_login_and_a_link_opens_the_pages_once()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var browser = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = server.App.Address };

        foreach (var address in new[] { "/", "/incidents", "/incidents/i1", "/clusters/t/c", "/nodes/t/c/n", "/tickets", "/no/such" })
        {
            using var stranger = await browser.GetAsync(address, Cancellation);
            Assert.Equal((HttpStatusCode.Redirect, "/login"), (stranger.StatusCode, stranger.Headers.Location!.AbsolutePath));
        }

        using var login = await browser.GetAsync("/login", Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, login.StatusCode);
        Assert.Contains("whistle login", await login.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        var link = server.App.LoginLink();
        using var first = await browser.GetAsync(link, Cancellation);
        using var second = await browser.GetAsync(link, Cancellation);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), (first.StatusCode, second.StatusCode));

        using var page = await browser.GetAsync("/", Cancellation);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("No agent is enrolled yet", await page.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_script_and_no_style_element_may_be_inline_and_none_is()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var address in new[] { "/", "/incidents", "/tickets", "/no/such" })
        {
            using var page = await server.Http.GetAsync(address, Cancellation);
            var policy = page.Headers.GetValues("Content-Security-Policy").Single().Split("; ");
            var html = await page.Content.ReadAsStringAsync(Cancellation);

            Assert.Contains("default-src 'none'", policy);
            Assert.Contains("script-src 'self'", policy);
            Assert.Contains("style-src 'self'", policy);
            Assert.Contains("frame-ancestors 'none'", policy);
            Assert.DoesNotMatch(@"<style|\son[a-z]+=""|<script(?! src=""/assets/)", html);
        }
    }

    [Fact]
    public async Task What_is_not_there_is_a_page_with_status_404_and_programs_get_their_own_answer()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var address in new[]
        {
            "/no/such", "/missing", "/incidents/none", "/tickets/17", "/clusters/t/none", "/nodes/t/c/none",
        })
        {
            using var page = await server.Http.GetAsync(address, Cancellation);
            Assert.Equal(HttpStatusCode.NotFound, page.StatusCode);
            Assert.Contains("There is nothing here", await page.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        }

        using var api = await server.Http.GetAsync("/api/whistle/v1/none", Cancellation);
        Assert.Equal((HttpStatusCode.NotFound, "application/json"), (api.StatusCode, api.Content.Headers.ContentType!.MediaType));
    }

    [Fact]
    public async Task The_connection_of_a_page_needs_the_login_and_is_refused_to_other_origins()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var stranger = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = server.App.Address };
        using var anonymous = await stranger.PostAsync("/_blazor/negotiate?negotiateVersion=1", null, Cancellation);
        Assert.NotEqual(HttpStatusCode.OK, anonymous.StatusCode);

        using var own = await server.Http.PostAsync("/_blazor/negotiate?negotiateVersion=1", null, Cancellation);
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/_blazor/negotiate?negotiateVersion=1")
        {
            Headers = { { "Origin", "https://elsewhere.example" } },
        };
        using var foreign = await server.Http.SendAsync(request, Cancellation);
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
    }

    [Fact]
    public async Task Style_and_script_answer_to_anybody_and_may_be_kept()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var stranger = new HttpClient(new HttpClientHandler { AutomaticDecompression = DecompressionMethods.GZip })
        { BaseAddress = server.App.Address };
        var html = await server.Http.GetStringAsync("/", Cancellation);
        var addresses = html.Split('"').Where(a => a.StartsWith("/assets/", StringComparison.Ordinal)).Distinct().ToList();

        Assert.Equal(7, addresses.Count);
        foreach (var address in addresses)
        {
            using var asset = await stranger.GetAsync(address, Cancellation);
            Assert.Equal(HttpStatusCode.OK, asset.StatusCode);
            Assert.True(asset.Headers.CacheControl!.MaxAge > TimeSpan.FromDays(300));
            using var again =
                new HttpRequestMessage(HttpMethod.Get, address) { Headers = { { "If-None-Match", asset.Headers.ETag!.Tag } } };
            using var kept = await stranger.SendAsync(again, Cancellation);
            Assert.Equal(HttpStatusCode.NotModified, kept.StatusCode);
        }
    }

    [Fact]
    public async Task What_telemetry_says_stays_text_wherever_it_is_shown()
    {
        await using var hostile = await WithIncidentAsync(Hostile);
        await using var harmless = await WithIncidentAsync("harmless");
        foreach (var address in new[] { "/", "/incidents", "/incidents/i1", $"/clusters/{Escaped(Hostile)}/{Escaped(Hostile)}" })
        {
            var html = await hostile.Http.GetStringAsync(address, Cancellation);
            var other = await harmless.Http.GetStringAsync(
                address.Replace(Escaped(Hostile), "harmless", StringComparison.Ordinal), Cancellation);

            Assert.Contains("alert(1)", html, StringComparison.Ordinal);
            Assert.DoesNotContain("<script>", html, StringComparison.Ordinal);
            // Whatever the text holds, the tags and the names of attributes are ours: those of the same page about a harmless name.
            Assert.Equal(Markup(other), Markup(html));
        }
    }

    static async Task<InProcessServer> WithIncidentAsync(string text)
    {
        var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        var labels = Labels.Of(("node", text), ("mountpoint", text), ("extra", text));
        var now = TimeProvider.System.GetUtcNow();
        var incident = new Incident
        {
            Id = "i1",
            Tenant = text,
            Cluster = text,
            Subject = labels,
            Title = text,
            Severity = text,
            State = IncidentState.Open,
            OpenedAt = now,
            Signals = [new(1, text, labels, text, now, null)],
        };
        await server.App.Services.GetRequiredService<IncidentStore>().SaveAsync(
            [new(incident, [(TimelineKind.Opened, text)])], now, Cancellation);
        return server;
    }

    static string Escaped(string text) => Uri.EscapeDataString(text.Replace("/", "%2F", StringComparison.Ordinal));

    // Tags with the names of their attributes. Blazor writes values in double quotes, always.
    static List<string> Markup(string html) => [.. Tag().Matches(Comment().Replace(html, "")).Select(t => Value().Replace(t.Value, "="))];

    // Blazor's marks of what becomes live; in a text the sign that begins one is escaped.
    [GeneratedRegex("<!--.*?-->", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex("<(?:[^\"<>]|\"[^\"]*\")*>")]
    private static partial Regex Tag();

    [GeneratedRegex("=\"[^\"]*\"")]
    private static partial Regex Value();
}
