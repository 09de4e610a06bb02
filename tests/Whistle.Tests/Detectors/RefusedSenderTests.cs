using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>A server that refuses samples for its own sake must neither call its fleet silent, nor miss a node that is.</summary>
public sealed class RefusedSenderTests : IDisposable
{
    const string Rules =
        """
        groups:
          - name: g
            interval: 15s
            rules:
              - { alert: NodeSilent, expr: whistle_agent_up == 0, for: 1m }
              - { alert: Low, expr: node_filesystem_avail_bytes < 10 }
              - { alert: Gone, expr: absent(kube_node_info) }
        """;

    readonly RulesBench _bench = new(Rules);

    public void Dispose() => _bench.Dispose();

    [Fact]
    public async Task A_node_that_is_refused_is_unknown_and_one_that_does_not_even_try_is_silent()
    {
        _bench.Inventory.Add(new EnrolledAgent(new("t", "c", "n2"), RulesBench.Start));
        await _bench.LoadAsync();
        for (var i = 0; i < 5; i++)
        {
            _bench.Report("filesystem");
            _bench.Disk(93);
            await _bench.StepAsync(TimeSpan.FromSeconds(15));
        }

        for (var i = 0; i < 40; i++)
        {
            _bench.Refused.Note(new Sender(new NodeId("t", "c", "n1")));
            await _bench.StepAsync(TimeSpan.FromSeconds(15));
        }

        Assert.Equal(SignalState.Unknown, One("Low").State);
        Assert.Equal(("n2", SignalState.Firing), (One("NodeSilent").Labels["node"], One("NodeSilent").State));
    }

    [Fact]
    public async Task A_node_that_stops_trying_while_the_server_refuses_falls_silent()
    {
        await _bench.LoadAsync();
        _bench.Report("filesystem");
        await _bench.StepAsync(TimeSpan.FromSeconds(15));
        for (var i = 0; i < 10; i++)
        {
            _bench.Refused.Note(new Sender(new NodeId("t", "c", "n1")));
            await _bench.StepAsync(TimeSpan.FromSeconds(15));
        }

        Assert.DoesNotContain(_bench.Host.Signals, s => s.Name == "NodeSilent");
        for (var i = 0; i < 4; i++)
        {
            _bench.Refused.Note(new Sender(new NodeId("t", "c", "another")));
            await _bench.StepAsync(TimeSpan.FromSeconds(15));
        }

        Assert.Equal(SignalState.Firing, One("NodeSilent").State);
    }

    [Fact]
    public async Task What_is_absent_while_the_server_refuses_is_unknown_not_gone()
    {
        _bench.Inventory.Clear();
        await _bench.LoadAsync();
        await _bench.StepAsync(TimeSpan.FromSeconds(15));
        Assert.Equal(SignalState.Firing, One("Gone").State);
        _bench.Refused.Note(new Sender(new ClusterId("t", "c"), null));
        await _bench.Host.EvaluateAsync(_bench.Clock.GetUtcNow(), TestContext.Current.CancellationToken);

        Assert.Equal(SignalState.Unknown, One("Gone").State);
    }

    [Fact]
    public async Task Rules_with_errors_and_rules_that_fail_are_on_the_board()
    {
        await _bench.LoadAsync();
        await File.WriteAllTextAsync(
            _bench.RulesFile, "groups: [{ name: g, rules: [{ alert: A, expr: 'up +' }] }]", TestContext.Current.CancellationToken);
        Assert.NotEmpty((await _bench.Host.ReloadAsync(TestContext.Current.CancellationToken)).Errors);
        var reload = Assert.Single(_bench.Health.Problems());
        await File.WriteAllTextAsync(
            _bench.RulesFile, "groups: [{ name: h, rules: [{ alert: A, expr: 'up' }, { record: b, expr: 'up * on() up' }] }]",
            TestContext.Current.CancellationToken);
        await _bench.LoadAsync();
        Assert.Empty(_bench.Health.Problems());
        _bench.Series.Add(RulesBench.Of("up", ("job", "1")), _bench.Now, 1);
        _bench.Series.Add(RulesBench.Of("up", ("job", "2")), _bench.Now, 1);
        await _bench.StepAsync();

        Assert.Equal(("rules", "reload", HealthState.Degraded), (reload.Component, reload.Subject, reload.State));
        Assert.Contains("rules.yaml", reload.Reason, StringComparison.Ordinal);
        var failing = Assert.Single(_bench.Health.Problems());
        Assert.Equal(("rules", "group h"), (failing.Component, failing.Subject));
        Assert.StartsWith("1 of 2 rules failed at their last evaluation; the first, b: ", failing.Reason, StringComparison.Ordinal);
    }

    Signal One(string name) => Assert.Single(_bench.Host.Signals, s => s.Name == name);
}
