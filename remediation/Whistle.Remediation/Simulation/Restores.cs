using Whistle.Remediation.Control;
using Whistle.State;

namespace Whistle.Remediation.Simulation;

/// <summary>The state is brought back from an older backup while the fleet has gone on.</summary>
public sealed partial class Simulator
{
    // What an agent needs that reaches a server all the time; where messages are lost it asks some times more.
    static readonly TimeSpan AgreeCalm = TimeSpan.FromMinutes(1);
    static readonly TimeSpan AgreeTroubled = TimeSpan.FromMinutes(10);

    static readonly TimeSpan Down = TimeSpan.FromSeconds(20);

    void BackUp(Fault fault)
    {
        var copy = StateDatabase.InMemory();
        copy.Overwrite(_database);
        var at = Now;
        In(fault.Length / 2, () => BringBackAsync(copy, at, Stop));
    }

    async Task BringBackAsync(StateDatabase copy, DateTimeOffset backupAt, CancellationToken cancellation)
    {
        // A server that stands still is in the midst of a pass: a restore waits until none runs.
        if (_nested)
        {
            In(TimeSpan.FromMinutes(2), () => BringBackAsync(copy, backupAt, cancellation));
            return;
        }

        Trace($"the state of {backupAt:MM-dd HH:mm:ss} is brought back");
        _database.Fault = null;
        for (var i = 0; i < _servers.Length; i++)
        {
            if (_servers[i] is { } server)
                server.IsDead = true;
            _servers[i] = null;
        }

        _database.Overwrite(copy);
        copy.Dispose();
        await Control.StopAfterRestoreAsync("restored", Now, cancellation);
        await Runs.BeginGenerationAsync($"{(int)(Chance.Next("generation") * int.MaxValue):x8}", backupAt, Now, cancellation);
        _database.Fault = MomentAsync;
        _dirty = true;
        _troubledUntil = Now + Down;
        await Judge.RestoredAsync(cancellation);
        for (var i = 0; i < _servers.Length; i++)
        {
            var index = i;
            In(Chance.Between("restore", TimeSpan.FromSeconds(1), Down), () => Boot(index));
        }

        var restoredAt = Now;
        foreach (var node in World.Nodes)
            node.Agent.Wake();
        var within = Options.Calm ? AgreeCalm : AgreeTroubled;
        In(Down + TimeSpan.FromSeconds(1) + within, () => Judge.AgreedAsync(restoredAt, within, cancellation));
        In(Chance.Seconds("restore", 60, 1800), () => LookAtRestoredAsync(Stop));
    }

    // As docs/operations.md says: cordons of runs that are lost are let go by hand, and then repairs may go again.
    async Task LookAtRestoredAsync(CancellationToken cancellation)
    {
        foreach (var node in World.Nodes)
        {
            if (node.CordonedBy is { } owner and not Somebody && await Runs.FindAsync(owner, cancellation) is null)
                node.CordonedBy = null;
        }

        await Control.SetAsync(new KillSwitch(false, "looked at", Somebody, Now), cancellation);
        await StirAsync(cancellation);
    }
}
