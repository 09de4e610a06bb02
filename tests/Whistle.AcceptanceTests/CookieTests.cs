using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The flags of every cookie, over http on the loopback and over https, both at once.</summary>
public sealed class CookieTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Over_https_every_cookie_is_this_hosts_alone_and_over_http_none_asks_for_what_browsers_refuse()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            RunTimers = false,
            Listen = [new("http://127.0.0.1:0"), new("https://127.0.0.1:0")],
        });
        using var http = Client();
        foreach (var address in server.App.Addresses)
        {
            var isHttps = address.Scheme == Uri.UriSchemeHttps;
            var (prefix, flags) = isHttps
                ? ("__Host-whistle-", (string[])["path=/", "secure", "samesite=strict", "httponly"])
                : ("whistle-", ["path=/", "samesite=strict", "httponly"]);
            var link = new UriBuilder(server.App.LoginLink()) { Scheme = address.Scheme, Port = address.Port }.Uri;
            var session = Assert.Single(await CookiesAsync(http, link));
            Assert.StartsWith(prefix, session, StringComparison.Ordinal);
            Assert.Equal(flags, Flags(session));
            // That of the dashboard's forms.
            var form = Assert.Single(await CookiesAsync(http, address, Pair(session)));
            Assert.StartsWith(prefix + "form-", form, StringComparison.Ordinal);
            Assert.Equal(flags.Order(), Flags(form).Order());

            var (name, value) = (session.Split('=')[0], session.Split('=', 2)[1].Split(';')[0]);
            var other = isHttps ? name["__Host-".Length..] : "__Host-" + name;
            Assert.Equal(200, await StatusAsync(http, address, $"{name}={value}"));
            Assert.Equal(200, await StatusAsync(http, address, $"a=b; {name}={value}; c"));
            Assert.Equal(302, await StatusAsync(http, address, $"{other}={value}"));
            if (isHttps)
                Assert.Equal(302, await StatusAsync(http, address, $"__host-{other}={value}"));
            Assert.Equal(200, await StatusAsync(http, address, $"{name}={value}; {other}=x"));

            using var logOut = new HttpRequestMessage(HttpMethod.Post, new Uri(address, "logout"))
            {
                Headers = { { "Cookie", Pair(session) }, { "Origin", address.GetLeftPart(UriPartial.Authority) } },
            };
            using var answer = await http.SendAsync(logOut, Cancellation);
            var deleted = Assert.Single(answer.Headers.GetValues("Set-Cookie"));
            Assert.StartsWith($"{name}=; expires=Thu, 01 Jan 1970", deleted, StringComparison.Ordinal);
            Assert.Equal(flags, Flags(deleted));
        }
    }

    [Fact]
    public async Task Behind_a_proxy_that_is_believed_its_scheme_counts()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            RunTimers = false,
            Proxies = ["127.0.0.1"],
        });
        await using var plain = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        using var http = Client();
        http.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");
        var session = Assert.Single(await CookiesAsync(http, new(server.App.LoginLink())));
        Assert.StartsWith("__Host-whistle-", session, StringComparison.Ordinal);
        Assert.Contains("; secure", session, StringComparison.Ordinal);
        Assert.Equal(200, await StatusAsync(http, server.App.Address, Pair(session)));
        Assert.Equal(302, await StatusAsync(http, server.App.Address, Pair(session)["__Host-".Length..]));
        session = Assert.Single(await CookiesAsync(http, new(plain.App.LoginLink())));
        Assert.StartsWith("whistle-", session, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_cookies_of_a_log_in_at_a_provider_are_this_hosts_alone_over_https_too()
    {
        await using var provider = await OidcProvider.StartAsync(Cancellation);
        await provider.SetAsync("1", "ann", ["sre"]);
        // A temporary file is its owner's alone.
        var secret = Path.GetTempFileName();
        await File.WriteAllTextAsync(secret, OidcProvider.Secret, Cancellation);
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            RunTimers = false,
            Proxies = ["127.0.0.1"],
            Names = ["whistle.example.com"],
            Oidc = new() { Authority = provider.Issuer, ClientId = "whistle", ClientSecretFile = secret, Roles = ["sre=operator"] },
        });
        using var http = Client();
        http.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");
        http.DefaultRequestHeaders.Add("X-Forwarded-Host", "whistle.example.com");
        using var began = await http.GetAsync(new Uri(server.App.Address, "login/oidc"), Cancellation);
        var cookies = began.Headers.GetValues("Set-Cookie").ToList();
        Assert.Equal(2, cookies.Count);
        Assert.All(cookies, c =>
        {
            Assert.StartsWith("__Host-.AspNetCore.", c, StringComparison.Ordinal);
            Assert.Equal(["path=/", "secure", "samesite=lax", "httponly"], Flags(c));
        });
        // The way back, as the proxy passes it on.
        using var there = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
        var next = began.Headers.Location!;
        while (next.AbsolutePath != "/login/oidc/done")
        {
            using var step = await there.GetAsync(next, Cancellation);
            next = new Uri(next, step.Headers.Location!);
        }

        var back = new Uri(server.App.Address, next.PathAndQuery);
        using var without = await SendAsync(http, back, string.Join("; ", cookies.Select(c => Pair(c)["__Host-".Length..])));
        Assert.Equal(401, (int)without.StatusCode);
        using var done = await SendAsync(http, back, string.Join("; ", cookies.Select(Pair)));
        Assert.Equal(200, (int)done.StatusCode);
        var set = done.Headers.GetValues("Set-Cookie").ToList();
        Assert.All(set, c => Assert.StartsWith("__Host-", c, StringComparison.Ordinal));
        Assert.All(set, c => Assert.Contains("; path=/; secure; ", c, StringComparison.Ordinal));
    }

    static async Task<IReadOnlyList<string>> CookiesAsync(HttpClient http, Uri address, string? cookie = null)
    {
        using var answer = await SendAsync(http, address, cookie);
        Assert.Equal(200, (int)answer.StatusCode);
        return answer.Headers.TryGetValues("Set-Cookie", out var cookies) ? [.. cookies] : [];
    }

    static async Task<int> StatusAsync(HttpClient http, Uri address, string cookie)
    {
        using var answer = await SendAsync(http, address, cookie);
        return (int)answer.StatusCode;
    }

    static async Task<HttpResponseMessage> SendAsync(HttpClient http, Uri address, string? cookie)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (cookie is not null)
            request.Headers.Add("Cookie", cookie);
        return await http.SendAsync(request, Cancellation);
    }

    static string Pair(string cookie) => cookie.Split(';')[0];

    // Without the value and when it ends.
    static IEnumerable<string> Flags(string cookie) => cookie.Split(';', StringSplitOptions.TrimEntries).Skip(1).Where(
        f => !f.StartsWith("expires=", StringComparison.Ordinal) && !f.StartsWith("max-age=", StringComparison.Ordinal));

    static HttpClient Client()
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false };
#pragma warning disable CA5359 // The certificate is of the server's own authority, and not what this is about.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        return new HttpClient(handler);
    }
}
