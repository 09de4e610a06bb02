using System.Data.Common;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Restored;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Commands;

/// <summary>
/// Commands on their way. What an agent does to one changes only the command's row; its run follows at the next pass of the run's owner.
/// </summary>
sealed class CommandStore(StateDatabase database)
{
    const int LongestSummary = 4096;

    static readonly TimeSpan LeasedFor = TimeSpan.FromMinutes(1);

    static readonly string Columns = $"SELECT {RunTables.Commands.Columns()} FROM commands";

    /// <summary>Told the gate that refused a permit.</summary>
    public Action<string> Refused { get; init; } = _ => { };

    /// <summary>A permit lasts so long on the agent's own clock.</summary>
    public static readonly TimeSpan Permit = TimeSpan.FromSeconds(10);

    public async Task<Command?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await FindAsync(connection, id, cancellation);
    }

    /// <summary>The commands of all runs that have not ended.</summary>
    public async Task<IReadOnlyList<Command>> OfLiveRunsAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await OfLiveRunsAsync(connection, [], cancellation);
    }

    internal static async Task<IReadOnlyList<Command>> OfLiveRunsAsync(StateConnection connection, ICollection<StateFault> faults, CancellationToken cancellation)
    {
        var rows = await connection.QueryAsync($"{Columns} WHERE run IN (SELECT id FROM runs WHERE ended_at IS NULL)", Read, cancellation);
        if (!rows.Contains(null))
            return rows!;
        faults.Add(new("commands", $"{rows.Count(c => c is null)} command(s) are damaged, so none of them is sent or begun, and their outcome is unknown. Their runs move on to verification; look at them with `whistle runs list`."));
        return [.. rows.OfType<Command>()];
    }

    /// <summary>
    /// Leases what is offered to the node, and what was leased and not begun, under a higher token. An agent reports all that it knows before
    /// it asks for more: a lease that it did not hear of is given again, and what it began and has no result of is lost.
    /// </summary>
    public async Task<IReadOnlyList<Command>> LeaseAsync(Sender sender, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        var open = await OpenAsync(connection, sender, cancellation);
        if (open.Count == 0 || await RestoreStore.AskedAsync(connection, sender, cancellation) is not null)
            return [];
        await using var transaction = await connection.BeginWriteAsync([Scope(sender), StateScopes.Brakes.Shared()], cancellation);
        open = await OpenAsync(connection, sender, cancellation);
        foreach (var lost in open.Where(c => c.State is CommandState.Begun))
        {
            await SaveAsync(connection, lost with
            {
                State = CommandState.Done,
                Outcome = CommandOutcome.Indeterminate,
                Summary = "The agent began it, and after a new start it knows no more of it.",
            }, cancellation);
        }

        var leased = (await ControlState.ReadAsync(connection, cancellation)).Kill.On ? [] : open.Where(c => c.State is not CommandState.Begun).ToList();
        for (var i = 0; i < leased.Count; i++)
        {
            leased[i] = leased[i] with { State = CommandState.Leased, Token = leased[i].Token + 1, LeasedUntil = now + LeasedFor };
            await SaveAsync(connection, leased[i], cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return leased;
    }

    /// <summary>
    /// Asks the gates again and reserves the permit in one transaction. Null where the node has no such command. A question repeated
    /// under the same lease is answered anew: an agent renews its permit while it works, and the first answer may have been lost.
    /// </summary>
    /// <param name="look">The signals, null while they are not known, and the time; asked once no other writer can come between, however long that took.</param>
    public async Task<BeginAnswer?> BeginAsync(
        Sender sender, string id, long token, Func<ClusterId, ClusterFacts?> clusters, Func<(SignalIndex? Signals, DateTimeOffset Now)> look, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync([Scope(sender), StateScopes.Brakes.Shared(), StateScopes.Budgets], cancellation);
        var (known, now) = look();
        if (known is not { } signals)
            return new(false, 0, "The server has just started and knows no signals yet; ask again.");
        if (await RestoreStore.AskedAsync(connection, sender, cancellation) is not null)
            return new(false, 0, "The server was restored from a backup; first report what you did since.");
        if (await FindAsync(connection, id, cancellation) is not { } command || !IsOf(command, sender))
            return null;
        if (WhyNot(command, token, now) is { } reason)
            return new(false, 0, reason);
        var (refused, place) = await AskAsync(connection, command, signals, clusters, now, cancellation);
        var refusal = refused?.Reason;
        if (place is not null)
        {
            await SaveAsync(connection, command with { State = CommandState.Begun, BegunAt = command.BegunAt ?? now }, cancellation);
            await RunTables.ReserveAsync(connection, place, cancellation);
        }
        else if (command.State is CommandState.Leased)
        {
            await SaveAsync(connection, command with { State = CommandState.Denied, Reason = refusal }, cancellation);
        }

        await transaction.CommitAsync(cancellation);
        if (refused is not null)
            Refused(refused.Gate);
        return place is not null ? new(true, (int)Permit.TotalSeconds, null) : new(false, 0, refusal);
    }

    /// <summary>What the gates say to the command now: why not, or the place that the run takes in the budgets.</summary>
    static async Task<(Refusal? Refused, Reservation? Place)> AskAsync(
        StateConnection connection, Command command, SignalIndex signals, Func<ClusterId, ClusterFacts?> clusters, DateTimeOffset now, CancellationToken cancellation)
    {
        var fleet = await FleetState.ReadAsync(connection, now, command.RunId, cancellation: cancellation);
        if (fleet.Runs is not [{ Run: var run }] || run.CommandId != command.Id || run.State is not RunState.Running || await RunStore.RunbookOfAsync(connection, run, cancellation) is not { } runbook)
            return (new("run", "The run of this command no longer waits for it.", default, false), null);
        var cluster = clusters(run.ClusterId);
        if (GateReader.Read(fleet, run, runbook, signals, cluster, now) is not { } read)
            return (new("run", "The incident of this command's run is not known.", default, false), null);
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
            command.Action, name => parameters.RootElement.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null);
    }

    /// <summary>
    /// Takes the first result of a command from whoever holds it; what comes later or from a lease that another has followed is
    /// acknowledged and changes nothing. False where the node has no such command.
    /// </summary>
    public async Task<bool> FinishAsync(Sender sender, string id, CommandResult result, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(Scope(sender), cancellation);
        if (await FindAsync(connection, id, cancellation) is not { } command || !IsOf(command, sender))
            return false;
        // A run that has given the command up goes on to verify; what happened is kept with the command all the same.
        if (command.Token == result.Token && (command.State is CommandState.Leased or CommandState.Begun))
        {
            await SaveAsync(connection, command with { State = CommandState.Done, Outcome = result.Outcome, Summary = Cut(result.Summary), Output = result.Output?.GetRawText() }, cancellation);
        }

        await transaction.CommitAsync(cancellation);
        return true;
    }

    /// <summary>The generation under which the node's agent is to tell what it remembers before it is given anything; null where it need not.</summary>
    public async Task<string?> AskedAsync(Sender sender, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        return await RestoreStore.AskedAsync(connection, sender, cancellation);
    }

    /// <summary>Takes a part of what an agent remembers. False where it was asked for by another generation, or is more than a journal holds.</summary>
    public async Task<bool> HearAsync(Sender sender, JournalReport report, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync([Scope(sender), StateScopes.Budgets], cancellation);
        if (!await RestoreStore.HearAsync(connection, sender, report, now, cancellation))
            return false;
        await transaction.CommitAsync(cancellation);
        return true;
    }

    static StateScope Scope(Sender sender) => sender.ClusterId.Scope;

    // It becomes a line of timelines, tickets and mails.
    static string? Cut(string? summary) => summary is null or { Length: <= LongestSummary } ? summary : $"{summary.AsSpan(0, LongestSummary)}…";

    internal static async Task InsertAsync(StateConnection connection, Command command, CancellationToken cancellation)
    {
        await connection.ExecuteAsync(
            """
            INSERT INTO commands (
                id, run, tenant, cluster, node, step, action, parameters, dry_run, timeout_seconds, offered_at, state, token, undo, checksum)
            VALUES ($id, $run, $tenant, $cluster, $node, $step, $action, $parameters, $dry, $timeout, $at, 'Offered', 0, $undo, $checksum)
            """,
            cancellation,
            ("$id", command.Id), ("$run", command.RunId), ("$tenant", command.Tenant), ("$cluster", command.Cluster), ("$node", command.Node),
            ("$step", command.Step), ("$action", command.Action), ("$parameters", command.Parameters), ("$dry", command.DryRun ? 1 : 0),
            ("$timeout", command.TimeoutSeconds), ("$at", command.OfferedAt), ("$undo", command.Undo ? 1 : 0),
            ("$checksum", Checksum(command)));
        await CommandBell.TellAsync(connection, command, cancellation);
    }

    // Whatever may change after it was offered.
    internal static async Task SaveAsync(StateConnection connection, Command command, CancellationToken cancellation) => await connection.ExecuteAsync(
        """
        UPDATE commands SET state = $state, token = $token, leased_until = $leased, begun_at = $begun, reason = $reason, outcome = $outcome, summary = $summary,
            output = $output, checksum = $checksum
        WHERE id = $id
        """,
        cancellation,
        ("$state", command.State), ("$token", command.Token), ("$leased", command.LeasedUntil), ("$begun", command.BegunAt), ("$reason", command.Reason),
        ("$outcome", command.Outcome), ("$summary", command.Summary), ("$output", command.Output), ("$checksum", Checksum(command)), ("$id", command.Id));

    static long Checksum(Command c) => RunTables.Commands.Of(
        c.Id, c.RunId, c.Tenant, c.Cluster, c.Node, c.Step, c.Action, c.Parameters, c.DryRun ? 1 : 0, c.TimeoutSeconds, c.OfferedAt, c.State, c.Token, c.LeasedUntil, c.BegunAt,
        c.Reason, c.Outcome, c.Summary, c.Output, c.Undo ? 1 : 0);

    /// <summary>False where it has begun, or come to an end, meanwhile.</summary>
    internal static async Task<bool> WithdrawAsync(StateConnection connection, string id, CancellationToken cancellation)
    {
        if (await FindAsync(connection, id, cancellation) is not { State: CommandState.Offered or CommandState.Leased } command)
            return false;
        await SaveAsync(connection, command with { State = CommandState.Withdrawn }, cancellation);
        return true;
    }

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

    // A damaged one is neither leased nor begun.
    static async Task<List<Command>> OpenAsync(StateConnection connection, Sender sender, CancellationToken cancellation) => (await connection.QueryAsync(
        $"""
        {Columns} WHERE state IN ('Offered', 'Leased', 'Begun') AND tenant = $tenant AND cluster = $cluster AND node = $node ORDER BY offered_at, id
        """,
        Read, cancellation, ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node))).OfType<Command>().ToList();

    /// <summary>Those that may still be leased, begun or ended, of all nodes.</summary>
    internal static async Task<IReadOnlyList<Command>> AllOpenAsync(StateConnection connection, CancellationToken cancellation) =>
        [.. (await connection.QueryAsync($"{Columns} WHERE state IN ('Offered', 'Leased', 'Begun')", Read, cancellation)).OfType<Command>()];

    /// <summary>Null where there is none, or it is damaged.</summary>
    internal static async Task<Command?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) => (await connection.QueryAsync($"{Columns} WHERE id = $id", Read, cancellation, ("$id", id))).FirstOrDefault();

    /// <summary>Null where it is damaged.</summary>
    static Command? Read(DbDataReader reader) => !RunTables.Commands.Holds(reader) ? null : new()
    {
        Id = reader.GetString(0),
        RunId = reader.GetString(1),
        Tenant = reader.GetString(2),
        Cluster = reader.GetString(3),
        Node = reader.GetString(4),
        Step = reader.GetString(5),
        Action = reader.GetString(6),
        Parameters = reader.GetString(7),
        DryRun = reader.GetInt64(8) != 0,
        TimeoutSeconds = reader.GetInt32(9),
        OfferedAt = reader.Instant(10),
        State = Enum.Parse<CommandState>(reader.GetString(11)),
        Token = reader.GetInt64(12),
        LeasedUntil = reader.OptionalInstant(13),
        BegunAt = reader.OptionalInstant(14),
        Reason = reader.OptionalText(15),
        Outcome = reader.OptionalText(16) is { } outcome ? Enum.Parse<CommandOutcome>(outcome) : null,
        Summary = reader.OptionalText(17),
        Output = reader.OptionalText(18),
        Undo = reader.GetInt64(19) != 0,
    };

    public static LeasedCommand ToLeased(Command command) => new(
        command.Id, command.Token, command.Action, JsonDocument.Parse(command.Parameters).RootElement, command.DryRun, command.TimeoutSeconds)
    {
        Step = command.Step,
        Undo = command.Undo,
    };
}
