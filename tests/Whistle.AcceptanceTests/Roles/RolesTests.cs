using System.Diagnostics;
using System.Net;
using System.Text.Json;

using Whistle.AcceptanceTests.Harness;
using Whistle.Inventory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests.Roles;

/// <summary>The whole way over processes that each have a role.</summary>
public sealed class RolesTests(PostgreSqlServer postgreSql, InfluxServer influx)
    : IClassFixture<PostgreSqlServer>, IClassFixture<InfluxServer>
{
    const string Rules =
        """
        groups:
          - name: g
            interval: 1s
            rules:
              - alert: Hot
                expr: temperature > 80
                labels: { severity: critical }
              - alert: Warm
                expr: temperature > 40
                for: 1h
                labels: { severity: warning }
        """;

    static readonly Dictionary<string, string> None = [];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_sample_that_a_gateway_takes_becomes_an_alert_an_incident_and_a_page_by_way_of_five_processes()
    {
        using var kafka = new KafkaCluster();
        await using var pagerDuty = await PagerDutyServer.StartAsync(Cancellation);
        var paging = new Dictionary<string, string>
        {
            ["WHISTLE_Alerting__PagerDuty__RoutingKey"] = "0123456789abcdef0123456789abcdef",
            ["WHISTLE_Alerting__PagerDuty__Address"] = pagerDuty.Address.ToString(),
            ["WHISTLE_Alerting__CriticalDeadline"] = "1s",
        };
        await using var fleet = await RoleFleet.StartAsync(
            postgreSql, kafka, influx, Rules, paging, "gateway-1", "detect-1", "remediate-1", "alert-1", "web-1");
        var cluster = new ClusterId("default", "prod");
        using var sender = new RemoteWriteClient(fleet["gateway-1"].Address, await fleet.EnrollAsync(cluster));

        await SendAsync(sender, 90);

        await Eventually(fleet, async () => await ValuesAsync(fleet, "temperature") is [90]);
        await Eventually(fleet, async () => (await fleet.AskAsync("api/v1/alerts")).GetProperty("data").GetProperty("alerts")
            .EnumerateArray().Any(a => a.GetProperty("labels").GetProperty("alertname").GetString() == "Hot"));
        await Eventually(fleet, async () => (await fleet.AskAsync("api/whistle/v1/incidents")).GetArrayLength() == 1);
        await Eventually(fleet, () => Task.FromResult(pagerDuty.Events.Any(
            e => e.GetProperty("event_action").GetString() == "trigger")));
        using (var refused = await fleet["gateway-1"].Http.GetAsync(new Uri("api/v1/query?query=1", UriKind.Relative), Cancellation))
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        using var toWeb = new RemoteWriteClient(fleet["web-1"].Address, "x");
        using (var refused = await toWeb.SendAsync(Array.Empty<byte>(), Cancellation))
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
    }

    [Fact]
    public async Task A_process_that_is_killed_gives_its_clusters_to_another_within_thirty_seconds_with_their_clocks()
    {
        using var kafka = new KafkaCluster();
        await using var fleet = await RoleFleet.StartAsync(postgreSql, kafka, influx, Rules, None, "gateway-1", "detect-1", "web-1");
        ClusterId[] clusters = [.. Enumerable.Range(0, 8).Select(i => new ClusterId("default", $"c{i}"))];
        var senders = new List<RemoteWriteClient>();
        foreach (var cluster in clusters)
            senders.Add(new RemoteWriteClient(fleet["gateway-1"].Address, await fleet.EnrollAsync(cluster)));
        foreach (var sender in senders)
            await SendAsync(sender, 50);
        await Eventually(fleet, async () => await SinceAsync(fleet) is { Count: 8 });
        var before = await SinceAsync(fleet);
        await fleet.StartAsync("detect-2");
        await Eventually(fleet, async () => await fleet.OwnersAsync() is { Count: 2 });

        var killed = Stopwatch.StartNew();
        await fleet["detect-1"].KillAsync();
        await Eventually(fleet, async () =>
        {
            foreach (var sender in senders)
                await SendAsync(sender, 90);
            return (await AlertsAsync(fleet)).Count(a => Name(a) == "Hot") == 8;
        });

        TestContext.Current.SendDiagnosticMessage($"evaluated again after {killed.Elapsed.TotalSeconds:0.0} s");
        Assert.True(killed.Elapsed < TimeSpan.FromSeconds(30), $"{killed.Elapsed}");
        Assert.Equal(before, await SinceAsync(fleet));
        senders.ForEach(s => s.Dispose());
    }

    [Fact]
    public async Task While_InfluxDB_is_down_alerts_go_on_and_everything_is_in_it_when_it_is_back()
    {
        Assert.SkipUnless(influx.IsOwn, "The InfluxDB is not the test's own to stop.");
        using var kafka = new KafkaCluster();
        await using var fleet = await RoleFleet.StartAsync(postgreSql, kafka, influx, Rules, None, "gateway-1", "detect-1", "web-1");
        using var sender = new RemoteWriteClient(fleet["gateway-1"].Address, await fleet.EnrollAsync(new("default", "prod")));
        var sent = new List<double>();
        for (var value = 1; value <= 3; value++)
            await SendNextAsync(value);
        await Eventually(fleet, async () => await ValuesAsync(fleet, "count_over_time(temperature[5m])") is [3]);

        await influx.StopAsync();
        try
        {
            await SendNextAsync(90);
            await Eventually(fleet, async () =>
            {
                await SendNextAsync(91);
                return (await AlertsAsync(fleet)).Any(a => Name(a) == "Hot");
            });
            await Eventually(fleet, async () => (await fleet.AskAsync("api/whistle/v1/health", "detect-1")).GetProperty("problems")
                .EnumerateArray().Any(p => p.GetProperty("component").GetString() == "telemetry-store"));
        }
        finally
        {
            await influx.StartAsync(Cancellation);
        }

        await SendNextAsync(1);
        await Eventually(
            fleet, async () => await ValuesAsync(fleet, "count_over_time(temperature[5m])") is [var stored] && stored == sent.Count);
        Assert.Equal([sent.Sum()], await ValuesAsync(fleet, "sum_over_time(temperature[5m])"));
        await Eventually(fleet, async () => !(await fleet.AskAsync("api/whistle/v1/health", "detect-1")).GetProperty("problems")
            .EnumerateArray().Any(p => p.GetProperty("component").GetString() == "telemetry-store"));

        Task SendNextAsync(double value)
        {
            sent.Add(value);
            return SendAsync(sender, value);
        }
    }

    static async Task SendAsync(RemoteWriteClient sender, double value)
    {
        var sample = new Sample(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), value);
        using var answer = await sender.SendAsync(new[] { new TimeSeries(Labels.OfMetric("temperature"), [sample]) }, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    static async Task<IReadOnlyList<double>> ValuesAsync(RoleFleet fleet, string query) =>
        [.. (await fleet.AskAsync($"api/v1/query?query={Uri.EscapeDataString(query)}")).GetProperty("data").GetProperty("result")
            .EnumerateArray().Select(r => double.Parse(
                r.GetProperty("value")[1].GetString()!, System.Globalization.CultureInfo.InvariantCulture))];

    static async Task<IReadOnlyList<JsonElement>> AlertsAsync(RoleFleet fleet) =>
        [.. (await fleet.AskAsync("api/v1/alerts")).GetProperty("data").GetProperty("alerts").EnumerateArray()];

    static string Name(JsonElement alert) => alert.GetProperty("labels").GetProperty("alertname").GetString()!;

    // When each began to wait. What an alert shows moves on by the time in which nobody looked.
    static Task<List<string>> SinceAsync(RoleFleet fleet) =>
        fleet.RowsAsync("SELECT labels || since FROM signals WHERE name = 'Warm' AND state = 'Pending' ORDER BY labels");

    static async Task Eventually(RoleFleet fleet, Func<Task<bool>> holds)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        while (!await holds())
        {
            if (limit.IsCancellationRequested)
                Assert.Fail(await fleet.TellAsync("api/v1/query?query=temperature", "api/v1/alerts"));
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, CancellationToken.None);
        }
    }
}
