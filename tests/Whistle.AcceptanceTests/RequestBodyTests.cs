using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;

using Whistle.State.Memory;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Uploads that take the memory, or never end, hold up nobody else.</summary>
public sealed class RequestBodyTests
{
    const long Budget = 4 << 20;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_uploads_hold_all_that_one_may_the_kill_switch_and_agents_get_through()
    {
        await using var server = await InProcessServer.StartAsync(
            Cancellation, change: o => o with { Memory = new MemoryOptions { OtherBodies = Budget } });
        // A half is for people, and three quarters of it for one of them.
        using var slow = new TcpClient();
        await slow.ConnectAsync(IPAddress.Loopback, server.App.Address.Port, Cancellation);
        const int sent = (int)(Budget / 2 / 4 * 3);
        await slow.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes(
                $"POST /api/v1/query HTTP/1.1\r\nHost: {server.App.Address.Authority}\r\n"
                + $"Authorization: {server.Http.DefaultRequestHeaders.Authorization}\r\n"
                + $"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {sent + 100_000}\r\n\r\n"),
            Cancellation);
        await slow.GetStream().WriteAsync(new byte[sent - 100_000], Cancellation);

        // What was sent is read by the server at its own time.
        while (await server.PostAsync(200_000) is not HttpStatusCode.ServiceUnavailable)
            Cancellation.ThrowIfCancellationRequested();
        using var killed = await server.Http.PutAsJsonAsync("api/whistle/v1/kill-switch", new { on = true, reason = "x" }, Cancellation);
        Assert.Equal(HttpStatusCode.OK, killed.StatusCode);
        using var agent = new HttpClient { BaseAddress = server.App.Address };
        agent.DefaultRequestHeaders.Authorization =
            new("Bearer", await server.App.Credentials.EnrollAsync(new("t", "c"), "n", Cancellation));
        using var leased = await agent.PostAsJsonAsync("agent/v1/commands/lease", new { waitSeconds = 0 }, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, leased.StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await server.PostAsync(200_000));

        // Whoever hangs up gives back what was held.
        slow.Close();
        while (await server.PostAsync(200_000) is HttpStatusCode.ServiceUnavailable)
            Cancellation.ThrowIfCancellationRequested();
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
    public static async Task<HttpStatusCode> PostAsync(this InProcessServer server, int bytes)
    {
        using var body = new ByteArrayContent(new byte[bytes]);
        body.Headers.ContentType = new("application/x-www-form-urlencoded");
        using var answer = await server.Http.PostAsync("api/v1/query", body, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
