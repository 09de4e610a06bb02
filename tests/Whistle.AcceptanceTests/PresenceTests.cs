using System.Globalization;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Who reports is known from credentials. What a sender calls itself, or calls another, does not count.</summary>
public sealed class PresenceTests : IAsyncLifetime
{
    static readonly TimeSpan Step = TimeSpan.FromSeconds(15);
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-presence").FullName;

    readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    InProcessServer _server = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var rules = Path.Join(_folder, "rules.yaml");
        await File.WriteAllTextAsync(rules, """
            groups:
              - name: g
                interval: 15s
                rules:
                  - { record: "c:load", expr: "sum by (tenant, cluster) (load)" }
                  - { alert: Silent, expr: "whistle_agent_up == 0" }
                  - { alert: Full, expr: "node_filesystem_avail_bytes < 10" }
            """, Cancellation);
        _server = await InProcessServer.StartAsync(Cancellation, change: o => o with { Time = _clock, RunTimers = false, Rules = [rules] });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData(RemoteWriteVersion.V1)]
    [InlineData(RemoteWriteVersion.V2)]
    public async Task A_collector_cannot_speak_for_a_node_that_is_silent(RemoteWriteVersion version)
    {
        await _server.App.Credentials.EnrollAsync(new("default", "c1"), "n1", Cancellation);
        using var collector = await _server.SenderAsync(node: null);
        for (var i = 0; i < 8; i++)
        {
            _clock.Advance(Step);
            await SendAsync(collector, version, [.. Report("n1"), Of("whistle_agent_up", 1, ("node", "n1")), Of(
                "whistle_agent_last_report_age_seconds", 0, ("node", "n1"))]);
            await EvaluateAsync();
        }

        await HoldsAsync("whistle_agent_up{node='n1'}", 0);
        await HoldsAsync("whistle_collector_up{tenant='default',cluster='c1'}", 1);
        Assert.Contains(_server.App.Rules.Signals, s => s.Labels["alertname"] == "Silent" && s.Labels["node"] == "n1");
        await HoldsAsync("exported_whistle_agent_up{node='n1'}", 1);
        Assert.Equal(16, await _server.MetricAsync("whistle_ingest_renamed_samples_total", Cancellation));
    }

    [Fact]
    public async Task A_silent_node_is_silent_though_a_collector_goes_on_writing_the_same_series()
    {
        using var agent = await _server.SenderAsync();
        using var collector = await _server.SenderAsync(node: null);
        _clock.Advance(Step);
        await SendAsync(agent, RemoteWriteVersion.V1, [.. Report(), Disk(5)]);
        await EvaluateAsync();
        await HoldsAsync("whistle_agent_up", 1);
        for (var i = 0; i < 8; i++)
        {
            _clock.Advance(Step);
            await SendAsync(collector, RemoteWriteVersion.V1, [.. Report("n1", interval: 1e6)]);
            await EvaluateAsync();
        }

        await HoldsAsync("whistle_agent_up", 0);
        Assert.Equal("unknown", _server.App.Rules.Signals.Single(s => s.Labels["alertname"] == "Full").State.ToString(), ignoreCase: true);
        await SendAsync(agent, RemoteWriteVersion.V2, [.. Report()]);
        await EvaluateAsync();
        _clock.Advance(Step);
        await SendAsync(agent, RemoteWriteVersion.V2, [.. Report()]);
        await EvaluateAsync();
        await HoldsAsync("whistle_agent_up", 1);
    }

    [Fact]
    public async Task Another_nodes_agent_cannot_speak_for_a_node_either()
    {
        await _server.App.Credentials.EnrollAsync(new("default", "c1"), "n1", Cancellation);
        using var other = await _server.SenderAsync(node: "n2");
        using var foreign = await _server.SenderAsync(tenant: "other", node: "n1");
        for (var i = 0; i < 8; i++)
        {
            _clock.Advance(Step);
            await SendAsync(other, RemoteWriteVersion.V1, [.. Report("n1")]);
            await SendAsync(foreign, RemoteWriteVersion.V1, [.. Report("n1")]);
            await EvaluateAsync();
        }

        await HoldsAsync("whistle_agent_up{tenant='default',node='n1'}", 0);
        await HoldsAsync("whistle_agent_up{tenant='default',node='n2'}", 1);
        await HoldsAsync("whistle_agent_up{tenant='other',node='n1'}", 1);
    }

    [Fact]
    public async Task An_agent_cannot_ask_never_to_be_silent_nor_stop_the_judgement_of_others()
    {
        using var liar = await _server.SenderAsync(node: "liar");
        using var odd = await _server.SenderAsync(node: "odd");
        await _server.App.Credentials.EnrollAsync(new("default", "c1"), "gone", Cancellation);
        _clock.Advance(Step);
        await SendAsync(liar, RemoteWriteVersion.V1, Report(interval: 1e9));
        await SendAsync(odd, RemoteWriteVersion.V1, Report(interval: 1e300));
        for (var i = 0; i < 8; i++)
        {
            _clock.Advance(Step);
            await EvaluateAsync();
        }

        await HoldsAsync("whistle_agent_up", 0, 0, 0);
    }

    [Fact]
    public async Task What_senders_call_as_the_server_does_is_kept_under_another_name_and_none_is_lost_in_it()
    {
        using var sender = await _server.SenderAsync();
        _clock.Advance(Step);
        await SendAsync(sender, RemoteWriteVersion.V1,
        [
            Of("ALERTS", 1), Of("exported_ALERTS", 2), Of("exported_exported_ALERTS", 3), Of("exported_load", 4),
            Of("whistle_agent_info", 5),
        ]);

        await HoldsAsync("exported_ALERTS", 1);
        await HoldsAsync("exported_exported_ALERTS", 2);
        await HoldsAsync("exported_exported_exported_ALERTS", 3);
        await HoldsAsync("exported_load", 4);
        await HoldsAsync("whistle_agent_info", 5);
        await HoldsAsync("ALERTS");
        Assert.Equal(3, await _server.MetricAsync("whistle_ingest_renamed_samples_total", Cancellation));
    }

    [Fact]
    public async Task A_collector_that_falls_silent_is_down()
    {
        using var collector = await _server.SenderAsync(node: null);
        _clock.Advance(Step);
        await EvaluateAsync();
        await HoldsAsync("whistle_collector_up");
        await SendAsync(collector, RemoteWriteVersion.V1, [Of("load", 1)]);
        _clock.Advance(Step);
        await EvaluateAsync();
        await HoldsAsync("whistle_collector_up", 1);
        _clock.Advance(TimeSpan.FromMinutes(5));
        await EvaluateAsync();
        await HoldsAsync("whistle_collector_up", 0);
        await HoldsAsync("whistle_collector_last_report_age_seconds", 315);
    }

    /// <summary>The list is held against what the server does, not against what it says of itself.</summary>
    [Fact]
    public async Task The_reserved_names_are_all_that_the_server_records_of_itself_and_no_more()
    {
        using var agent = await _server.SenderAsync();
        using var collector = await _server.SenderAsync(node: null);
        // No pass runs by a timer here.
        _server.App.Services.GetRequiredService<PassWatch>().Watch("rules", TimeSpan.FromSeconds(1));
        TimeSeries[] reports = [.. Report(), Disk(5), Of("load", 1)];
        for (var i = 0; i < 4; i++)
        {
            _clock.Advance(Step);
            reports = [.. Report(), Disk(5), Of("load", 1)];
            await SendAsync(agent, RemoteWriteVersion.V1, reports);
            await SendAsync(collector, RemoteWriteVersion.V1, [Of("load", 2)]);
            await EvaluateAsync();
        }

        using var names = JsonDocument.Parse(await _server.Http.GetStringAsync(
            $"api/v1/label/__name__/values?start={_clock.GetUtcNow().AddHours(-1).ToUnixTimeSeconds()}&end="
            + $"{_clock.GetUtcNow().ToUnixTimeSeconds()}", Cancellation));
        var recorded = names.RootElement.GetProperty("data").EnumerateArray().Select(n => n.GetString()!)
            .Except(reports.Select(r => r.Labels.Name)).Except(["c:load"]);
        Assert.Equal(ReservedMetrics.Names.Order(StringComparer.Ordinal), recorded.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task No_rule_records_under_a_reserved_name()
    {
        var rules = Path.Join(_folder, "rules.yaml");
        await File.WriteAllTextAsync(rules, "groups: [{ name: g, rules: [{ record: whistle_agent_up, expr: vector(1) }] }]", Cancellation);
        var load = await _server.App.Rules.ReloadAsync(Cancellation);
        Assert.Contains(
            "whistle_agent_up is recorded by the server itself", Assert.Single(load.Errors).ToString(), StringComparison.Ordinal);
    }

    IReadOnlyList<TimeSeries> Report(string? node = null, double interval = 15)
    {
        (string, string)[] labels = node is null ? [] : [("node", node)];
        return [Of("whistle_agent_interval_seconds", interval, labels), Of(
            "node_scrape_collector_success", 1, [("collector", "filesystem"), .. labels])];
    }

    TimeSeries Disk(double available) => Of("node_filesystem_avail_bytes", available, ("mountpoint", "/data"));

    TimeSeries Of(string metric, double value, params (string, string)[] labels) =>
        new(Labels.OfMetric(metric, labels), [new(_clock.GetUtcNow().ToUnixTimeMilliseconds(), value)]);

    Task EvaluateAsync() => _server.App.Rules.EvaluateAsync(_clock.GetUtcNow(), Cancellation);

    async Task HoldsAsync(string query, params double[] values)
    {
        var text = await _server.Http.GetStringAsync(
            $"api/v1/query?query={Uri.EscapeDataString(query)}&time={_clock.GetUtcNow().ToUnixTimeSeconds()}", Cancellation);
        using var answer = JsonDocument.Parse(text);
        var found = answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()
            .Select(s => double.Parse(s.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture));
        Assert.Equal(values, found);
    }

    static async Task SendAsync(RemoteWriteClient client, RemoteWriteVersion version, IReadOnlyList<TimeSeries> series)
    {
        using var answer = await client.SendAsync(series, Cancellation, version);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }
}
