using Microsoft.Extensions.Logging.Abstractions;

using Whistle.AcceptanceTests.Killing;
using Whistle.Actions.Protocol;
using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A real server that is restored from a backup, and a real agent that has gone on: over HTTP, on a real disk.</summary>
public sealed class RestoredServerTests(ITestOutputHelper output)
{
    [Fact(Timeout = 600_000)]
    public async Task A_repair_that_ran_after_the_backup_is_not_run_again_and_server_and_agent_agree()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var fleet = await MortalFleet.StartAsync(
            folder => [MortalNode.Create("n1", folder, cleanable: true, files: 20)], cancellation);
        var node = fleet.Nodes[0];
        var backup = Path.Combine(Path.GetDirectoryName(fleet.DataFolder)!, "backup");
        using var network = new BeginInterceptor();
        // The step is leased, and its permit is asked for when the backup is whole.
        network.BeforeBegin =
            () => WhistleAsync(["backup", "create", backup, "--data", fleet.DataFolder, "--server", $"{fleet.Address}"], cancellation);
        using var agent = new WhistleAgent(
            MortalAgent.Options(node.Home, fleet.Address, (_, _) => { }) with { Handler = network }, NullLogger.Instance);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var running = agent.RunAsync(stop.Token);
        await fleet.LiveAsync(async () => await IsOverAsync(fleet), cancellation);
        Assert.Equal(RunState.Succeeded, Assert.Single(await fleet.RunsAsync((await fleet.IncidentsAsync())[0])).State);
        Assert.Empty(Directory.GetFiles(node.Spool));

        await fleet.WithoutServerAsync(
            () => WhistleAsync(["backup", "restore", backup, "--data", fleet.DataFolder, "--replace"], cancellation), cancellation);
        Assert.Null(Assert.Single(await fleet.RunsAsync((await fleet.IncidentsAsync())[0])).EndedAt);
        await fleet.LiveAsync(async () => (await fleet.RunsAsync((await fleet.IncidentsAsync())[0]))[0].Reports.Any(
            r => r is { Step: "clean", Outcome: CommandOutcome.Indeterminate, Changed: true }), cancellation);
        await WhistleAsync(
            ["kill-switch", "off", "--reason", "looked at", "--data", fleet.DataFolder, "--server", $"{fleet.Address}"], cancellation);
        await fleet.LiveAsync(async () => await IsOverAsync(fleet), cancellation);
        await stop.CancelAsync();
        await Task.WhenAny(running);

        var run = Assert.Single(await fleet.RunsAsync((await fleet.IncidentsAsync())[0]));
        output.WriteLine(string.Join('\n', await fleet.TimelineAsync((await fleet.IncidentsAsync())[0])));
        Assert.Equal(RunState.Succeeded, run.State);
        Assert.Single(node.Notes, n => n.Step == nameof(RunnerStep.AfterIntent));
        Assert.Single(Directory.GetDirectories(Path.GetDirectoryName(fleet.DataFolder)!, "data.before-*"));
    }

    static async Task<bool> IsOverAsync(MortalFleet fleet) =>
        await fleet.IncidentsAsync() is [{ State: IncidentState.Closed } incident]
            && (await fleet.RunsAsync(incident)).All(r => r.EndedAt is not null);

    static async Task WhistleAsync(string[] arguments, CancellationToken cancellation)
    {
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", arguments);
        await process.WaitForExitAsync(cancellation);
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', arguments)} ended with {process.ExitCode}; see the output.");
    }
}
