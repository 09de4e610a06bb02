using System.Text.Json;

using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Runbooks;

namespace Whistle.Remediation.Simulation;

/// <summary>
/// A node's agent, as the real one behaves: it writes its intent before it changes anything, never does a command twice, and after a new
/// start reports an intent without a result as indeterminate. On its way, everything may be lost, late or double.
/// </summary>
sealed class SimAgent(Simulator simulator, SimNode node)
{
    sealed class Entry
    {
        public required LeasedCommand Command { get; init; }

        public bool Intent { get; set; }

        public CommandResult? Result { get; set; }

        public DateTimeOffset At { get; set; }
    }

    readonly Dictionary<string, Entry> _journal = [];

    // Reported and acknowledged; the real one keeps them for a while too.
    readonly Dictionary<string, Entry> _done = [];
    readonly Sender _sender = new(node.Id);
    readonly string _stream = $"agent {node.Cluster.Name}/{node.Name}";
    bool _polling;
    string? _busy;

    /// <summary>It does not run until then.</summary>
    public DateTimeOffset DeadUntil { get; set; }

    public DateTimeOffset DeadFrom { get; set; }

    /// <summary>It cannot reach the server until then.</summary>
    public DateTimeOffset CutOffUntil { get; set; }

    public DateTimeOffset CutOffFrom { get; set; }

    /// <summary>It says that it has done what it has not, until then.</summary>
    public DateTimeOffset LiesUntil { get; set; }

    DateTimeOffset Now => simulator.Now;

    Chance Chance => simulator.Chance;

    bool IsAlive => Now >= DeadUntil && !node.IsDown(Now);

    bool Reaches => IsAlive && Now >= CutOffUntil && Now >= node.Cluster.SilentUntil;

    /// <summary>Since when nothing came from it as of then.</summary>
    public DateTimeOffset? SilentSince(DateTimeOffset at)
    {
        DateTimeOffset? since = null;
        void Add(DateTimeOffset from, DateTimeOffset until)
        {
            if (from <= at && at < until && (since is null || from < since))
                since = from;
        }

        Add(DeadFrom, DeadUntil);
        Add(CutOffFrom, CutOffUntil);
        Add(node.DownFrom, node.DownUntil);
        return since;
    }

    /// <summary>A command may be waiting.</summary>
    public void Wake()
    {
        if (_polling)
            return;
        _polling = true;
        simulator.In(Chance.Seconds(_stream, 0.1, 4), () => PollAsync(simulator.Stop));
    }

    public void Crash(TimeSpan length)
    {
        (DeadFrom, DeadUntil) = (Now, Now + length);
        simulator.In(length + TimeSpan.FromSeconds(1), () => StartAsync(simulator.Stop));
    }

    /// <summary>After a new start: what it began and has no result of is indeterminate.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        if (!IsAlive)
            return;
        _busy = null;
        foreach (var entry in _journal.Values.Where(e => e is { Intent: true, Result: null }))
            entry.Result = new(entry.Command.Token, CommandOutcome.Indeterminate, "It was begun before a new start.", null);
        foreach (var entry in _journal.Values.Where(e => !e.Intent && e.Result is null).ToList())
            _journal.Remove(entry.Command.Id);
        foreach (var id in _journal.Keys.ToList())
            await ReportAsync(id, cancellation);
        Wake();
    }

    async Task PollAsync(CancellationToken cancellation)
    {
        _polling = false;
        if (_busy is not null || !Reaches || _journal.Values.Any(e => e.Result is not null))
        {
            if (IsAlive)
                Again();
            return;
        }

        if (simulator.Server(_stream) is not { } server)
        {
            Again();
            return;
        }

        if (await AskedAsync(server, cancellation) is { } generation)
        {
            await TellAsync(server, generation, cancellation);
            return;
        }

        IReadOnlyList<LeasedCommand>? leased = null;
        await simulator.AsAsync(server, async () => leased = [.. (await server.Host.Agents.LeaseAsync(
            _sender, server.Clock.GetUtcNow(), cancellation)).Select(Remediation.Commands.CommandStore.ToLeased)], cancellation);
        if (leased is null || simulator.Unlucky($"{_stream} lease lost", 0.02))
        {
            simulator.Trouble("lost lease");
            Again();
            return;
        }

        if (leased.Count > 0)
            await TakeAsync(leased[0], cancellation);
    }

    async Task<string?> AskedAsync(SimServer server, CancellationToken cancellation)
    {
        string? generation = null;
        await simulator.AsAsync(
            server, async () => generation = await server.Host.Agents.JournalWantedAsync(_sender, cancellation), cancellation);
        return generation;
    }

    // All that it remembers; some of it was written by an earlier release, which did not note whether it had begun.
    async Task TellAsync(SimServer server, string generation, CancellationToken cancellation)
    {
        var entries = _done.Values.Concat(_journal.Values.Where(e => e.Result is not null))
            .OrderBy(e => e.At).ThenBy(e => e.Command.Id, StringComparer.Ordinal).Select(e => new JournalEntry(
                e.Command.Id, e.Command.Action, e.At.ToUnixTimeMilliseconds(), e.Result!.Outcome, e.Result.Summary,
                simulator.Unlucky($"{_stream} old journal", 0.1) ? null : e.Intent, e.Command.Step, e.Command.Undo)).ToList();
        await simulator.AsAsync(server, () => server.Host.Agents.TakeJournalAsync(
            _sender, new(generation, Simulator.Start.ToUnixTimeMilliseconds(), entries, More: false), server.Clock.GetUtcNow(),
            cancellation), cancellation);
        await simulator.StirAsync(cancellation);
        Wake();
    }

    /// <summary>It had nothing else to do and could reach a server for so long.</summary>
    public bool IsFree(TimeSpan length) => Reaches && _busy is null && _journal.Count == 0 && Now - CutOffUntil >= length
        && Now - DeadUntil >= length && Now - node.DownUntil >= length && Now - node.Cluster.SilentUntil >= length;

    void Again() => simulator.In(Chance.Seconds(_stream, 5, 40), () =>
    {
        if (!_polling && IsAlive)
            Wake();
    });

    async Task TakeAsync(LeasedCommand command, CancellationToken cancellation)
    {
        // The same id is never done twice, whatever the server sends.
        if (_done.ContainsKey(command.Id))
            return;
        if (_journal.TryGetValue(command.Id, out var known))
        {
            if (known.Result is not null)
                known.Result = known.Result with { Token = command.Token };
            await ReportAsync(command.Id, cancellation);
            return;
        }

        _busy = command.Id;
        _journal[command.Id] = new() { Command = command };
        await simulator.Judge.LeasedAsync(node, command.Id, cancellation);
        var traits = ActionCatalogue.TraitsOf(command.Action, n => Text(command, n));
        if (traits.ReadOnly || command.DryRun)
            simulator.In(
                Chance.Seconds(_stream, 1, 20),
                async () => await FinishAsync(command, CommandOutcome.Succeeded, "read.", "{}", cancellation));
        else
            simulator.In(Chance.Seconds(_stream, 0.05, 5), () => AskAsync(command, tries: 0, cancellation: cancellation));
    }

    async Task AskAsync(LeasedCommand command, int tries, CancellationToken cancellation)
    {
        if (_busy != command.Id)
            return;
        if (tries == 5)
        {
            await FinishAsync(command, CommandOutcome.Refused, "The server gave no answer.", null, cancellation);
            return;
        }

        if (!Reaches || simulator.Server(_stream) is not { } server)
        {
            simulator.In(Chance.Seconds(_stream, 2, 10), () => AskAsync(command, tries + 1, cancellation));
            return;
        }

        await simulator.People.AboutToBeginAsync(command.Id, cancellation);
        var asked = Now;
        BeginAnswer? answer = null;
        await simulator.AsAsync(
            server, async () => answer = await server.Host.BeginAsync(_sender, command.Id, command.Token, cancellation), cancellation);
        // As the real one, it counts from when it asked.
        var late = answer is { Granted: true } && Now - asked >= TimeSpan.FromSeconds(answer.Seconds);
        if (answer is { Granted: true } && !late)
            await simulator.Judge.PermittedAsync(server, node, command, cancellation);
        await simulator.StirAsync(cancellation);
        if (answer is null || late || simulator.Unlucky($"{_stream} permit lost", 0.02))
        {
            simulator.Trouble(late ? "late permit" : "lost permit");
            simulator.In(Chance.Seconds(_stream, 2, 10), () => AskAsync(command, tries + 1, cancellation));
        }
        else if (!answer.Granted)
        {
            await FinishAsync(command, CommandOutcome.Refused, answer.Reason ?? "no", null, cancellation);
        }
        else
        {
            _journal[command.Id].Intent = true;
            await ActAsync(command, cancellation);
        }
    }

    async Task ActAsync(LeasedCommand command, CancellationToken cancellation)
    {
        if (simulator.Unlucky($"{_stream} dies", 0.01))
        {
            simulator.Trouble("agent crash before the change");
            Crash(Chance.Seconds(_stream, 20, 300));
            return;
        }

        var (outcome, summary, output) = Now < LiesUntil
            ? (CommandOutcome.Succeeded, "It says so.", "{}")
            : await simulator.CarryAsync(node, command, n => Text(command, n), cancellation);
        if (Now < LiesUntil)
            simulator.Trouble("agent lies");
        if (simulator.Unlucky($"{_stream} dies after", 0.01))
        {
            simulator.Trouble("agent crash after the change");
            Crash(Chance.Seconds(_stream, 20, 300));
            return;
        }

        if (simulator.Unlucky($"{_stream} hangs", 0.01))
        {
            simulator.Trouble("agent hangs");
            // Somebody restarts it, long after the command's time.
            simulator.In(Chance.Seconds(_stream, 600, 3600), () => Crash(TimeSpan.FromSeconds(5)));
            return;
        }

        // A node that restarts answers when it is back.
        var wait = node.IsDown(Now) ? node.DownUntil - Now + TimeSpan.FromSeconds(20) : Chance.Seconds(_stream, 0.5, 30);
        simulator.In(wait, () => FinishAsync(command, outcome, summary, output, cancellation));
    }

    async Task FinishAsync(LeasedCommand command, CommandOutcome outcome, string summary, string? output, CancellationToken cancellation)
    {
        if (_busy != command.Id || !_journal.TryGetValue(command.Id, out var entry))
            return;
        entry.At = Now;
        entry.Result = new(command.Token, outcome, summary, output is null ? null : JsonDocument.Parse(output).RootElement);
        _busy = null;
        await ReportAsync(command.Id, cancellation);
    }

    async Task ReportAsync(string id, CancellationToken cancellation)
    {
        if (!_journal.TryGetValue(id, out var entry) || entry.Result is not { } result || !IsAlive)
            return;
        if (!Reaches || simulator.Server(_stream) is not { } server)
        {
            simulator.In(Chance.Seconds(_stream, 5, 30), () => ReportAsync(id, cancellation));
            return;
        }

        if (simulator.Unlucky($"{_stream} late", 0.03))
        {
            simulator.Trouble("late report");
            simulator.In(Chance.Seconds(_stream, 60, 900), () => ReportAsync(id, cancellation));
            return;
        }

        await simulator.StirAsync(cancellation);
        // A server that was restored may not know the command: that is final.
        var answered = false;
        await simulator.AsAsync(server, async () =>
        {
            await server.Host.Agents.FinishAsync(_sender, id, result, cancellation);
            answered = true;
        }, cancellation);
        if (simulator.Unlucky($"{_stream} twice", 0.03))
        {
            simulator.Trouble("double report");
            simulator.In(Chance.Seconds(_stream, 1, 300), async () => await simulator.AsAsync(
                simulator.Server(_stream),
                async s => await s.Host.Agents.FinishAsync(_sender, id, result with { Outcome = CommandOutcome.Failed }, cancellation),
                cancellation));
        }

        if (!answered || simulator.Unlucky($"{_stream} answer lost", 0.02))
            simulator.In(Chance.Seconds(_stream, 5, 30), () => ReportAsync(id, cancellation));
        else if (_journal.Remove(id))
            _done[id] = entry;
    }

    static string? Text(LeasedCommand command, string name) =>
        command.Parameters.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}
