using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Components.Endpoints;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>No other site's page changes anything, on any route, whatever the browser sends along.</summary>
public sealed partial class OriginTests
{
    static readonly string[] Methods = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "FROB"];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Port stands for the server's own; the first three are what its own pages and programs send.
    static readonly (string Name, bool Foreign, string? Origin, string? Site)[] Senders =
    [
        ("a program", false, null, null),
        ("an own page", false, "http://127.0.0.1:PORT", "same-origin"),
        ("an own page of an older browser", false, "http://127.0.0.1:PORT", null),
        ("another site", true, "https://elsewhere.example", "cross-site"),
        ("another site of an older browser", true, "https://elsewhere.example", null),
        ("a sandboxed page", true, "null", "cross-site"),
        ("a file on the disk", true, "null", null),
        ("another port", true, "http://127.0.0.1:1", "same-site"),
        ("another port of an older browser", true, "http://127.0.0.1:1", null),
        ("another scheme", true, "https://127.0.0.1:PORT", null),
        ("another name of this machine", true, "http://localhost:PORT", "cross-site"),
        ("a name that begins alike", true, "http://127.0.0.1:PORT.elsewhere.example", null),
        ("an empty origin", true, "", null),
        ("no origin, another site", true, null, "cross-site"),
        ("no origin, another port", true, null, "same-site"),
        ("no origin, an unknown word", true, null, "new-word"),
    ];

    [Fact]
    public async Task On_every_route_a_change_is_for_the_servers_own_pages_and_for_programs()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var port = server.App.Address.Port.ToString(CultureInfo.InvariantCulture);
        var paths = server.App.Endpoints.OfType<RouteEndpoint>().Select(PathOf).Append("/no/such").Distinct().Order().ToList();
        Assert.True(paths.Count > 50, string.Join(' ', paths));
        var (refused, passed) = (0, 0);
        var log = LogCapture.Of(server);
        foreach (var path in paths)
        {
            // Each with a session of its own: some routes end it.
            using var browser = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
            using (var login = await browser.GetAsync(server.App.LoginLink(), Cancellation))
                login.EnsureSuccessStatusCode();
            foreach (var method in Methods)
            {
                foreach (var sender in Senders)
                {
                    foreach (var withCookie in new[] { false, true })
                    {
                        var (status, reason) = await AskAsync(
                            withCookie ? browser : server.Http, new Uri(server.App.Address, path), method,
                            sender.Origin?.Replace("PORT", port), sender.Site);
                        var what =
                            $"{method} {path} by {sender.Name} with {(withCookie ? "a cookie" : "the token")}: {(int)status} {reason}";
                        // What the server itself takes for a change is not asked.
                        var changes = method is not ("GET" or "HEAD" or "OPTIONS") || path.StartsWith("/_blazor", StringComparison.Ordinal);
                        Assert.True(status < HttpStatusCode.InternalServerError || status == HttpStatusCode.ServiceUnavailable, what);
                        // A cookie alone is no browser's request.
                        if (changes && (sender.Foreign || (withCookie && sender.Name == "a program" && path != "/logout")))
                        {
                            Assert.True(status == HttpStatusCode.Forbidden, what);
                            Assert.True(method == "HEAD" || reason.Contains("own page", StringComparison.Ordinal), what);
                            refused++;
                        }
                        else if (!changes || !sender.Foreign)
                        {
                            // No token opens the account page.
                            Assert.True(
                                status != HttpStatusCode.Forbidden || (path == "/logout" && withCookie)
                                    || (path == "/account" && !withCookie),
                                what);
                            passed++;
                        }
                    }
                }
            }
        }

        Assert.DoesNotContain(log.Lines, l => l.Level >= LogLevel.Error);
        TestContext.Current.TestOutputHelper!.WriteLine($"{paths.Count} paths, {Methods.Length} methods, {Senders.Length} senders with "
            + $"token and cookie: {refused} refused, {passed} let through.");
    }

    [Theory]
    [InlineData(null, null, 200)]
    [InlineData(null, "none", 200)]
    [InlineData(null, "same-origin", 200)]
    [InlineData(null, "same-site", 403)]
    [InlineData(null, "cross-site", 403)]
    [InlineData("https://elsewhere.example", null, 403)]
    [InlineData("null", "cross-site", 403)]
    public async Task A_login_link_is_not_opened_by_another_site_and_not_used_up_by_the_try(string? origin, string? site, int status)
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var browser = new HttpClient();
        var link = new Uri(server.App.LoginLink());
        Assert.Equal(status, (int)(await AskAsync(browser, link, "GET", origin, site)).Status);
        Assert.Equal(status == 200 ? 401 : 200, (int)(await AskAsync(browser, link, "GET", null, "none")).Status);
        // Who is led to the login by a link in a mail sees how to log in.
        Assert.Equal(401, (int)(await AskAsync(browser, new Uri(server.App.Address, "/login"), "GET", null, "cross-site")).Status);
    }

    [Theory]
    [InlineData("", 400)]
    [InlineData("elsewhere.example", 400)]
    [InlineData("127.0.0.1.elsewhere.example", 400)]
    [InlineData("localhost@elsewhere.example", 400)]
    [InlineData("localhost/", 400)]
    [InlineData("localhost?", 400)]
    [InlineData("localhost:99999", 400)]
    [InlineData("localhost:-1", 400)]
    [InlineData("localhost:abc", 400)]
    [InlineData(":9480", 400)]
    [InlineData("[::1", 400)]
    [InlineData("::1", 400)]
    [InlineData("\u00a0", 400)]
    [InlineData("localhost", 200)]
    [InlineData("LOCALHOST:1", 200)]
    [InlineData("127.0.0.1:65535", 200)]
    [InlineData("[::1]:9480", 200)]
    public async Task Every_page_and_program_route_answers_an_unknown_Host_with_400(string host, int status)
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var token = (await File.ReadAllTextAsync(Path.Combine(server.Folder, "token"), Cancellation)).Trim();
        foreach (var path in new[]
        {
            "/", "/incidents", "/tickets", "/login", "/api/v1/labels", "/api/whistle/v1/incidents", "/-/ready", "/metrics",
        })
        {
            var answer = await RawAsync(
                server.App.Address.Port,
                $"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
            Assert.True(
                answer == status || (path == "/login" && status == 200 && answer == 401), $"{path} with Host: {host} answers {answer}");
        }

        Assert.Equal(400, await RawAsync(server.App.Address.Port, $"GET /incidents HTTP/1.1\r\nConnection: close\r\n\r\n"));
        Assert.Equal(400, await RawAsync(
            server.App.Address.Port, $"GET /incidents HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
    }

    [Fact]
    public async Task On_IPv6_the_own_origin_is_known_and_another_is_not()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { Listen = [new("http://[::1]:0")] });
        var port = server.App.Address.Port;
        Assert.Equal(200, (int)(await AskAsync(
            server.Http, new Uri(server.App.Address, "/-/reload"), "POST", $"http://[::1]:{port}", "same-origin")).Status);
        Assert.Equal(
            403,
            (int)(await AskAsync(server.Http, new Uri(server.App.Address, "/-/reload"), "POST", $"http://127.0.0.1:{port}", null)).Status);
        Assert.Equal(
            403, (int)(await AskAsync(server.Http, new Uri(server.App.Address, "/-/reload"), "POST", "http://[::1]:1", null)).Status);
    }

    [Fact]
    public async Task Two_origins_are_none_of_the_servers_own()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var token = (await File.ReadAllTextAsync(Path.Combine(server.Folder, "token"), Cancellation)).Trim();
        var own = server.App.Address.GetLeftPart(UriPartial.Authority);
        Assert.Equal(403, await RawAsync(server.App.Address.Port, $"POST /-/reload HTTP/1.1\r\nHost: {server.App.Address.Authority}\r\n"
            + $"Origin: {own}\r\nOrigin: https://elsewhere.example\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n"
            + "Connection: close\r\n\r\n"));
    }

    [Fact]
    public async Task A_page_that_is_asked_with_anything_but_GET_answers_405_and_nothing_is_wrong_with_the_server()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var log = LogCapture.Of(server);
        var pages = server.App.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<ComponentTypeMetadata>() is not null).Select(PathOf).Distinct().ToList();
        Assert.True(pages.Count > 10, string.Join(' ', pages));
        using var browser = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
        using (var login = await browser.GetAsync(server.App.LoginLink(), Cancellation))
            login.EnsureSuccessStatusCode();
        var own = server.App.Address.GetLeftPart(UriPartial.Authority);
        foreach (var page in pages)
        {
            foreach (var method in new[] { "POST", "PUT", "DELETE", "PATCH" })
            {
                var address = new Uri(server.App.Address, page);
                Assert.Equal(
                    (page, method, 405, 405, 403),
                    (page, method, (int)(await AskAsync(browser, address, method, own, "same-origin")).Status,
                        (int)(await AskAsync(server.Http, address, method, null, null)).Status,
                        (int)(await AskAsync(browser, address, method, "https://elsewhere.example", "cross-site")).Status));
            }
        }

        Assert.DoesNotContain(log.Lines, l => l.Level >= LogLevel.Error);
    }

    static async Task<(HttpStatusCode Status, string Body)> AskAsync(
        HttpClient client, Uri address, string method, string? origin, string? site)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), address);
        if (method is "POST" or "PUT" or "PATCH")
            request.Content = new StringContent("{}", null, "application/json");
        if (origin is not null)
            request.Headers.TryAddWithoutValidation("Origin", origin);
        if (site is not null)
            request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", site);
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        return (
            answer.StatusCode, answer.StatusCode == HttpStatusCode.Forbidden ? await answer.Content.ReadAsStringAsync(Cancellation) : "");
    }

    static async Task<int> RawAsync(int port, string request)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(IPAddress.Loopback, port, Cancellation);
        await using var stream = connection.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request), Cancellation);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        var status = await reader.ReadLineAsync(Cancellation);
        return int.Parse(status!.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    static string PathOf(RouteEndpoint endpoint) => "/" + Parameter().Replace(endpoint.RoutePattern.RawText!, "1").TrimStart('/');

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
