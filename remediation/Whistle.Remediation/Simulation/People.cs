using Whistle.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Simulation;

/// <summary>
/// Customers, support and on-call: they set modes and windows, approve late or the wrong plan, pause, acknowledge, cancel, and in the end
/// repair by hand.
/// </summary>
sealed class People(Simulator simulator)
{
    const string Who = "somebody";

    readonly HashSet<string> _asked = [];
    readonly HashSet<string> _seen = [];
    string _lastHash = "none";
    bool _callsOff;

    public long Pages => _seen.Count;

    DateTimeOffset Now => simulator.Now;

    Chance Chance => simulator.Chance;

    /// <summary>How the fleet is set up: most clusters automatic, one asks, now and then one only watches.</summary>
    public async Task ArrangeAsync(CancellationToken cancellation)
    {
        var index = 0;
        foreach (var cluster in simulator.World.Clusters)
        {
            var mode = index++ == 0 || simulator.Options.Calm || Chance.Is("mode", 0.6)
                ? RunbookMode.Automatic
                : Chance.Is("mode", 0.8) ? RunbookMode.Approve
                : RunbookMode.Observe;
            await SetModeAsync(cluster, mode, cancellation);
            if (simulator.Options.Calm || Chance.Is("window", 0.8))
            {
                await simulator.Control.AddAsync(new MaintenanceWindow(
                    0, cluster.Tenant, cluster.Name, simulator.Options.Calm || Chance.Is("window", 0.5)
                        ? "FREQ=DAILY"
                        : "FREQ=WEEKLY;BYDAY=TU,TH,SA",
                    new DateTime(
                        2026, 1, 1, Chance.Below("window", 24), 0,
                        0), TimeSpan.FromHours(2 + Chance.Below("window", 6)), "Europe/Berlin", Who, Now), cancellation);
            }
        }
    }

    /// <summary>False where the fault is none of people's.</summary>
    public async Task<bool> ActAsync(Fault fault, SimCluster cluster, SimNode node, CancellationToken cancellation)
    {
        switch (fault.Kind)
        {
            case "kill switch":
                await simulator.Control.SetAsync(new KillSwitch(true, "drill", Who, Now), cancellation);
                Later(fault.Length / 3, () => simulator.Control.SetAsync(new KillSwitch(false, "over", Who, Now), cancellation));
                return true;
            case "pause":
                var runbook = fault.Twist < 0.3 ? Chance.Pick("pause", simulator.Runbooks.Runbooks).Name : "";
                await simulator.Control.AddAsync(
                    new Pause(
                        0, cluster.Tenant, fault.Twist < 0.8 ? cluster.Name : "", fault.Twist is > 0.3 and < 0.6 ? node.Name : "", runbook,
                        "work", Who, Now, Now + fault.Length),
                    cancellation);
                return true;
            case "freeze":
                await simulator.Control.AddAsync(
                    new ChangeFreeze(0, cluster.Tenant, cluster.Name, "year's end", Who, Now, Now + (fault.Length * 3)), cancellation);
                return true;
            case "mode":
                await SetModeAsync(cluster, (RunbookMode)(fault.Twist * 4), cancellation);
                Later(fault.Length, () => SetModeAsync(
                    cluster, fault.Twist < 0.8 ? RunbookMode.Automatic : RunbookMode.Approve, cancellation));
                return true;
            case "taken":
                foreach (var incident in simulator.Active.Where(i => i.Cluster == cluster.Name))
                    await simulator.Incidents.AcknowledgeAsync(new(incident.Id, Who, Now, Now + fault.Length), cancellation);
                // Once they let go, a page may be due.
                simulator.In(fault.Length, () => simulator.StirAsync(simulator.Stop));
                return true;
            case "cancel":
                foreach (var run in (await simulator.Runs.LiveAsync(cancellation)).Where(
                    r => fault.Twist < 0.5 || r.Cluster == cluster.Name))
                    await CallOffAsync(run.Id, cancellation);
                // And the next that is just about to change something.
                _callsOff = true;
                return true;
            default:
                return false;
        }
    }

    /// <summary>A command is on its node, which now asks for its permit.</summary>
    public async Task AboutToBeginAsync(string command, CancellationToken cancellation)
    {
        if (!_callsOff || await simulator.Commands.FindAsync(command, cancellation) is not { Undo: false } found)
            return;
        _callsOff = false;
        await CallOffAsync(found.RunId, cancellation);
    }

    /// <summary>They look at what waits for them, and answer some time.</summary>
    public async Task LookAsync(IReadOnlyList<Incident> active, CancellationToken cancellation)
    {
        foreach (var incident in active)
            _seen.Add(incident.Id);
        if (active.Count == 0)
            return;
        foreach (var run in await simulator.Runs.LiveAsync(cancellation))
        {
            var step = await simulator.Runs.RunbookOfAsync(run, cancellation) is { } runbook
                && run.Step < runbook.Steps.Count ? runbook.Steps[run.Step] : null;
            if (run.State is RunState.AwaitingApproval)
                Asked(run, step is { Kind: StepKind.Approval } ? step.Name : "");
            else if (run.State is RunState.Running && step is { Kind: StepKind.Task } && _asked.Add($"{run.Id} {step.Name}")
                && !simulator.Unlucky("no task", 0.2))
                Later(
                    Chance.Seconds("task", 60, 3600),
                    () => simulator.Runs.CompleteAsync(new(run.Id, step.Name, Who, "looked", Now), cancellation));
        }
    }

    void Asked(Run run, string step)
    {
        if (!_asked.Add($"{run.Id} {step} {run.Reason}"))
            return;
        // Some have yet the plan of another run before them; some have never looked; an answer holds for a while.
        var hash = simulator.Unlucky("wrong plan", 0.15) ? _lastHash : run.PlanHash;
        _lastHash = run.PlanHash;
        if (simulator.Unlucky("no answer", 0.15))
            return;
        Later(Chance.Seconds("answer", 20, 2400), async () =>
        {
            var until = Now + Chance.Seconds("yes", simulator.Options.Calm ? 86400 : 30, simulator.Options.Calm ? 172800 : 3600);
            if (await simulator.Runs.ApproveAsync(new(run.Id, hash, Who, Now, until, step), CancellationToken.None))
                simulator.Judge.Approved(run.Id, step, hash, until);
        });
    }

    /// <summary>Everything is repaired, resumed and left alone.</summary>
    public async Task RepairEverythingAsync(CancellationToken cancellation)
    {
        await simulator.Control.SetAsync(new KillSwitch(false, "over", Who, Now), cancellation);
        foreach (var cluster in simulator.World.Clusters)
        {
            await SetModeAsync(cluster, RunbookMode.Automatic, cancellation);
            (cluster.SilentUntil, cluster.BudgetSpentUntil) = (Now, Now);
        }

        (simulator.World.StalledSince, simulator.World.LateSince) = (null, null);
        foreach (var node in simulator.World.Nodes)
        {
            foreach (var problem in node.Problems.ToList())
                simulator.Heal(problem);
            (node.Agent.CutOffUntil, node.Agent.LiesUntil) = (Now, Now);
        }

        await simulator.StirAsync(cancellation);
    }

    async Task CallOffAsync(string run, CancellationToken cancellation) =>
        await simulator.Runs.CancelAsync(new(run, Who, "not today", Now), cancellation);

    void Later(TimeSpan delay, Func<Task> act) => simulator.In(delay, async () =>
    {
        await act();
        await simulator.StirAsync(CancellationToken.None);
    });

    async Task SetModeAsync(SimCluster cluster, RunbookMode mode, CancellationToken cancellation)
    {
        await simulator.Control.SetAsync(new ModeEntry("", cluster.Tenant, cluster.Name, mode, Who, Now), cancellation);
        // Their files say observe; the fleet's operator has turned them on.
        foreach (var runbook in simulator.Runbooks.Runbooks)
            await simulator.Control.SetAsync(new ModeEntry(runbook.Name, cluster.Tenant, cluster.Name, mode, Who, Now), cancellation);
    }
}
