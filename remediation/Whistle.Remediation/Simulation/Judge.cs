using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Simulation;

/// <summary>
/// Holds what happens to what must always be so. It keeps its own books and asks the world itself, so that it does not repeat a mistake of
/// what it judges.
/// </summary>
sealed class Judge(Simulator simulator)
{
    static readonly TimeSpan LeaseSlack = TimeSpan.FromSeconds(5);
    static readonly TimeSpan PageSlack = TimeSpan.FromMinutes(3);

    sealed class LiveRun
    {
        public required Run Run { get; set; }

        public required Runbook Runbook { get; init; }

        public required bool ControlPlane { get; init; }

        /// <summary>Its remaining plan when it was first permitted.</summary>
        public required ActionTraits Traits { get; set; }

        public bool Changed { get; set; }

        public bool Under { get; set; }
    }

    readonly Dictionary<string, LiveRun> _active = [];
    readonly HashSet<string> _live = [];
    readonly HashSet<string> _executed = [];
    readonly HashSet<string> _finished = [];
    readonly HashSet<(string Run, string Step)> _indeterminate = [];
    // Which step of which run changed something, however often its command was given out.
    readonly HashSet<(string Run, string Step)> _steps = [];
    readonly HashSet<string> _changed = [];
    readonly Dictionary<string, (Run Run, DateTimeOffset At)> _attempts = [];
    readonly Dictionary<ClusterId, DateTimeOffset> _replacing = [];
    readonly Dictionary<string, DateTimeOffset> _due = [];
    readonly Dictionary<string, (bool Held, string Severity)> _watched = [];
    readonly Dictionary<string, (string Hash, DateTimeOffset Until)> _approved = [];

    DateTimeOffset Now => simulator.Now;

    /// <summary>A person has seen this plan and said yes to it.</summary>
    public void Approved(string run, string step, string hash, DateTimeOffset until) => _approved[$"{run}/{step}"] = (hash, until);

    public async Task LeasedAsync(SimNode node, string id, CancellationToken cancellation)
    {
        Hold(!_finished.Contains(id), "no command executed twice", $"{id} was leased to {node.Name} again after its result.");
        var command = await FindAsync(id, cancellation);
        if (command is not null && command.Action != ActionCatalogue.Uncordon)
            Hold(
                !_indeterminate.Contains((command.RunId, $"{command.Undo}{command.Step}")), "an indeterminate command is never sent again",
                $"{id} repeats {command.Step}, whose result is not known.");
    }

    public async Task PermittedAsync(SimServer server, SimNode node, LeasedCommand leased, CancellationToken cancellation)
    {
        await ObserveAsync(server.Runs, cancellation);
        var command = (await FindAsync(leased.Id, cancellation))!;
        var run = (await server.Runs.FindAsync(command.RunId, cancellation))!;
        var runbook = (await server.Runs.RunbookOfAsync(run, cancellation))!;
        var cluster = simulator.World.Find(run.ClusterId);
        var target = cluster.Find(run.Node);
        var traits = ActionCatalogue.TraitsOf(command.Action, n => leased.Parameters.TryGetProperty(n, out var v) ? v.GetString() : null);
        var what = $"{command.Id} ({run.Runbook}: {command.Step}) on {run.Cluster}/{run.Node}";
        simulator.Trace($"permit: {what}");
        var control = simulator.Control;
        Hold(!(await control.KillSwitchAsync(cancellation)).On, "no permit after the kill switch", what);
        Hold(
            !(await control.PausesAsync(Now, cancellation)).Any(p => p.Covers(run.NodeId, run.Runbook, Now)),
            "no permit in a paused scope", what);
        Quorum(run, target, cluster, traits, what);
        if (!command.Undo)
            await ForwardAsync(server, run, runbook, target, traits, what, cancellation);
        var live = _active.TryGetValue(run.Id, out var known)
            ? known : _active[run.Id] = new() { Run = run, Runbook = runbook, ControlPlane = target.ControlPlane, Traits = traits };
        live.Traits = live.Traits.And(traits);
        live.Under = true;
        if (!command.Undo)
            Budgets(live, what);
        if (node != target)
            Hold(node.ControlPlane && node.Cluster == cluster, "what acts on another node is a control plane", what);
    }

    async Task ForwardAsync(
        SimServer server, Run run, Runbook runbook, SimNode target, ActionTraits traits, string what, CancellationToken cancellation)
    {
        var control = simulator.Control;
        var (mode, _) = ControlStore.ModeOf(await control.ModesAsync(cancellation), runbook, run.ClusterId);
        Hold(mode is RunbookMode.Automatic or RunbookMode.Approve, "no permit in mode off or observe", $"{what}: {mode}");
        if (mode is RunbookMode.Approve)
        {
            var yes = _approved.TryGetValue($"{run.Id}/", out var given) && given.Hash == run.PlanHash
                && given.Until > server.Clock.GetUtcNow();
            Hold(yes, "no permit without a yes to this very plan", what);
        }

        var now = server.Clock.GetUtcNow();
        if (traits.TakesNodeDown && runbook.Gates.Window is not WindowRule.Ignored && !run.Reports.Any(r => r.Changed))
            Hold(
                WindowView.Of(await control.WindowsAsync(cancellation), run.ClusterId, now).OpenUntil > now,
                "nothing outside of its window", what);
        if (traits.Disruptive && !run.Reports.Any(r => r.Changed))
            Hold(
                !(await control.FreezesAsync(now, cancellation)).Any(f => f.Covers(run.ClusterId, now)),
                "nothing during a change freeze", what);
        // As the detector last said, which may be a little ago; how long at most, comes next.
        var told = simulator.World.StalledSince is { } since && since < now ? since : now;
        var firing = target.Problems.Where(p => run.Answers.Contains(p.NodeFault.Signal)).Select(p => World.State(p, told, out _))
            .OfType<Condition>().ToList();
        Hold(
            firing.Exists(c => c.State is SignalState.Firing), "no permit on what is unknown or not so",
            $"{what}: {string.Join(", ", firing.Select(c => c.State))}");
        Hold(
            simulator.World.StalledSince is not { } stalled || now - stalled <= runbook.Gates.Freshness + TimeSpan.FromSeconds(1),
            "no permit on stale evidence", what);
        var before = _attempts.Values.Where(a => a.Run.Runbook == run.Runbook && a.Run.Id != run.Id).ToList();
        foreach (var (_, ended) in before.Where(a => Target(a.Run) == Target(run)))
            Hold(
                now - ended >= runbook.Gates.CoolDown - TimeSpan.FromSeconds(10), "cool-down",
                $"{what}: the attempt before ended at {ended:HH:mm:ss}");
        Hold(before.Count(a => a.Run.IncidentId == run.IncidentId) < runbook.Gates.Attempts, "no more attempts than may be", what);
    }

    void Quorum(Run run, SimNode target, SimCluster cluster, ActionTraits traits, string what)
    {
        if (!traits.StopsVoter || !target.ControlPlane)
            return;
        var voters = cluster.Voters.Where(n => Now >= n.ReplacedUntil).ToList();
        var others = voters.Count(n => n != target && n.VoterHealthy(Now));
        var after = traits.ReplacesVoter ? voters.Count - 1 : voters.Count;
        Hold(others >= (after / 2) + 1, "quorum", $"{what}: {others} of {voters.Count} other voters are healthy");
        Hold(voters.Count == cluster.Voters.Count(), "no member is touched while another is replaced", what);
        if (traits.TakesNodeDown && target.VoterHealthy(Now))
            Hold(others == voters.Count - 1, "a healthy voter goes only while all others are healthy", what);
    }

    void Budgets(LiveRun live, string what)
    {
        var run = live.Run;
        var others = _active.Values.Where(a => a != live && (a.Under || a.Changed)).ToList();
        var zone = simulator.World.Find(run.ClusterId).Find(run.Node).Zone;
        foreach (var (scope, most) in live.Runbook.Gates.MaxConcurrent)
        {
            var count = others.Count(o => scope switch
            {
                "fleet" => true,
                "tenant" => o.Run.Tenant == run.Tenant,
                "cluster" => SameCluster(o.Run, run),
                "zone" => SameCluster(o.Run, run) && simulator.World.Find(run.ClusterId).Find(o.Run.Node).Zone == zone,
                _ => SameCluster(o.Run, run) && o.Run.Node == run.Node,
            });
            Hold(
                count < most, "budgets",
                $"{what}: {count} others at work in the {scope}, {most} may be: {string.Join(", ", others.Select(o => o.Run.Id))}");
        }

        if (live is { ControlPlane: true, Traits: { } t } && (t.Disruptive || t.StopsVoter))
        {
            Hold(
                !others.Exists(o => o.ControlPlane && o.Traits.Disruptive && SameCluster(o.Run, run) && o.Run.Node != run.Node),
                "one control-plane node of a cluster at a time", what);
        }
    }

    public async Task ExecutedAsync(string id, string action, SimNode target, bool replaces, CancellationToken cancellation)
    {
        Hold(_executed.Add(id), "no command executed twice", $"{id} ({action}) on {target.Name}");
        if (await FindAsync(id, cancellation) is { Undo: false } command)
        {
            _changed.Add(command.RunId);
            Hold(_steps.Add((command.RunId, command.Step)), "no step of a run done twice", $"{id} ({action}) on {target.Name}");
        }

        if (!replaces)
            return;
        var key = target.Cluster.Id;
        Hold(!_replacing.TryGetValue(key, out var until) || until <= Now, "never two members replaced at once", id);
        _replacing[key] = target.ReplacedUntil;
    }

    public void Uncordoned(SimNode node, string? owner, string by) =>
        Hold(owner is null || owner == by, "no foreign cordon removed", $"{by} took the cordon of {owner} off {node.Name}");

    /// <summary>After everything that may have changed the state.</summary>
    public async Task ObserveAsync(RunStore runs, CancellationToken cancellation)
    {
        var now = new HashSet<string>();
        await using var connection = await runs.Database.OpenAsync(cancellation);
        foreach (var id in await connection.QueryAsync("SELECT id FROM runs WHERE ended_at IS NULL", r => r.GetString(0), cancellation))
        {
            now.Add(id);
            _live.Add(id);
        }

        foreach (var (id, state, run, step, undo) in await connection.QueryAsync(
            "SELECT id, outcome, run, step, undo FROM commands WHERE state = 'Done' AND run IN (SELECT id FROM runs "
            + "WHERE ended_at IS NULL)",
            r => (r.GetString(0), r.OptionalText(1), r.GetString(2), r.GetString(3), r.GetInt64(4) != 0), cancellation))
        {
            _finished.Add(id);
            if (state is "Indeterminate")
                _indeterminate.Add((run, $"{undo}{step}"));
        }

        foreach (var (id, live) in _active)
        {
            if (now.Contains(id) && await runs.FindAsync(id, cancellation) is { } run)
            {
                live.Run = run;
                live.Changed |= run.Reports.Any(r => r.Changed);
                // A command that ended without a change leaves the run where it was.
                live.Under = run.State is RunState.Running && await simulator.BegunAsync(run, cancellation);
            }
        }

        foreach (var id in _live.Where(id => !now.Contains(id)).ToList())
        {
            _live.Remove(id);
            await EndedAsync((await runs.FindAsync(id, cancellation))!, cancellation);
        }
    }

    async Task EndedAsync(Run run, CancellationToken cancellation)
    {
        _active.Remove(run.Id);
        simulator.Ended(run);
        var target = simulator.World.Find(run.ClusterId).Find(run.Node);
        Hold(target.CordonedBy != run.Id, "no cordon left that no run owns", $"{run.Id} ended as {run.State} and left {run.Node} cordoned");
        if (run.IsAttempt)
            _attempts[run.Id] = (run, run.EndedAt!.Value);

        if (run.State is not RunState.Succeeded)
            return;
        var incident = (await simulator.Incidents.FindAsync(run.IncidentId, cancellation))!;
        Hold(
            !incident.Signals.Any(s => s.Unknown), "unknown is not repaired",
            $"{run.Id} succeeded while {string.Join(", ", incident.Signals.Where(s => s.Unknown).Select(s => s.Name))} is unknown");
        Hold(
            incident.Signals.All(s => s.IsClear), "only the detector says that it is repaired",
            $"{run.Id} succeeded while signals of {incident.Id} hold");
    }

    /// <summary>Incidents and runs as they are kept, every now and then.</summary>
    public async Task WatchAsync(
        IReadOnlyList<Incident> active, IReadOnlyDictionary<string, DateTimeOffset> paged, CancellationToken cancellation)
    {
        foreach (var incident in active)
        {
            if (simulator.Deadline(incident.Severity) is not { } deadline || paged.ContainsKey(incident.Id))
            {
                _due.Remove(incident.Id);
                continue;
            }

            // A person who has taken it on, quiet signals and a server that is down hold a page; nothing else does.
            var held = incident.State is IncidentState.Recovering
                || await simulator.Incidents.AcknowledgementAsync(incident.Id, Now, cancellation) is not null
                || simulator.DownLately(PageSlack);
            // What held it may have ended, and it may have become worse, just before this look.
            var before = _watched.GetValueOrDefault(incident.Id, (held, incident.Severity));
            _watched[incident.Id] = (held, incident.Severity);
            if (held || before != (held, incident.Severity))
                _due[incident.Id] = Now + PageSlack;
            var due = incident.Reopened == 0
                ? incident.OpenedAt + deadline + PageSlack
                : incident.Signals.Min(s => s.Since) + deadline + PageSlack;
            if (incident.Reopened > 0 && incident.Onsets.Count > 0)
                due = incident.Onsets[^1] + deadline + PageSlack;
            if (_due.TryGetValue(incident.Id, out var later) && later > due)
                due = later;
            if (Now <= due)
                continue;
            foreach (var entry in await simulator.Incidents.TimelineAsync(incident.Id, cancellation))
                simulator.Trace($"{incident.Id} at {entry.At:MM-dd HH:mm:ss}: {entry.Kind.Word()}: {entry.Text} ({entry.Count}×)");
            Hold(
                false, "closed or paged within the deadline",
                $"{incident.Id} ({incident.Title}) is open since {incident.OpenedAt:HH:mm:ss} and nobody was paged");
        }
    }

    /// <summary>After a pass that nothing disturbed.</summary>
    public async Task PassedAsync(SimServer server, CancellationToken cancellation)
    {
        await using var connection = await simulator.Runs.Database.OpenAsync(cancellation);
        foreach (var (id, owner) in await connection.QueryAsync(
            """
            SELECT id, owner FROM runs WHERE ended_at IS NULL AND created_at < $now
                AND NOT EXISTS (SELECT 1 FROM run_owners o WHERE o.owner = runs.owner AND o.until_at >= $now)
            """,
            r => (r.GetString(0), r.GetString(1)), cancellation, ("$now", server.Clock.GetUtcNow() - LeaseSlack)))
            Hold(false, "no run without an owner for longer than the lease", $"{id}, of {owner}, has none after a pass of {server.Owner}");
    }

    /// <summary>
    /// An older state is back: of what it has lost, only that counts on which something was done, and it ended now at the latest.
    /// </summary>
    public async Task RestoredAsync(CancellationToken cancellation)
    {
        var known = (await simulator.Runs.SinceAsync(Simulator.Start, cancellation)).ToDictionary(r => r.Id);
        foreach (var (id, live) in _active.Where(a => !known.ContainsKey(a.Key) && _changed.Contains(a.Key)).ToList())
            _attempts.TryAdd(id, (live.Run, Now));
        foreach (var id in _attempts.Keys.Where(id => known.ContainsKey(id) || !_changed.Contains(id)).ToList())
            _attempts.Remove(id);
        foreach (var run in known.Values.Where(r => r.IsAttempt))
            _attempts[run.Id] = (run, run.EndedAt!.Value);
        foreach (var id in _active.Keys.Where(id => !known.ContainsKey(id)).ToList())
            _active.Remove(id);
        _live.Clear();
    }

    /// <summary>Every agent that could has reported to a restored server what it did.</summary>
    public async Task AgreedAsync(DateTimeOffset restoredAt, TimeSpan within, CancellationToken cancellation)
    {
        if ((await simulator.Runs.LineageAsync(cancellation)).RestoredAt.ToUnixTimeMilliseconds() != restoredAt.ToUnixTimeMilliseconds()
            || simulator.DownLately(within))
            return;
        foreach (var node in simulator.World.Nodes.Where(n => n.Agent.IsFree(within)))
        {
            var asked = await simulator.Agents.JournalWantedAsync(new(node.Id), cancellation);
            Hold(
                asked is null, "agents and a restored server agree",
                $"{node.Cluster.Name}/{node.Name} has not reported what it did {within.TotalMinutes:0} min after it could.");
        }
    }

    /// <summary>Every fault is repaired and the fleet had its time.</summary>
    public async Task AtRestAsync(IReadOnlyList<Incident> active, CancellationToken cancellation)
    {
        var live = await simulator.Runs.LiveAsync(cancellation);
        Hold(
            live.Count == 0, "every run ends",
            string.Join(", ", live.Select(r => $"{r.Id} of {r.Runbook} is {r.State}: {r.Reason} {r.Undoing}")));
        Hold(active.Count == 0, "every incident ends", string.Join(", ", active.Select(i => $"{i.Id} is {i.State}")));
        var cordoned = simulator.World.Nodes.Where(n => n.CordonedBy is not null and not Simulator.Somebody).ToList();
        Hold(
            cordoned.Count == 0, "no cordon left that no run owns", string.Join(", ", cordoned.Select(n => $"{n.Name} by {n.CordonedBy}")));
    }

    void Hold(bool so, string invariant, string what)
    {
        if (!so)
            simulator.Violate(invariant, what);
    }

    async Task<Command?> FindAsync(string id, CancellationToken cancellation) => await simulator.Commands.FindAsync(id, cancellation);

    static bool SameCluster(Run a, Run b) => a.ClusterId == b.ClusterId;

    static string Target(Run run) => $"{run.ClusterId}/{run.Subject}";
}
