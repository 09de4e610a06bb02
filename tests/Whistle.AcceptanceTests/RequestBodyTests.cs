using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.State.Memory;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Uploads that take the memory, or never end, hold up nobody else.</summary>
public sealed class RequestBodyTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_uploads_hold_all_that_one_may_the_kill_switch_and_agents_get_through()
    {
        await using var server = await InProcessServer.StartAsync(
            Cancellation, change: o => o with { Memory = new MemoryOptions { OtherBodies = Posts.Budget } });
        // The server reads it at its own time, and one that meets another upload may be refused itself: then it is sent again.
        var slow = await server.UploadAsync();
        while (await server.PostAsync(200_000) is not HttpStatusCode.ServiceUnavailable)
        {
            slow.Dispose();
            slow = await server.UploadAsync();
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
        }

        // Another token of theirs has no share of its own, and somebody else has.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await server.PostAsync(200_000, await TokenAsync(server, PersonIdentity.Local)));
        var ann = await (await Account.AddAsync(server, "ann")).PersonAsync();
        Assert.NotEqual(HttpStatusCode.ServiceUnavailable, await server.PostAsync(200_000, await TokenAsync(server, ann.Identity)));

        using var killed = await server.Http.PutAsJsonAsync("api/whistle/v1/kill-switch", new { on = true, reason = "x" }, Cancellation);
        Assert.Equal(HttpStatusCode.OK, killed.StatusCode);
        using var agent = new HttpClient { BaseAddress = server.App.Address };
        agent.DefaultRequestHeaders.Authorization =
            new("Bearer", await server.App.Credentials.EnrollAsync(new("t", "c"), "n", Cancellation));
        using var leased = await agent.PostAsJsonAsync("agent/v1/commands/lease", new { waitSeconds = 0 }, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, leased.StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await server.PostAsync(200_000));

        // Whoever hangs up gives back what was held.
        slow.Dispose();
        while (await server.PostAsync(200_000) is HttpStatusCode.ServiceUnavailable)
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
    }

    static async Task<string> TokenAsync(InProcessServer server, string owner)
    {
        var actor = await server.App.Services.GetRequiredService<PeopleDirectory>().ActorOfAsync(owner, Cancellation);
        var (token, _, _) = await server.App.Services.GetRequiredService<ApiTokens>().MakeAsync(
            actor!, "program", [new(Role.Viewer, AccessScope.All)], ApiTokens.Usual, Cancellation);
        return token!;
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_whether_its_length_is_declared_or_not()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await server.PostAsync((4 << 20) + 1));
        using var undeclared = new HttpRequestMessage(HttpMethod.Post, "api/v1/query")
        { Content = new StreamContent(new MemoryStream(new byte[(4 << 20) + 1])), Headers = { TransferEncodingChunked = true } };
        using var answer = await server.Http.SendAsync(undeclared, Cancellation);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Contains("larger than 4096 KiB", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }
}

file static class Posts
{
    public const long Budget = 4 << 20;

    /// <summary>A body that does not end. A half of the budget is for people, and three quarters of it for one of them.</summary>
    public static async Task<TcpClient> UploadAsync(this InProcessServer server)
    {
        const int most = (int)(Budget / 2 / 4 * 3);
        var upload = new TcpClient();
        await upload.ConnectAsync(IPAddress.Loopback, server.App.Address.Port, TestContext.Current.CancellationToken);
        await upload.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes(
                $"POST /api/v1/query HTTP/1.1\r\nHost: {server.App.Address.Authority}\r\n"
                + $"Authorization: {server.Http.DefaultRequestHeaders.Authorization}\r\n"
                + $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {most + 100_000}\r\n\r\n"),
            TestContext.Current.CancellationToken);
        await upload.GetStream().WriteAsync(new byte[most - 100_000], TestContext.Current.CancellationToken);
        return upload;
    }

    /// <param name="token">The server's own if not given.</param>
    public static async Task<HttpStatusCode> PostAsync(this InProcessServer server, int bytes, string? token = null)
    {
        using var body = new ByteArrayContent(new byte[bytes]);
        body.Headers.ContentType = new("application/x-www-form-urlencoded");
        using var request = new HttpRequestMessage(HttpMethod.Post, "api/v1/query") { Content = body };
        request.Headers.Authorization = token is null ? null : new("Bearer", token);
        using var answer = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
