using System.Net;
using System.Net.Http.Headers;

using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Sending;
using Whistle.Agent.Settings;
using Whistle.Fixtures;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Agent;

/// <summary>A server in the test's hand: it answers what it is told and keeps what it was sent.</summary>
sealed class ScriptedServer(Func<HttpRequestMessage, HttpResponseMessage> answer) : HttpMessageHandler
{
    public Func<HttpRequestMessage, HttpResponseMessage> Answer { get; set; } = answer;

    public List<byte[]> Bodies { get; } = [];

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Bodies.Add(await request.Content!.ReadAsByteArrayAsync(cancellationToken));
        return Answer(request);
    }

    public static HttpResponseMessage Status(int status, string body = "because") =>
        new((HttpStatusCode)status) { Content = new StringContent(body) };
}

public sealed class SendingTests : IDisposable
{
    readonly HostFixture _disk = new();
    readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));

    public void Dispose() => _disk.Dispose();

    [Theory]
    [InlineData(200, null, "accepted")]
    [InlineData(204, null, "accepted")]
    [InlineData(302, null, "retryable")]
    [InlineData(400, null, "final")]
    [InlineData(401, null, "retryable")]
    [InlineData(403, null, "retryable")]
    [InlineData(404, null, "final")]
    [InlineData(408, null, "retryable")]
    [InlineData(413, null, "final")]
    [InlineData(415, null, "final")]
    [InlineData(429, null, "final")]
    [InlineData(429, "7", "retryable 7")]
    [InlineData(429, "Fri, 15 Jan 2027 08:01:00 GMT", "retryable 60")]
    [InlineData(500, null, "retryable")]
    [InlineData(502, null, "retryable")]
    [InlineData(503, "20", "retryable 20")]
    [InlineData(503, "Thu, 14 Jan 2027 08:00:00 GMT", "retryable 0")]
    public async Task Each_answer_has_its_outcome(int status, string? retryAfter, string outcome)
    {
        var sender = Sender(_ =>
        {
            var response = ScriptedServer.Status(status, "line one\nline two");
            response.Headers.TryAddWithoutValidation("Retry-After", retryAfter);
            return response;
        });

        var result = await sender.SendAsync(new byte[] { 1 }, CancellationToken.None);

        Assert.Equal(outcome, result switch
        {
            SendOutcome.Accepted => "accepted",
            SendOutcome.Final final
                when final.Reason.EndsWith($"answered {status}: line one line two", StringComparison.Ordinal) => "final",
            SendOutcome.Retryable { After: null } => "retryable",
            SendOutcome.Retryable retry => $"retryable {retry.After!.Value.TotalSeconds}",
            _ => result.ToString(),
        });
    }

    [Theory]
    [InlineData("0.2", "0", "0.9", 0)]
    [InlineData("-0.5", "0", "0.1", 0)]
    [InlineData("61", "0", "61.2", 60)]
    [InlineData("-31", "0", "-30", -30)]
    [InlineData("-0.4", "0", "-0.1", -0.1)]
    public void What_an_answer_says_of_the_clock_is_only_what_it_must_be_off(string asked, string told, string heard, double seconds)
    {
        DateTimeOffset At(string second) => DateTimeOffset.UnixEpoch.AddSeconds(double.Parse(second));

        Assert.Equal(seconds, ReportSender.SkewOf(At(asked), At(told), At(heard)).TotalSeconds, 6);
    }

    [Fact]
    public async Task An_answer_that_takes_long_says_nothing_of_the_clock()
    {
        using var sender = Sender(_ =>
        {
            _time.Advance(TimeSpan.FromSeconds(20));
            var answer = ScriptedServer.Status(204);
            answer.Headers.Date = _time.GetUtcNow();
            return answer;
        });
        await sender.SendAsync(new byte[] { 1 }, CancellationToken.None);

        Assert.Equal(TimeSpan.Zero, sender.ClockSkew);
    }

    [Fact]
    public async Task The_request_is_remote_write_2_with_the_token_of_the_file_as_it_is_now()
    {
        var requests = new List<HttpRequestMessage>();
        var file = Path.Join(_disk.Folder, "token");
        var (old, current) = (AccessToken.New(AccessToken.OfSender), AccessToken.New(AccessToken.OfSender));
        PrivateText.Write(file, old + "\n");
        var server = new ScriptedServer(request =>
        {
            requests.Add(request);
            return ScriptedServer.Status(204);
        });
        using var sender = new ReportSender(
            Options(server) with { Token = null, TokenFile = file, Server = new Uri("http://localhost:1/base/") });
        await sender.SendAsync(new byte[] { 1, 2, 3 }, CancellationToken.None);
        PrivateText.Write(file, current);
        await sender.SendAsync(new byte[] { 4 }, CancellationToken.None);

        var request = requests[0];
        Assert.Equal("http://localhost:1/base/api/v1/write", request.RequestUri!.ToString());
        Assert.Equal(HttpMethod.Post, request.Method);
        // As it goes over the wire: with a space before the parameter Prometheus 3.5 would take the message for 1.0 and lose it.
        Assert.Equal(
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            request.Content!.Headers.NonValidated["Content-Type"].ToString());
        Assert.Equal("snappy", Assert.Single(request.Content.Headers.ContentEncoding));
        Assert.Equal("2.0.0", Assert.Single(request.Headers.GetValues("X-Prometheus-Remote-Write-Version")));
        Assert.StartsWith("whistle-agent/", request.Headers.UserAgent.ToString(), StringComparison.Ordinal);
        Assert.Equal([new("Bearer", old), new AuthenticationHeaderValue("Bearer", current)], requests.Select(r => r.Headers.Authorization));
        Assert.Equal([[1, 2, 3], [4]], server.Bodies);
    }

    [Fact]
    public async Task A_refused_token_names_the_file_to_mend_and_a_missing_file_too()
    {
        var file = Path.Join(_disk.Folder, "token");
        using var sender = new ReportSender(Options(new ScriptedServer(_ => ScriptedServer.Status(401))) with { TokenFile = file });

        var missing = Assert.IsType<SendOutcome.Retryable>(await sender.SendAsync(new byte[] { 1 }, CancellationToken.None));
        PrivateText.Write(file, AccessToken.New(AccessToken.OfSender));
        var refused = Assert.IsType<SendOutcome.Retryable>(await sender.SendAsync(new byte[] { 1 }, CancellationToken.None));

        Assert.Contains(file, missing.Reason, StringComparison.Ordinal);
        Assert.Contains(file, refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_network_that_fails_and_a_server_that_is_silent_are_retryable()
    {
        using var broken = Sender(_ => throw new HttpRequestException("no route"));
        Assert.IsType<SendOutcome.Retryable>(await broken.SendAsync(new byte[] { 1 }, CancellationToken.None));

        using var silent = new ReportSender(Options(new SilentServer()));
        var sending = silent.SendAsync(new byte[] { 1 }, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(31));
        Assert.IsType<SendOutcome.Retryable>(await sending);
    }

    [Fact]
    public void Waits_double_up_to_a_cap_with_jitter_and_keep_what_the_server_asks()
    {
        var backoff = new Backoff(seed: 7, TimeSpan.FromSeconds(30));
        double[] caps = [1, 2, 4, 8, 16, 30, 30];
        Assert.All(caps, cap => Assert.InRange(backoff.Next(null).TotalSeconds, cap / 2, cap));
        Assert.InRange(backoff.Next(TimeSpan.FromSeconds(100)).TotalSeconds, 100, 110);
        backoff.Reset();
        Assert.InRange(backoff.Next(TimeSpan.Zero).TotalSeconds, 0.5, 1);
    }

    [Theory]
    [InlineData("http://10.0.0.1", 15, "--insecure")]
    [InlineData("ftp://localhost", 15, "https://")]
    [InlineData("https://w.example.com", 0.5, "--interval")]
    [InlineData("https://w.example.com", 60, "--interval")]
    [InlineData("http://127.0.0.1:9480", 1, null)]
    [InlineData("https://w.example.com", 15, null)]
    public void Options_that_will_not_do_are_refused_with_the_mend(string server, double interval, string? mend)
    {
        var errors = (Options(new SilentServer()) with { Server = new Uri(server), Interval = TimeSpan.FromSeconds(interval) }).Errors();
        if (mend is null)
            Assert.Empty(errors);
        else
            Assert.Contains(mend, Assert.Single(errors), StringComparison.Ordinal);
    }

    ReportSender Sender(Func<HttpRequestMessage, HttpResponseMessage> answer) => new(Options(new ScriptedServer(answer)));

    AgentOptions Options(HttpMessageHandler server) => new()
    {
        Server = new Uri("http://localhost:9480"),
        Token = "t",
        Time = _time,
        Handler = server,
        Buffer = new BufferOptions { Folder = _disk.Folder },
    };

    sealed class SilentServer : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            throw new InvalidOperationException("never");
        }
    }
}
