using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Restored;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Agents;

/// <summary>What a node's agent asks of the server about its commands: a lease, a permit to begin, and that a result is kept.</summary>
sealed class AgentCommands(StateDatabase database)
{
    const int LongestSummary = 4096;

    static readonly TimeSpan LeasedFor = TimeSpan.FromMinutes(1);

    /// <summary>Called with the gate that refused a permit.</summary>
    public Action<GateName> Refused { get; init; } = _ => { };

    /// <summary>A permit lasts so long on the agent's own clock.</summary>
    public static readonly TimeSpan Permit = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Leases what is offered to the node, and what was leased and not begun, under a higher token. An agent reports all that it knows
    /// before it asks for more: a lease that it did not hear of is given again, and what it began and has no result of is lost.
    /// </summary>
    public async Task<IReadOnlyList<Command>> LeaseAsync(Sender sender, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        var open = await CommandStore.OpenAsync(connection, sender, cancellation);
        if (open.Count == 0 || await RestoreStore.JournalWantedAsync(connection, sender, cancellation) is not null)
            return [];
        await using var transaction = await connection.BeginWriteAsync([Scope(sender), StateScopes.Brakes.Shared()], cancellation);
        open = await CommandStore.OpenAsync(connection, sender, cancellation);
        foreach (var lost in open.Where(c => c.State is CommandState.Begun))
        {
            await CommandStore.SaveAsync(connection, lost with
            {
                State = CommandState.Done,
                Outcome = CommandOutcome.Indeterminate,
                Summary = "The agent began it, and after a new start it knows no more of it.",
            }, cancellation);
        }

        var leased = (await ControlState.ReadAsync(connection, cancellation)).Kill.On
            ? [] : open.Where(c => c.State is not CommandState.Begun).ToList();
        for (var i = 0; i < leased.Count; i++)
        {
            leased[i] = leased[i] with { State = CommandState.Leased, Token = leased[i].Token + 1, LeasedUntil = now + LeasedFor };
            await CommandStore.SaveAsync(connection, leased[i], cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return leased;
    }

    /// <summary>
    /// Asks the gates again and reserves the permit in one transaction. Null where the node has no such command. A question repeated
    /// under the same lease is answered again: an agent renews its permit while it works, and the first answer may have been lost.
    /// </summary>
    /// <param name="look">The signals, null while they are not known, and the time; asked once no other writer can come between, however
    /// long that took.</param>
    public async Task<BeginAnswer?> BeginAsync(
        Sender sender, string id, long token, Func<ClusterId, ClusterFacts?> clusters,
        Func<(SignalIndex? Signals, DateTimeOffset Now)> look, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(
            [Scope(sender), StateScopes.Brakes.Shared(), StateScopes.Budgets], cancellation);
        var (known, now) = look();
        if (known is not { } signals)
            return new(false, 0, "The server has just started and knows no signals yet; ask again.");
        if (await RestoreStore.JournalWantedAsync(connection, sender, cancellation) is not null)
            return new(false, 0, "The server was restored from a backup; first report what you did since.");
        if (await CommandStore.FindAsync(connection, id, cancellation) is not { } command || !IsOf(command, sender))
            return null;
        if (WhyNot(command, token, now) is { } reason)
            return new(false, 0, reason);
        var (refused, place) = await AskAsync(connection, command, signals, clusters, now, cancellation);
        var refusal = refused?.Reason;
        if (place is not null)
        {
            await CommandStore.SaveAsync(
                connection, command with { State = CommandState.Begun, BegunAt = command.BegunAt ?? now }, cancellation);
            await RunTables.ReserveAsync(connection, place, cancellation);
        }
        else if (command.State is CommandState.Leased)
        {
            await CommandStore.SaveAsync(connection, command with { State = CommandState.Denied, Reason = refusal }, cancellation);
        }

        await transaction.CommitAsync(cancellation);
        if (refused is not null)
            Refused(refused.Gate);
        return place is not null ? new(true, (int)Permit.TotalSeconds, null) : new(false, 0, refusal);
    }

    /// <summary>What the gates say to the command now: why not, or the place that the run takes in the budgets.</summary>
    static async Task<(Refusal? Refused, Reservation? Place)> AskAsync(
        StateConnection connection, Command command, SignalIndex signals, Func<ClusterId, ClusterFacts?> clusters, DateTimeOffset now,
        CancellationToken cancellation)
    {
        var fleet = await FleetState.ReadAsync(connection, now, command.RunId, cancellation: cancellation);
        if (fleet.Runs is not [{ Run: var run }] || run.CommandId != command.Id || run.State is not RunState.Running
            || await RunStore.RunbookOfAsync(connection, run, cancellation) is not { } runbook)
            return (new(GateName.Run, new GateReason.RunMovedOn(), default, false), null);
        var cluster = clusters(run.ClusterId);
        if (GateReader.Read(fleet, run, runbook, signals, cluster, now) is not { } read)
            return (new(GateName.Run, new GateReason.IncidentUnknown(), default, false), null);
        var traits = TraitsOf(command);
        var gates = command.Undo ? read.Snapshot with { Traits = traits } : read.Snapshot;
        if (GatePipeline.FirstRefusal(gates, command.Undo) is { } refusal)
            return (refusal, null);
        var node = cluster?.Find(run.Node);
        return (null, new(
            run.Id, run.Runbook, run.NodeId, node?.Zone ?? "", run.Subject, gates.Traits.Disruptive, node?.ControlPlane ?? false));
    }

    static ActionTraits TraitsOf(Command command)
    {
        using var parameters = JsonDocument.Parse(command.Parameters);
        return ActionCatalogue.TraitsOf(
            command.Action, name => parameters.RootElement.TryGetProperty(name, out var value)
                && value.ValueKind is JsonValueKind.String ? value.GetString() : null);
    }

    /// <summary>
    /// Takes the first result of a command from whoever holds it; what comes later or from a lease that another has followed is
    /// acknowledged and changes nothing. False where the node has no such command.
    /// </summary>
    public async Task<bool> FinishAsync(Sender sender, string id, CommandResult result, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope(sender), cancellation);
        if (await CommandStore.FindAsync(connection, id, cancellation) is not { } command || !IsOf(command, sender))
            return false;
        // A run that has given the command up goes on to verify; what happened is still kept with the command.
        if (command.Token == result.Token && (command.State is CommandState.Leased or CommandState.Begun))
        {
            await CommandStore.SaveAsync(connection, command with
            {
                State = CommandState.Done,
                Outcome = result.Outcome,
                Summary = Cut(result.Summary),
                Output = result.Output?.GetRawText(),
            }, cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>
    /// The generation under which the node's agent is to tell what it remembers before it is given anything; null where it need not.
    /// </summary>
    public async Task<string?> JournalWantedAsync(Sender sender, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await RestoreStore.JournalWantedAsync(connection, sender, cancellation);
    }

    /// <summary>
    /// Takes a part of what an agent remembers. False where it was asked for by another generation, or is more than a journal holds.
    /// </summary>
    public async Task<bool> TakeJournalAsync(Sender sender, JournalReport report, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync([Scope(sender), StateScopes.Budgets], cancellation);
        if (!await Journals.HearAsync(connection, sender, report, now, cancellation))
            return false;
        await transaction.CommitAsync(cancellation);
        return true;
    }

    static StateScope Scope(Sender sender) => sender.ClusterId.Scope;

    // It becomes a line of timelines, tickets and mails.
    static string? Cut(string? summary) =>
        summary is null or { Length: <= LongestSummary } ? summary : $"{summary.AsSpan(0, LongestSummary)}…";

    static string? WhyNot(Command command, long token, DateTimeOffset now) => command.State switch
    {
        _ when command.Token != token => "Another lease has followed this one; drop the command.",
        CommandState.Leased when now >= command.LeasedUntil => "The lease has ended; lease again.",
        CommandState.Leased => null,
        CommandState.Begun when now < command.BegunAt + TimeSpan.FromSeconds(command.TimeoutSeconds) => null,
        CommandState.Begun => "The command's time is up; report what you know of it.",
        CommandState.Withdrawn => "The command was withdrawn.",
        CommandState.Denied => command.Reason ?? "The command was denied.",
        CommandState.Done => "The command has ended.",
        CommandState.Offered => "The command is not leased.",
        _ => throw new InvalidOperationException($"Unknown state {command.State}."),
    };

    static bool IsOf(Command command, Sender sender) => command.NodeId == sender.NodeId;
}
