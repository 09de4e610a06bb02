using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What a real server prints while people and programs show it their secrets.</summary>
public sealed partial class ServerLogTests
{
    const string Password = "correct horse battery staple";

    static readonly string[] Paths = ["api/whistle/v1/incidents", "api/v1/write", "agent/v1/commands/lease", "metrics", "api/no/such"];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_name_of_several_lines_is_one_line_of_the_log()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-log").FullName;
        await using var server = new ServerProcess(folder, "--no-agent");
        var backups = Directory.CreateTempSubdirectory("whistle-backup").FullName;
        try
        {
            await server.StartAsync(Cancellation);
            const string faked = "2026-01-01T00:00:00Z info: nobody logged in";
            using var answer = await server.Http.PostAsJsonAsync(
                "api/whistle/v1/backups", new { folder = Path.Combine(backups, $"a\n{faked}") }, Cancellation);
            Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
            // It is printed a moment after it is done.
            while (!server.Output.Any(l => l.Contains("The backup in", StringComparison.Ordinal)))
                (await server.Http.GetAsync(answer.Headers.Location, Cancellation)).Dispose();
            Assert.Contains(server.Output, l => Entry().IsMatch(l) && l.Contains($"/a {faked} is whole", StringComparison.Ordinal));
            Assert.DoesNotContain(server.Output, l => l.StartsWith(faked, StringComparison.Ordinal));
        }
        finally
        {
            await server.KillAsync();
            Directory.Delete(folder, recursive: true);
            Directory.Delete(backups, recursive: true);
        }
    }

    [Fact]
    public async Task No_password_token_link_or_cookie_is_in_the_log()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-log").FullName;
        await using var server = new ServerProcess(folder, "--no-agent");
        try
        {
            await server.StartAsync(Cancellation);
            List<string> secrets = [server.Http.DefaultRequestHeaders.Authorization!.Parameter!, Password, "typed into the wrong field"];
            var invitation = await MakeAsync("invitations", new { name = "ann", grants = new[] { new { role = "admin" } } }, "url");
            var link = new Uri(invitation);
            secrets.Add(link.Query["?token=".Length..]);
            using var browser = new Browser();
            await browser.OpenAsync(link, Cancellation);
            var (status, text, _) = await browser.SendAsync(
                new(server.Address, "invitation"), Cancellation, ("token", secrets[^1]), ("password", Password), ("again", Password));
            Assert.True(status == 200, text);
            secrets.AddRange(browser.Cookies.GetCookies(server.Address).Select(c => c.Value));
            await browser.OpenAsync(link, Cancellation);
            await browser.SendAsync(
                new(server.Address, "login"), Cancellation, ("name", "ann"), ("password", "typed into the wrong field"));
            var logIn = await MakeAsync("login-links", null, "url");
            secrets.Add(new Uri(logIn).Query["?token=".Length..]);
            foreach (var _ in new[] { 1, 2 })
                await browser.OpenAsync(new(logIn), Cancellation);
            secrets.Add(await MakeAsync("tokens", new { name = "t", grants = new[] { new { role = "viewer" } } }, "token"));
            secrets.Add(await MakeAsync("agents", new { tenant = "t", cluster = "c", node = "n" }, "token"));
            secrets.Add(await MakeAsync("join-tokens", new { tenant = "t", cluster = "c" }, "token"));
            foreach (var token in secrets.Where(s => s.StartsWith("ws", StringComparison.Ordinal)).Append(AccessToken.New("wsp_")).ToList())
            {
                secrets.Add(token);
                foreach (var path in Paths)
                {
                    using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Address, path))
                    {
                        Headers = { Authorization = new AuthenticationHeaderValue("Bearer", token) },
                        Content = new StringContent("no body of anything"),
                    };
                    using var answer = await server.Http.SendAsync(request, Cancellation);
                }
            }

            // What was printed when it answered: the link of its start is there to be used, and in no line of the log.
            var log = server.Output.Where(l => Entry().IsMatch(l)).ToList();
            Assert.True(log.Count > 3, string.Join('\n', server.Output));
            Assert.All(secrets, s => Assert.DoesNotContain(server.Output, l => l.Contains(s, StringComparison.Ordinal)));
            Assert.All(log, l => Assert.DoesNotMatch("ws[a-z]_[A-Za-z0-9_-]{20}|token=", l));
        }
        finally
        {
            await server.KillAsync();
            Directory.Delete(folder, recursive: true);
        }

        async Task<string> MakeAsync(string what, object? body, string member)
        {
            using var answer = await server.Http.PostAsJsonAsync($"api/whistle/v1/{what}", body, Cancellation);
            var text = await answer.Content.ReadAsStringAsync(Cancellation);
            Assert.True(answer.IsSuccessStatusCode, text);
            return Find(JsonDocument.Parse(text).RootElement, member) ?? throw new InvalidOperationException($"{what}: {text}");
        }
    }

    static string? Find(JsonElement answer, string member) => answer.EnumerateObject()
        .Where(p => p.NameEquals(member)).Select(p => p.Value.GetString()).FirstOrDefault();

    [GeneratedRegex("^[0-9TZ:-]{20} [a-z]{4}: ")]
    private static partial Regex Entry();
}
