using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

using Whistle.Detectors.Http;
using Whistle.Http;
using Whistle.State;
using Whistle.Web;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What every answer tells a browser, whoever asks, however, and whichever part of the server answers.</summary>
public sealed partial class AnswerHeaderTests
{
    static readonly string[] Methods = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"];

    static readonly string[] Referrers = ["no-referrer", "same-origin", "strict-origin"];

    static readonly string[] Assets = ["whistle.css", "whistle.js", "whistle.svg"];

    // In a header of every request, as a token would be.
    const string Sent = "what was sent";

    // Of answers that there must have been.
    static readonly int[] Kinds = [200, 302, 400, 401, 403, 404, 405];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_answer_is_kept_nowhere_framed_nowhere_and_no_more_than_it_says_it_is()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        List<string> wrong = [];
        Dictionary<int, int> answers = [];
        var paths = server.App.Endpoints.OfType<RouteEndpoint>()
            .Select(e => "/" + Parameter().Replace(e.RoutePattern.RawText!, "1").TrimStart('/'))
            .Concat(["/no/such", "/api/no/such", "/api/whistle/v1/no/such", "/incidents/none", "/login?token=none",
                .. Assets.Select(Dashboard.AssetAddress)]).Distinct().ToList();
        Assert.True(paths.Count > 50, string.Join(' ', paths));
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
        foreach (var path in paths)
        {
            // Each with a session of its own: some routes end it.
            using var person = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false });
            using (var login = await person.GetAsync(server.App.LoginLink(), Cancellation))
                wrong.AddRange(Faults("GET /login by a link", login, await login.Content.ReadAsByteArrayAsync(Cancellation)));
            foreach (var method in Methods)
            {
                foreach (var (who, http, origin) in new[]
                {
                    ("nobody", nobody, null), ("a program", server.Http, null),
                    ("a page elsewhere", server.Http, "https://elsewhere.example"),
                    ("a page of its own", person, server.App.Address.GetLeftPart(UriPartial.Authority)),
                })
                {
                    using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(server.App.Address, path));
                    if (method is "POST" or "PUT" or "PATCH")
                        request.Content = new StringContent("{}", null, "application/json");
                    if (origin is not null)
                        request.Headers.Add("Origin", origin);
                    request.Headers.Add("X-Sent", Sent);
                    using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
                    answers[(int)answer.StatusCode] = answers.GetValueOrDefault((int)answer.StatusCode) + 1;
                    wrong.AddRange(Faults(
                        $"{method} {path} by {who}", answer, await answer.Content.ReadAsByteArrayAsync(Cancellation)));
                }
            }
        }

        var seen = string.Join(", ", answers.OrderBy(a => a.Key).Select(a => $"{a.Value} of {a.Key}"));
        TestContext.Current.TestOutputHelper!.WriteLine(seen);
        Assert.True(Kinds.All(answers.ContainsKey), seen);
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Fact]
    public async Task What_fails_unforeseen_is_said_to_have_failed_and_not_why()
    {
        using var log = new LogCapture();
        await using var services = new ServiceCollection().AddLogging(l => l.AddProvider(log)).BuildServiceProvider();
        foreach (var (fault, status, said, logged) in new[]
        {
            (new InvalidOperationException("SELECT secret FROM state"), 500, "The server failed at this. Its log says why.\n", 1),
            ((Exception)new BadHttpRequestException("The body ends too early.", 400), 400, "The body ends too early.\n", 1),
        })
        {
            using var body = new MemoryStream();
            var context = new DefaultHttpContext
            {
                RequestServices = services,
                Request = { Method = "GET", Path = "/some/where" },
                Response = { Body = body },
            };
            context.Response.Headers["X-Half"] = "of an answer";
            await LastAnswer.GiveAsync(context, _ => throw fault);

            Assert.Equal((status, said), (context.Response.StatusCode, Encoding.UTF8.GetString(body.ToArray())));
            Assert.Equal("text/plain; charset=utf-8", context.Response.ContentType);
            Assert.False(context.Response.Headers.ContainsKey("X-Half"));
            // What the caller sent wrongly is no fault of the server's.
            Assert.Equal(logged, log.Lines.Count);
        }

        var (level, line) = Assert.Single(log.Lines);
        Assert.Equal(LogLevel.Error, level);
        Assert.Contains("GET /some/where failed", line, StringComparison.Ordinal);
        Assert.Contains("InvalidOperationException: SELECT secret FROM state", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_fault_of_the_state_is_told_by_a_reference_under_which_the_log_has_it_once_a_minute()
    {
        using var log = new LogCapture();
        var time = new FakeTimeProvider();
        await using var services = new ServiceCollection().AddLogging(l => l.AddProvider(log)).AddSingleton<TimeProvider>(time)
            .AddSingleton<FaultReferences>().BuildServiceProvider();
        const string damaged = "/var/lib/whistle/state.sqlite is damaged.";
        var first = await ToldAsync(new StateException(damaged));
        Assert.Matches("^The state cannot be used for now. Try again. The server's log says why, under fault-[0-9a-f]{8}.$", first);
        Assert.Equal(first, await ToldAsync(new StateException(damaged)));
        Assert.Contains($"{Reference().Match(first)}: GET /some/where", Assert.Single(log.Lines).Text, StringComparison.Ordinal);
        Assert.Contains(damaged, log.Lines[0].Text, StringComparison.Ordinal);

        var row = await ToldAsync(new DamagedRowException("The row 7 of people is damaged."));
        Assert.DoesNotContain("people", row, StringComparison.Ordinal);
        Assert.NotEqual(Reference().Match(first).Value, Reference().Match(row).Value);
        Assert.Equal(2, log.Lines.Count);
        time.Advance(TimeSpan.FromMinutes(1));
        await ToldAsync(new StateException(damaged));
        Assert.Equal(3, log.Lines.Count);

        async Task<string> ToldAsync(Exception fault)
        {
            using var body = new MemoryStream();
            var context = new DefaultHttpContext
            {
                RequestServices = services,
                Request = { Method = "GET", Path = "/some/where" },
                Response = { Body = body },
            };
            await ApiRefusals.AnswerAsync(context, _ => throw fault);
            Assert.Equal(503, context.Response.StatusCode);
            using var error = JsonDocument.Parse(body.ToArray());
            return error.RootElement.GetProperty("error").GetString()!;
        }
    }

    static IEnumerable<string> Faults(string what, HttpResponseMessage answer, byte[] body)
    {
        what += $": {(int)answer.StatusCode}";
        var isAsset = Assets.Any(a => what.Contains(Dashboard.AssetAddress(a), StringComparison.Ordinal))
            && answer.StatusCode is HttpStatusCode.OK;
        if (One("X-Content-Type-Options") != "nosniff")
            yield return $"{what} may be taken for something else: {One("X-Content-Type-Options")}";
        var policy = One("Content-Security-Policy").Split("; ");
        if (!policy.Contains("default-src 'none'") || !policy.Contains("frame-ancestors 'none'")
            || policy.Any(p => p.StartsWith("script-src", StringComparison.Ordinal) && p != "script-src 'self'"))
            yield return $"{what} has the policy {string.Join("; ", policy)}";
        if (!Referrers.Contains(One("Referrer-Policy")))
            yield return $"{what} tells others its address: {One("Referrer-Policy")}";
        if (!isAsset && answer.Headers.CacheControl?.NoStore is not true)
            yield return $"{what} may be kept: {answer.Headers.CacheControl}";
        if (answer.Headers.Any(h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)))
            yield return $"{what} lets other sites read it";
        if (answer.Content.Headers.ContentType is var type && body.Length > 0
            && (type is null || (type.MediaType!.StartsWith("text/", StringComparison.Ordinal) && type.CharSet is not "utf-8")))
            yield return $"{what} does not say what it is: {type}";
        if (Encoding.UTF8.GetString(body).Contains(Sent, StringComparison.Ordinal))
            yield return $"{what} sends back what was sent";
        if ((int)answer.StatusCode >= 500)
            yield return $"{what}: {Encoding.UTF8.GetString(body)}";

        string One(string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(" AND ", values) : "";
    }

    [GeneratedRegex("fault-[0-9a-f]+")]
    private static partial Regex Reference();

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
