using System.Net;
using System.Text;

using Snappier;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Whatever comes in: a clear answer, a count by reason, and a service that goes on.</summary>
public sealed class BadInputTests
{
    static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Kinds => [.. Bodies.Keys];

    static readonly Dictionary<string, Func<(byte[] Body, HttpStatusCode Status, string Reason, string Says)>> Bodies = new()
    {
        ["truncated snappy"] = () => (Good()[..^10], HttpStatusCode.BadRequest, "snappy", "nappy"),
        ["no snappy"] = () => (Encoding.UTF8.GetBytes("up 1\n"), HttpStatusCode.BadRequest, "snappy", "nappy"),
        ["empty body"] = () => ([], HttpStatusCode.BadRequest, "snappy", "nappy"),
        ["bad protobuf"] = () => (Snappy.CompressToArray([0x0A, 0xFF, 0x01, 0x00]), HttpStatusCode.BadRequest, "protobuf", "malformed"),
        ["protobuf of another kind"] =
            () => (Snappy.CompressToArray(Enumerable.Repeat((byte)0x0B, 50).ToArray()), HttpStatusCode.BadRequest, "protobuf", "malformed"),
        ["a body of 100 MB"] = () => (new byte[100 << 20], HttpStatusCode.RequestEntityTooLarge, "too_large", "fewer samples"),
        ["too many samples"] =
            () => (RemoteWriteClient.Body([ManySamples()]), HttpStatusCode.RequestEntityTooLarge, "too_large", "fewer samples"),
        ["a snappy bomb"] = () => (Snappy.CompressToArray(new byte[200 << 20]), HttpStatusCode.RequestEntityTooLarge, "too_large", "bytes"),
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_request_that_can_never_succeed_is_refused_with_the_reason(string kind)
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync();
        var (body, status, reason, says) = Bodies[kind]();

        using var answer = await sender.SendAsync(body, Cancellation);

        Assert.Equal(status, answer.StatusCode);
        Assert.Contains(says, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.OrdinalIgnoreCase);
        Assert.Equal(1, await server.MetricAsync($"whistle_ingest_rejected_requests_total{{reason=\"{reason}\"}}", Cancellation));
        await AssertGoesOnAsync(server, sender);
    }

    [Fact]
    public async Task Bad_series_and_samples_are_refused_by_themselves_and_the_good_ones_beside_them_are_stored()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync();
        var manyLabels = Labels.From(
            Enumerable.Range(0, 10_000).Select(i => new Label($"l{i}", "v")).Append(new Label(Labels.MetricName, "m")));
        (Labels Labels, DateTimeOffset At, string Reason, string Says)[] bad =
        [
            (manyLabels, Now, "label_limits", "labels"),
            (Labels.OfMetric("future"), Now.AddDays(400), "too_new", "in the future"),
            (Labels.OfMetric("past"), Now.AddDays(-400), "too_old", "h old"),
            (Labels.Of(("job", "x")), Now, "labels", "name"),
        ];

        foreach (var (labels, at, reason, says) in bad)
        {
            using var answer = await sender.SendAsync([One(Labels.OfMetric($"good_beside_{reason}"), Now), One(labels, at)], Cancellation);

            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.Contains(says, await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
            Assert.Equal("1", answer.Headers.GetValues("X-Prometheus-Remote-Write-Samples-Written").Single());
            Assert.Equal(1, await server.MetricAsync($"whistle_ingest_dropped_samples_total{{reason=\"{reason}\"}}", Cancellation));
            Assert.Single(Stored(server, $"good_beside_{reason}"));
        }

        await AssertGoesOnAsync(server, sender);
    }

    [Fact]
    public async Task A_label_that_is_not_UTF8_is_refused()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync();
        var body = Snappy.DecompressToArray(RemoteWriteClient.Body([One(Labels.OfMetric("m", ("bad", "QQQQ")), Now)]));
        body.AsSpan(body.AsSpan().IndexOf("QQQQ"u8), 4).Fill(0xFF);

        using var answer = await sender.SendAsync(Snappy.CompressToArray(body), Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("UTF-8", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        await AssertGoesOnAsync(server, sender);
    }

    [Fact]
    public async Task A_repeated_sample_is_taken_once_and_a_late_one_finds_its_place()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync();
        foreach (var minutes in new[] { 0, -5, 0, -5, -3 })
        {
            using var answer = await sender.SendAsync([One(Labels.OfMetric("m"), Now.AddMinutes(minutes), minutes)], Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        Assert.Equal([-5.0, -3, 0], Stored(server, "m").Single().Values);
        Assert.Equal(2, await server.MetricAsync("whistle_ingest_dropped_samples_total{reason=\"duplicate\"}", Cancellation));
        Assert.Equal(2, await server.MetricAsync("whistle_ingest_late_samples_total", Cancellation));
    }

    [Fact]
    public async Task Nothing_is_open_without_a_valid_token()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var wrong = new RemoteWriteClient(server.App.Address, "wst_wrong");
        using var refused = await wrong.SendAsync([One(Labels.OfMetric("m"), Now)], Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Contains("whistle agents add", await refused.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        Assert.Equal(1, await server.MetricAsync("whistle_ingest_rejected_requests_total{reason=\"unauthorized\"}", Cancellation));

        using var anonymous = new HttpClient { BaseAddress = server.App.Address };
        foreach (var path in new[] { "metrics", "api/v1/query?query=up", "api/v1/alerts", "api/v1/rules", "-/reload", "nowhere" })
        {
            using var answer = await anonymous.GetAsync(path, Cancellation);
            Assert.True(answer.StatusCode is HttpStatusCode.Unauthorized, $"{path} answered {answer.StatusCode}");
        }

        // An agent's token opens the gateway and nothing else.
        using var asAgent = new HttpRequestMessage(HttpMethod.Get, "api/v1/query?query=up");
        asAgent.Headers.Authorization = new("Bearer", await server.App.Credentials.EnrollAsync(new("default", "c1"), "n2", Cancellation));
        using var agentAnswer = await anonymous.SendAsync(asAgent, Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, agentAnswer.StatusCode);
    }

    [Fact]
    public async Task A_revoked_token_is_refused()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync(node: "n7");
        await server.App.Credentials.RevokeAsync(new("default", "c1"), "n7", Cancellation);

        using var answer = await sender.SendAsync([One(Labels.OfMetric("m"), Now)], Cancellation);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task A_tenant_over_its_limits_is_told_so_and_others_go_on()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with
        {
            MaxSeriesPerTenant = 2,
            Gateway = o.Gateway with { MaxSamplesPerSecond = 1 },
        });
        using var sender = await server.SenderAsync("greedy");
        using var over = await sender.SendAsync(
            [.. Enumerable.Range(0, 20).Select(i => One(Labels.OfMetric($"m{i % 3}"), Now.AddMilliseconds(i)))], Cancellation);
        Assert.Equal(HttpStatusCode.TooManyRequests, over.StatusCode);
        Assert.Equal("14", over.Headers.GetValues("X-Prometheus-Remote-Write-Samples-Written").Single());
        Assert.Null(over.Headers.RetryAfter);

        using var fast = await sender.SendAsync([One(Labels.OfMetric("m0"), Now.AddSeconds(1))], Cancellation);
        Assert.Equal(HttpStatusCode.TooManyRequests, fast.StatusCode);
        Assert.NotNull(fast.Headers.RetryAfter);

        using var other = await server.SenderAsync("modest");
        await AssertGoesOnAsync(server, other);
    }

    [Fact]
    public async Task A_full_disk_under_the_store_is_answered_with_503_and_what_was_acknowledged_stays()
    {
        using var disk = LoopDisk.Mount(96);
        await using var server = await InProcessServer.StartAsync(Cancellation, disk.Folder);
        using var sender = await server.SenderAsync();
        await AssertGoesOnAsync(server, sender);
        disk.Fill();
        var acknowledged = 0;
        HttpResponseMessage? answer = null;
        // What the database has set aside may still take a few.
        for (var i = 0; i < 2000 && answer?.StatusCode != HttpStatusCode.ServiceUnavailable; i++)
        {
            answer?.Dispose();
            answer = await sender.SendAsync(
                [.. Enumerable.Range(0, 200).Select(s => One(Labels.OfMetric("full", ("s", $"{i}-{s}")), Now, i))], Cancellation);
            acknowledged += answer.StatusCode == HttpStatusCode.NoContent ? 200 : 0;
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer!.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        answer.Dispose();
        Assert.True(await server.MetricAsync("whistle_ingest_rejected_requests_total{reason=\"store\"}", Cancellation) > 0);

        disk.Free();
        // The store is tried again once a second.
        while (!await IsTakenAsync(sender, Cancellation))
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
        await AssertGoesOnAsync(server, sender);
        Assert.Equal(acknowledged, Stored(server, "full").Count);
    }

    static TimeSeries ManySamples() =>
        new(Labels.OfMetric("m"), [.. Enumerable.Range(0, 250_001).Select(i => new Sample(Now.ToUnixTimeMilliseconds() - 300_000 + i, i))]);

    static async Task AssertGoesOnAsync(InProcessServer server, RemoteWriteClient sender)
    {
        var name = $"after_{Guid.NewGuid():N}";
        using var answer = await sender.SendAsync([One(Labels.OfMetric(name), Now)], Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Single(Stored(server, name));
    }

    static async Task<bool> IsTakenAsync(RemoteWriteClient sender, CancellationToken cancellation)
    {
        using var answer = await sender.SendAsync([One(Labels.OfMetric("probe"), Now)], cancellation);
        return answer.StatusCode == HttpStatusCode.NoContent;
    }

    static IReadOnlyList<SeriesSamples> Stored(InProcessServer server, string name) =>
        server.App.Telemetry.Select([new LabelMatcher(Labels.MetricName, MatchOperator.Equal, name)], 0, long.MaxValue);

    static byte[] Good() =>
        RemoteWriteClient.Body([.. Enumerable.Range(0, 50).Select(i => One(Labels.OfMetric("m", ("i", $"{i * 7919}")), Now))]);

    static TimeSeries One(Labels labels, DateTimeOffset at, double value = 1) =>
        new(labels, [new Sample(at.ToUnixTimeMilliseconds(), value)]);
}
