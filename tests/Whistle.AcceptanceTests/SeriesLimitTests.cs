using System.Net;
using System.Text.Json.Nodes;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Limits of series at the gateway, whoever sends and however.</summary>
public sealed class SeriesLimitTests : IDisposable
{
    static readonly DateTimeOffset Now = TimeProvider.System.GetUtcNow();

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-limits-").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, RemoteWriteVersion, bool> Kinds
    {
        get
        {
            var data = new TheoryData<string, RemoteWriteVersion, bool>();
            foreach (var limit in new[] { "series_limit", "new_series_limit", "stored_series_limit" })
            {
                data.Add(limit, RemoteWriteVersion.V1, true);
                data.Add(limit, RemoteWriteVersion.V2, true);
                data.Add(limit, RemoteWriteVersion.V2, false);
            }

            return data;
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Past_a_limit_new_series_are_refused_with_its_name_and_known_ones_are_stored(
        string limit, RemoteWriteVersion version, bool isNode)
    {
        await using var server = await StartAsync(limit);
        using var sender = await server.SenderAsync("greedy", node: isNode ? "n1" : null);
        using var first = await sender.SendAsync([.. Enumerable.Range(0, 4).Select(i => One(i, 0))], Cancellation, version);
        Assert.Equal(HttpStatusCode.NoContent, first.StatusCode);

        // Over another credential of the tenant, too.
        using var second = await server.SenderAsync("greedy", "c2", node: isNode ? null : "n2");
        foreach (var (by, own) in ((RemoteWriteClient, int)[])[(sender, 4), (second, 0)])
        {
            using var over = await by.SendAsync([.. Enumerable.Range(0, 6).Select(i => One(i, 1))], Cancellation, version);

            Assert.Equal(HttpStatusCode.TooManyRequests, over.StatusCode);
            Assert.Equal($"{own}", over.Headers.GetValues("X-Prometheus-Remote-Write-Samples-Written").Single());
            Assert.Null(over.Headers.RetryAfter);
            var reason = await over.Content.ReadAsStringAsync(Cancellation);
            Assert.Matches(@"the tenant greedy has 4 .* as many as Max\w+ allows.* raise the limit", reason);
        }

        Assert.Equal(8, await server.MetricAsync($"whistle_ingest_dropped_samples_total{{reason=\"{limit}\"}}", Cancellation));
        using var other = await server.SenderAsync("modest");
        using var fine = await other.SendAsync([One(0, 0)], Cancellation, version);
        Assert.Equal(HttpStatusCode.NoContent, fine.StatusCode);
        Assert.Equal(["greedy", "modest"], await TextsAsync(server, "label/tenant/values"));
        Assert.Equal(["0", "1", "2", "3"], await TextsAsync(server, "label/i/values?match[]={tenant=\"greedy\"}"));
    }

    [Fact]
    public async Task A_restart_does_not_renew_the_allowance_even_for_series_of_past_hours()
    {
        for (var start = 0; start < 3; start++)
        {
            await using var server = await StartAsync("new_series_limit");
            using var sender = await server.SenderAsync("greedy", node: $"n{start}");
            using var answer = await sender.SendAsync([.. Enumerable.Range(0, 3).Select(i => One(i, -60 * (i + 2)))], Cancellation);

            Assert.Equal(
                start == 0 ? "3" : start == 1 ? "1" : "0", answer.Headers.GetValues("X-Prometheus-Remote-Write-Samples-Written").Single());
        }
    }

    // Nothing but the senders writes: passes record series of the server's own.
    Task<InProcessServer> StartAsync(string limit) => InProcessServer.StartAsync(Cancellation, _folder, o => limit switch
    {
        "series_limit" => o with { RunTimers = false, MaxSeriesPerTenant = 4, MaxNewSeriesPerHour = 100, MaxStoredSeriesPerTenant = 100 },
        "new_series_limit" =>
            o with { RunTimers = false, MaxSeriesPerTenant = 100, MaxNewSeriesPerHour = 4, MaxStoredSeriesPerTenant = 100 },
        _ => o with { RunTimers = false, MaxSeriesPerTenant = 4, MaxNewSeriesPerHour = 100, MaxStoredSeriesPerTenant = 4 },
    });

    static async Task<string[]> TextsAsync(InProcessServer server, string path) =>
        [.. JsonNode.Parse(await server.Http.GetStringAsync("api/v1/" + path, Cancellation))!["data"]!.AsArray().Select(t => (string)t!)];

    static TimeSeries One(int i, int minutes) =>
        new(Labels.OfMetric("m", ("i", $"{i}")), [new Sample(Now.AddMinutes(minutes).ToUnixTimeMilliseconds(), i)]);
}
