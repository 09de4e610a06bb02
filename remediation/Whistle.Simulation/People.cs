using Whistle.Detectors.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Simulation;

/// <summary>Customers, support and on-call: they set modes and windows, say yes late or to the wrong plan, pause, take on, call off, and mend in the end.</summary>
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
    public void Arrange()
    {
        var index = 0;
        foreach (var cluster in simulator.World.Clusters)
        {
            var mode = index++ == 0 || simulator.Options.Calm || Chance.Is("mode", 0.6) ? RunbookMode.Automatic : Chance.Is("mode", 0.8) ? RunbookMode.Approve : RunbookMode.Observe;
            SetMode(cluster, mode);
            if (simulator.Options.Calm || Chance.Is("window", 0.8))
            {
                simulator.Control.Add(new MaintenanceWindow(
                    0, cluster.Tenant, cluster.Name, simulator.Options.Calm || Chance.Is("window", 0.5) ? "FREQ=DAILY" : "FREQ=WEEKLY;BYDAY=TU,TH,SA",
                    new DateTime(2026, 1, 1, Chance.Below("window", 24), 0, 0), TimeSpan.FromHours(2 + Chance.Below("window", 6)), "Europe/Berlin", Who, Now));
            }
        }
    }

    /// <summary>False where the fault is none of people's.</summary>
    public bool Act(Fault fault, SimCluster cluster, SimNode node)
    {
        switch (fault.Kind)
        {
            case "kill switch":
                simulator.Control.Set(new KillSwitch(true, "drill", Who, Now));
                Later(fault.Length / 3, () => simulator.Control.Set(new KillSwitch(false, "over", Who, Now)));
                return true;
            case "pause":
                var runbook = fault.Twist < 0.3 ? Chance.Pick("pause", simulator.Runbooks.Runbooks).Name : "";
                simulator.Control.Add(new Pause(
                    0, cluster.Tenant, fault.Twist < 0.8 ? cluster.Name : "", fault.Twist is > 0.3 and < 0.6 ? node.Name : "", runbook, "work", Who, Now, Now + fault.Length));
                return true;
            case "freeze":
                simulator.Control.Add(new ChangeFreeze(0, cluster.Tenant, cluster.Name, "year's end", Who, Now, Now + (fault.Length * 3)));
                return true;
            case "mode":
                SetMode(cluster, (RunbookMode)(fault.Twist * 4));
                Later(fault.Length, () => SetMode(cluster, fault.Twist < 0.8 ? RunbookMode.Automatic : RunbookMode.Approve));
                return true;
            case "taken":
                foreach (var incident in simulator.Active.Where(i => i.Cluster == cluster.Name))
                    simulator.Incidents.Acknowledge(new(incident.Id, Who, Now, Now + fault.Length));
                // Once they let go, a page may be due.
                simulator.In(fault.Length, simulator.Stir);
                return true;
            case "cancel":
                foreach (var run in simulator.Runs.Live().Where(r => fault.Twist < 0.5 || r.Cluster == cluster.Name))
                    CallOff(run.Id);
                // And the next that is just about to change something.
                _callsOff = true;
                return true;
            default:
                return false;
        }
    }

    /// <summary>A command is on its node, which now asks for its permit.</summary>
    public void AboutToBegin(string command)
    {
        if (!_callsOff || simulator.Commands.Find(command) is not { Undo: false } found)
            return;
        _callsOff = false;
        CallOff(found.RunId);
    }

    /// <summary>They look at what waits for them, and answer some time.</summary>
    public void Look(IReadOnlyList<Incident> active)
    {
        foreach (var incident in active)
            _seen.Add(incident.Id);
        if (active.Count == 0)
            return;
        foreach (var run in simulator.Runs.Live())
        {
            var step = simulator.Runs.RunbookOf(run) is { } runbook && run.Step < runbook.Steps.Count ? runbook.Steps[run.Step] : null;
            if (run.State is RunState.AwaitingApproval)
                Asked(run, step is { Kind: StepKind.Approval } ? step.Name : "");
            else if (run.State is RunState.Running && step is { Kind: StepKind.Task } && _asked.Add($"{run.Id} {step.Name}") && !simulator.Unlucky("no task", 0.2))
                Later(Chance.Seconds("task", 60, 3600), () => simulator.Runs.Complete(new(run.Id, step.Name, Who, "looked", Now)));
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
        Later(Chance.Seconds("answer", 20, 2400), () =>
        {
            var until = Now + Chance.Seconds("yes", simulator.Options.Calm ? 86400 : 30, simulator.Options.Calm ? 172800 : 3600);
            if (simulator.Runs.Approve(new(run.Id, hash, Who, Now, until, step)))
                simulator.Judge.Approved(run.Id, step, hash, until);
        });
    }

    /// <summary>All is mended, set free and let rest.</summary>
    public void MendEverything()
    {
        simulator.Control.Set(new KillSwitch(false, "over", Who, Now));
        foreach (var cluster in simulator.World.Clusters)
        {
            SetMode(cluster, RunbookMode.Automatic);
            (cluster.SilentUntil, cluster.BudgetSpentUntil) = (Now, Now);
        }

        (simulator.World.StalledSince, simulator.World.LateSince) = (null, null);
        foreach (var node in simulator.World.Nodes)
        {
            foreach (var problem in node.Problems.ToList())
                simulator.Heal(problem);
            (node.Agent.CutOffUntil, node.Agent.LiesUntil) = (Now, Now);
        }

        simulator.Stir();
    }

    void CallOff(string run) => simulator.Runs.Cancel(new(run, Who, "not today", Now));

    void Later(TimeSpan delay, Action act) => simulator.In(delay, () =>
    {
        act();
        simulator.Stir();
    });

    void SetMode(SimCluster cluster, RunbookMode mode)
    {
        simulator.Control.Set(new ModeEntry("", cluster.Tenant, cluster.Name, mode, Who, Now));
        // Their files say observe; the fleet's operator has turned them on.
        foreach (var runbook in simulator.Runbooks.Runbooks)
            simulator.Control.Set(new ModeEntry(runbook.Name, cluster.Tenant, cluster.Name, mode, Who, Now));
    }
}
