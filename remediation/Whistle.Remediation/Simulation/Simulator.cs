using System.Text.RegularExpressions;

using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Agents;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Simulation;

/// <summary>
/// The engine as it ships (incidents, gates, runs, commands, alerting, over a real database in memory) on virtual time, with two server
/// processes, against a modelled fleet and all that can go wrong. One seed gives one course of events.
/// </summary>
public sealed partial class Simulator : IDisposable
{
    internal const string Somebody = "people";

    static readonly TimeSpan Rest = TimeSpan.FromHours(30);

    readonly PriorityQueue<Func<Task>, (long At, long Number)> _queue = new();
    readonly StateDatabase _database = StateDatabase.InMemory();
    readonly SimServer?[] _servers = new SimServer?[2];
    readonly int[] _generations = new int[2];
    readonly DateTimeOffset[] _downUntil = new DateTimeOffset[2];
    readonly Dictionary<(NodeId Node, string NodeFault), (DateTimeOffset Since, string NodeFault)> _cured = [];
    readonly SimulationReport _report;
    long _number;
    SimServer? _acting;
    bool _nested;
    DateTimeOffset _storesFailUntil;
    DateTimeOffset _troubledUntil;
    Violation? _violation;
    bool _dirty;

    Simulator(SimulationOptions options, RunbookSet runbooks)
    {
        (Options, Runbooks) = (options, runbooks);
        Chance = new(options.Seed);
        World = new(options);
        Judge = new(this);
        Incidents = new(_database);
        Runs = new(_database);
        Control = new(_database);
        Commands = new(_database);
        Agents = new(_database);
        _report = new() { Seed = options.Seed };
        People = new(this);
        foreach (var node in World.Nodes)
            node.Agent = new(this, node);
    }

    internal static DateTimeOffset Start { get; } = new(2026, 1, 5, 0, 0, 0, TimeSpan.Zero);

    internal DateTimeOffset Now { get; private set; } = Start;

    /// <summary>Ends the simulation before its time.</summary>
    internal CancellationToken Stop { get; private set; }

    internal SimulationOptions Options { get; }

    internal RunbookSet Runbooks { get; }

    internal Chance Chance { get; }

    internal World World { get; }

    internal Judge Judge { get; }

    internal People People { get; }

    internal IncidentStore Incidents { get; }

    internal RunStore Runs { get; }

    internal ControlStore Control { get; }

    internal CommandStore Commands { get; }

    internal AgentCommands Agents { get; }

    internal ILogger<RemediationHost> Logger { get; } = NullLogger<RemediationHost>.Instance;

    internal IReadOnlyList<Incident> Active { get; private set; } = [];

    /// <summary>Runs one simulation to its end, or to the first violation.</summary>
    public static async Task<SimulationReport> RunAsync(SimulationOptions options, CancellationToken cancellation)
    {
        var load = RunbookSet.Load(options.Runbooks);
        if (load.Runbooks is not { } runbooks)
            throw new ArgumentException(string.Join(Environment.NewLine, load.Errors), nameof(options));
        using var simulator = new Simulator(options, runbooks);
        return await simulator.GoAsync(cancellation);
    }

    // The inventory: a restored server asks whom it knows.
    async Task EnrollAsync(CancellationToken cancellation)
    {
        var credentials = new Credentials(_database, new SimClock(this));
        foreach (var node in World.Nodes)
            await credentials.EnrollAsync(node.Cluster.Id, node.Name, cancellation);
    }

    async Task<SimulationReport> GoAsync(CancellationToken cancellation)
    {
        Stop = cancellation;
        await EnrollAsync(cancellation);
        await People.ArrangeAsync(cancellation);
        var faults = Options.Script ?? Scenario.Of(Options);
        foreach (var fault in faults.Where(f => Options.Only?.Contains(f.Number) is not false))
            At(Start + fault.At, () => StrikeAsync(fault, cancellation));
        for (var i = 0; i < _servers.Length; i++)
            Boot(i);
        // All stages have their tables before anything goes wrong.
        await (await _database.OpenAsync(cancellation)).DisposeAsync();
        _database.Fault = MomentAsync;
        var end = Start + Options.Length;
        At(end, () => People.RepairEverythingAsync(cancellation));
        await RunUntilAsync(end + Rest, cancellation);
        if (_violation is null)
        {
            await RefreshAsync(cancellation);
            await Judge.AtRestAsync(Active, cancellation);
        }

        return _report with
        {
            End = await EndingAsync(cancellation),
            Violation = _violation,
            ClusterHours = (Now - Start).TotalHours * Options.Clusters,
            FaultsPlanned = faults.Count,
        };
    }

    internal void At(DateTimeOffset at, Action act) => At(at, () =>
    {
        act();
        return Task.CompletedTask;
    });

    internal void At(DateTimeOffset at, Func<Task> act) => _queue.Enqueue(act, ((at > Now ? at : Now).Ticks, _number++));

    internal void In(TimeSpan delay, Action act) => At(Now + delay, act);

    internal void In(TimeSpan delay, Func<Task> act) => At(Now + delay, act);

    internal void Trace(string what) => Options.Trace?.Invoke($"{Now:MM-dd HH:mm:ss.fff} {what}");

    internal void Trouble(string what) => _report.Troubles[what] = _report.Troubles.GetValueOrDefault(what) + 1;

    static void Count(Dictionary<string, long> counts, string what) => counts[what] = counts.GetValueOrDefault(what) + 1;

    internal void CountRefusal(GateName gate) => Count(_report.Refusals, gate.Word());

    internal void Violate(string invariant, string what)
    {
        _violation ??= new(invariant, Now, what);
        Trace($"VIOLATION {invariant}: {what}");
    }

    async Task RunUntilAsync(DateTimeOffset end, CancellationToken cancellation)
    {
        while (_violation is null && _queue.TryPeek(out _, out var next) && next.At <= end.Ticks)
        {
            var act = _queue.Dequeue();
            Now = new(next.At, TimeSpan.Zero);
            await act();
            if (_dirty)
                await AfterChangeAsync(cancellation);
        }

        if (_violation is null && Now < end)
            Now = end;
    }

    /// <summary>What the database tells of every write: here processes die, stores fail, and others act in between.</summary>
    async Task MomentAsync(StateMoment moment)
    {
        _dirty = true;
        if (_acting is not { } server)
            return;
        if (server.IsDead)
            throw new SimulatedFault("it is dead.");
        if (moment is StateMoment.BeforeBegin && Now < _storesFailUntil)
            throw new SimulatedFault("the store fails.");
        if (moment is not StateMoment.BeforeBegin && !server.IsAside && _report.Moments++ == Options.DieAt)
        {
            Die(server);
            throw new SimulatedFault($"it dies at {moment} of write {_report.Moments / 2}.");
        }

        if (Unlucky("crash", 0.0015))
        {
            Trouble($"server crash {moment}");
            Die(server);
            throw new SimulatedFault($"it dies at {moment}.");
        }

        if (moment is StateMoment.AfterCommit && Unlucky("unknown commit", 0.001))
        {
            Trouble("commit whose answer is lost");
            throw new SimulatedFault("the answer to the commit is lost.");
        }

        if (moment is StateMoment.BeforeBegin && !_nested && Unlucky("freeze", 0.01))
            await FreezeAsync(server, Stop);
    }

    /// <summary>Something goes wrong now.</summary>
    internal bool Unlucky(string stream, double probability) => !Options.Calm && Chance.Is(stream, probability);

    async Task<string> EndingAsync(CancellationToken cancellation)
    {
        var runs = (await Runs.SinceAsync(Start, cancellation)).Select(r =>
            $"{r.Runbook} {r.Attempt} {r.State}: "
            + $"{string.Join(", ", r.Reports.Select(s => $"{(s.Undo ? "undo " : "")}{s.Step} {s.Outcome}"))}");
        var incidents = (await Incidents.SinceAsync(Start, cancellation)).Select(i => $"{i.Title} {i.State}, {i.Reopened} times back");
        var cordons = World.Nodes.Where(n => n.CordonedBy is not null).Select(n => $"{n.Name} cordoned by {n.CordonedBy}");
        return string.Join('\n', [.. runs, .. incidents, .. cordons]);
    }

    // The process stands still while all others go on; then it writes what it had decided.
    async Task FreezeAsync(SimServer server, CancellationToken cancellation)
    {
        Trouble("server stands still");
        var length = Chance.Is("long freeze", 0.3) ? Chance.Seconds("freeze", 20, 90) : Chance.Seconds("freeze", 0, 6);
        Trace($"{server.Owner} stands still for {length.TotalSeconds:0.0} s");
        (_nested, server.IsFrozen) = (true, true);
        var acting = _acting;
        _acting = null;
        // What it did until now is judged before others act.
        await AfterChangeAsync(cancellation);
        TakeOver();
        await StirAsync(cancellation);
        await RunUntilAsync(Now + length, cancellation);
        _acting = acting;
        (_nested, server.IsFrozen) = (false, false);
        _troubledUntil = Now + TimeSpan.FromSeconds(30);
    }

    void Die(SimServer server)
    {
        server.IsDead = true;
        var index = server.Name == "a" ? 0 : 1;
        _servers[index] = null;
        var length = Chance.Is("long crash", 0.1) ? Chance.Seconds("crash", 60, 900) : Chance.Seconds("crash", 1, 30);
        _downUntil[index] = Now + length;
        _troubledUntil = Now + length;
        Trace($"{server.Owner} dies for {length.TotalSeconds:0} s");
        In(length, () => Boot(index));
        TakeOver();
    }

    // Passes are only made when something is due; in a server they come every second, so that the other sees a lease end at once.
    void TakeOver() => In(TimeSpan.FromSeconds(31 + Chance.Below("takeover", 5)), () => StirAsync(Stop));

    void Boot(int index)
    {
        if (_servers[index] is not null)
            return;
        var server = new SimServer(this, _database, index == 0 ? "a" : "b", ++_generations[index]);
        _servers[index] = server;
        Trace($"{server.Owner} starts");
        Schedule(server, Now + Chance.Seconds("boot", 0.5, 3));
    }

    void Schedule(SimServer server, DateTimeOffset at)
    {
        if (server.NextPass is { } planned && planned <= at)
            return;
        server.NextPass = at;
        At(at, () => PassAsync(server, at, Stop));
    }

    async Task PassAsync(SimServer server, DateTimeOffset at, CancellationToken cancellation)
    {
        if (server.IsDead || server.NextPass != at)
            return;
        server.NextPass = null;
        if (server.IsFrozen)
        {
            Schedule(server, Now + TimeSpan.FromSeconds(1));
            return;
        }

        var began = Now;
        _report.Passes++;
        await AsAsync(server, () => server.PassAsync(cancellation), cancellation);
        await RefreshAsync(cancellation);
        // One that stood still in its midst took its leases with an old clock.
        if (server is { IsDead: false, IsDisturbed: false } && Now == began)
            await Judge.PassedAsync(server, cancellation);
        if (server.IsDead)
            server.Dispose();
        else
            Schedule(server, server.Due(server.Clock.GetUtcNow()) - server.Clock.Offset);
    }

    /// <summary>Something that a server process does; it may fail or die in the midst of it.</summary>
    internal Task AsAsync(SimServer? server, Func<Task> act, CancellationToken cancellation) => AsAsync(server, _ => act(), cancellation);

    internal async Task AsAsync(SimServer? server, Func<SimServer, Task> act, CancellationToken cancellation)
    {
        if (server is null || server.IsDead)
            return;
        var before = _acting;
        _acting = server;
        try
        {
            await act(server);
        }
        catch (SimulatedFault e)
        {
            Trace($"{server.Owner}: {e.Message}");
        }
        finally
        {
            _acting = before;
        }
    }

    /// <summary>One that answers now; null where none does.</summary>
    internal SimServer? Server(string stream)
    {
        var able = _servers.Where(s => s is { IsDead: false, IsFrozen: false }).ToList();
        return able.Count == 0 ? null : Chance.Pick($"{stream} server", able);
    }

    async Task AfterChangeAsync(CancellationToken cancellation)
    {
        await RefreshAsync(cancellation);
        await Judge.ObserveAsync(Runs, cancellation);
        if (Active.Count > 0 && _servers.FirstOrDefault(s => s is not null) is { } any)
            await Judge.WatchAsync(Active, await any.Pager.PagedAsync(cancellation), cancellation);
        foreach (var node in await WaitingAsync(cancellation))
            World.Find(node.ClusterId).Find(node.Node).Agent.Wake();
        await People.LookAsync(Active, cancellation);
        _dirty = false;
    }

    /// <summary>Something has changed: the next passes come soon.</summary>
    internal async Task StirAsync(CancellationToken cancellation)
    {
        foreach (var server in _servers)
        {
            if (server is { IsFrozen: false })
                Schedule(server, Now + Chance.Seconds("pass", 0.5, 4));
        }
    }

    async Task RefreshAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        Active = await IncidentStore.ActiveAsync(connection, cancellation: cancellation);
    }

    async Task<List<NodeId>> WaitingAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await connection.QueryAsync(
            "SELECT DISTINCT tenant, cluster, node FROM commands WHERE state IN ('Offered', 'Leased', 'Begun') AND state <> 'Begun'",
            r => new NodeId(r.GetString(0), r.GetString(1), r.GetString(2)), cancellation);
    }

    internal ClusterFacts? Facts(ClusterId cluster)
    {
        var found = World.Find(cluster);
        return found.Facts(Now, Now < found.SilentUntil ? found.SilentFrom : World.LateSince ?? Now);
    }

    internal bool Holds(string expression) => NodeIsUp().Match(expression) is not { Success: true } match
        || World.Clusters.First(c => c.Name == match.Groups[1].Value).Find(match.Groups[2].Value) is { } node && node.Ready(Now)
            && World.Unheard(node, Now) is null;

    internal TimeSpan? Deadline(string severity) => _servers.FirstOrDefault(s => s is not null)?.Pager.Deadline(severity);

    /// <summary>No server has been up all the time recently.</summary>
    internal bool DownLately(TimeSpan slack) =>
        Now < _troubledUntil + slack || Now < _storesFailUntil + slack || _servers.All(s => s is null);

    internal async Task<bool> BegunAsync(Run run, CancellationToken cancellation) =>
        await Commands.FindAsync(run.CommandId, cancellation) is { State: CommandState.Begun };

    internal void FailStores(TimeSpan length) => _storesFailUntil = Now + length;

    internal void Ended(Run run)
    {
        Trace($"{run.Id} of {run.Runbook} ended as {run.State}: {run.Reason}");
        Count(_report.Runs, run.State.ToString());
        _report.Commands += run.Issued;
        if (run.State is not RunState.Succeeded || _cured.Keys.Where(k => k.Node == run.NodeId).Take(1).ToList() is not [var cured])
            return;
        _report.Repairs++;
        _report.RepairTime += Now - _cured[cured].Since;
        _cured.Remove(cured);
    }

    /// <summary>What an action does to the world, and what its agent says of it.</summary>
    internal async Task<(CommandOutcome Outcome, string Summary, string? Output)> CarryAsync(
        SimNode executor, LeasedCommand command, Func<string, string?> text, CancellationToken cancellation)
    {
        var other = command.Action.StartsWith("kubernetes.", StringComparison.Ordinal)
            || command.Action.StartsWith("etcd.", StringComparison.Ordinal) ? text("node") : null;
        var target = other is null ? executor : executor.Cluster.Find(other);
        Trace($"does {command.Id} {command.Action} on {target.Cluster.Name}/{target.Name}");
        await Judge.ExecutedAsync(command.Id, command.Action, target, command.Action == "etcd.replace-member", cancellation);
        switch (command.Action)
        {
            case ActionCatalogue.Cordon:
                var before = target.CordonedBy;
                target.CordonedBy ??= text("owner") ?? "nobody";
                return (CommandOutcome.Succeeded, before is null ? "cordoned." : $"cordoned already by {before}.", "{}");
            case ActionCatalogue.Uncordon:
                var owner = text("owner") ?? "nobody";
                if (text("owner") is null || target.CordonedBy == owner)
                {
                    Judge.Uncordoned(target, target.CordonedBy, owner);
                    target.CordonedBy = null;
                }

                return (CommandOutcome.Succeeded, "let go.", "{}");
            case "kubernetes.drain":
                return Now < target.Cluster.BudgetSpentUntil
                    ? (CommandOutcome.Failed, "shop/db lets no pod be evicted.", "{}")
                    : (CommandOutcome.Succeeded, "drained.", "{}");
            case "node.reboot":
                (target.DownFrom, target.DownUntil) = (Now, Now + Chance.Seconds("reboot", 60, 240));
                break;
            case "etcd.replace-member":
                target.ReplacedUntil = Now + Chance.Seconds("replace", 90, 240);
                break;
        }

        var done = command.Action == "unit.restart" ? $"{command.Action} {text("unit")}" : command.Action;
        foreach (var problem in target.Problems.ToList())
        {
            var (_, helps) = problem.NodeFault.Cures.FirstOrDefault(c => c.Action == done);
            if (helps > 0 && !problem.Hopeless && Chance.Is($"cure {target.Cluster.Name}/{target.Name}", helps))
                Cure(problem);
        }

        if (command.Action is "unit.restart" && text("unit") is "systemd-timesyncd.service" or "ntp.service")
            return (CommandOutcome.Refused, "there is no such unit.", null);
        await StirAsync(cancellation);
        return (CommandOutcome.Succeeded, "done.", """{"was":100,"is":150,"changed":["kubelet"]}""");
    }

    void Cure(Problem problem)
    {
        if (problem.Node.Problems.Remove(problem))
            _cured[(problem.Node.Id, problem.NodeFault.Name)] = (problem.Since, problem.NodeFault.Name);
        // The detector sees it at its next evaluation.
        In(World.Interval, () => StirAsync(Stop));
    }

    internal void Heal(Problem problem)
    {
        problem.Node.Problems.Remove(problem);
        In(World.Interval, () => StirAsync(Stop));
    }

    public void Dispose()
    {
        _database.Fault = null;
        foreach (var server in _servers)
            server?.Dispose();
        _report.Pages = People.Pages;
        _database.Dispose();
    }

    [GeneratedRegex("""\Aup\{cluster="([^"]*)", node="([^"]*)"\} == 1\z""")]
    private static partial Regex NodeIsUp();
}
