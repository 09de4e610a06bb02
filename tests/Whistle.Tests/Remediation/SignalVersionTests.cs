using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.Tests.Detectors;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class SignalVersionTests
{
    [Fact]
    public async Task A_copy_of_the_signals_is_not_indexed_again_and_a_new_version_is_seen()
    {
        using var bench = new RemediationBench();
        bench.Fire();
        var (source, original, copy) = (Guid.NewGuid(), new CountedSignals([bench.Signal!]), new CountedSignals([bench.Signal!]));
        bench.Given = new(new(source, 1), original);
        await bench.ReconcileAsync();
        original = new([bench.Signal!]);
        bench.Given = new(new(source, 1), original);
        await AdvanceAsync(bench);
        Assert.NotEqual(0, original.Reads);
        bench.Given = new(new(source, 1), copy);
        await AdvanceAsync(bench);
        Assert.Equal(0, copy.Reads);

        bench.Inhibit(true);
        bench.Given = new(new(source, 2), [bench.Signal!]);
        await AdvanceAsync(bench);
        Assert.Equal(RunState.Waiting, bench.Latest!.State);
        Assert.Contains(
            await bench.Incidents.TimelineAsync(bench.Latest.IncidentId, TestContext.Current.CancellationToken),
            e => e is { Kind: TimelineKind.Gate } && e.Text.Contains("inhibited: ", StringComparison.Ordinal));

        // A process that was started again may come to the same number.
        bench.Inhibit(false);
        var other = new CountedSignals([bench.Signal!]);
        bench.Given = new(new(Guid.NewGuid(), 2), other);
        await AdvanceAsync(bench);
        Assert.NotEqual(0, other.Reads);
    }

    static Task AdvanceAsync(RemediationBench bench) => bench.Host.AdvanceAsync(bench.Now, TestContext.Current.CancellationToken);
}
