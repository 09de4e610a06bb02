using System.Data.Common;
using System.Text.Json;

using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Remediation.Gates;
using Whistle.Telemetry;

namespace Whistle.Remediation.Commands;

/// <summary>
/// Commands on their way. What an agent does to one changes only the command's row; its run follows at the next pass of the run's owner.
/// </summary>
sealed class CommandStore(StateDatabase database)
{
    static readonly TimeSpan LeasedFor = TimeSpan.FromMinutes(1);

    const string Columns =
        """
        SELECT id, run, tenant, cluster, node, step, action, parameters, dry_run, timeout_seconds, offered_at, state, token, leased_until, begun_at,
            reason, outcome, summary, output FROM commands
        """;

    /// <summary>A permit lasts so long on the agent's own clock.</summary>
    public static readonly TimeSpan Permit = TimeSpan.FromSeconds(10);

    public Command? Find(string id)
    {
        using var connection = database.Open();
        return Find(connection, id);
    }

    /// <summary>The commands of all runs that have not ended.</summary>
    public IReadOnlyList<Command> OfLiveRuns()
    {
        using var connection = database.Open();
        return connection.Query($"{Columns} WHERE run IN (SELECT id FROM runs WHERE ended_at IS NULL)", Read);
    }

    /// <summary>
    /// Leases what is offered to the node, and what was leased and not begun, under a higher token. An agent reports all that it knows before
    /// it asks for more: a lease that it did not hear of is given again, and what it began and has no result of is lost.
    /// </summary>
    public IReadOnlyList<Command> Lease(Sender sender, DateTimeOffset now)
    {
        using var connection = database.Open();
        var open = Open(connection, sender);
        if (open.Count == 0)
            return [];
        using var transaction = connection.BeginWrite();
        open = Open(connection, sender);
        foreach (var lost in open.Where(c => c.State is CommandState.Begun))
        {
            connection.Execute(
                "UPDATE commands SET state = 'Done', outcome = $outcome, summary = $summary WHERE id = $id",
                ("$outcome", CommandOutcome.Indeterminate), ("$summary", "The agent began it, and after a new start it knows no more of it."), ("$id", lost.Id));
        }

        var leased = Control.ControlStore.KillSwitch(connection).On ? [] : open.Where(c => c.State is not CommandState.Begun).ToList();
        for (var i = 0; i < leased.Count; i++)
        {
            leased[i] = leased[i] with { State = CommandState.Leased, Token = leased[i].Token + 1, LeasedUntil = now + LeasedFor };
            connection.Execute(
                "UPDATE commands SET state = 'Leased', token = $token, leased_until = $until WHERE id = $id",
                ("$token", leased[i].Token), ("$until", leased[i].LeasedUntil), ("$id", leased[i].Id));
        }

        transaction.Commit();
        return leased;
    }

    /// <summary>
    /// Asks the gates again and reserves the permit in one transaction. Null where the node has no such command. A question repeated
    /// under the same lease is answered anew: an agent renews its permit while it works, and the first answer may have been lost.
    /// </summary>
    public BeginAnswer? Begin(Sender sender, string id, long token, IReadOnlyList<Signal> signals, DateTimeOffset now)
    {
        using var connection = database.Open();
        using var transaction = connection.BeginWrite();
        if (Find(connection, id) is not { } command || !IsOf(command, sender))
            return null;
        if (WhyNot(command, token, now) is { } reason)
            return new(false, 0, reason);
        var refusal = GateReader.Read(connection, command.RunId, signals, now) is { } snapshot
            ? GatePipeline.FirstRefusal(snapshot)
            : new Refusal("run", "The run of this command is no longer at work.", default, false);
        if (refusal is null)
            connection.Execute("UPDATE commands SET state = 'Begun', begun_at = coalesce(begun_at, $now) WHERE id = $id", ("$now", now), ("$id", id));
        else if (command.State is CommandState.Leased)
            connection.Execute("UPDATE commands SET state = 'Denied', reason = $reason WHERE id = $id", ("$reason", refusal.Reason), ("$id", id));
        transaction.Commit();
        return refusal is null ? new(true, (int)Permit.TotalSeconds, null) : new(false, 0, refusal.Reason);
    }

    /// <summary>
    /// Takes the first result of a command from whoever holds it; what comes later or from a lease that another has followed is
    /// acknowledged and changes nothing. False where the node has no such command.
    /// </summary>
    public bool Finish(Sender sender, string id, CommandResult result)
    {
        using var connection = database.Open();
        using var transaction = connection.BeginWrite();
        if (Find(connection, id) is not { } command || !IsOf(command, sender))
            return false;
        // A run that has given the command up goes on to verify; what happened is kept with the command all the same.
        if (command.Token == result.Token && (command.State is CommandState.Leased or CommandState.Begun))
        {
            connection.Execute(
                "UPDATE commands SET state = 'Done', outcome = $outcome, summary = $summary, output = $output WHERE id = $id AND token = $token",
                ("$outcome", result.Outcome), ("$summary", result.Summary), ("$output", result.Output is { } output ? output.GetRawText() : null), ("$id", id),
                ("$token", result.Token));
        }

        transaction.Commit();
        return true;
    }

    internal static void Insert(DbConnection connection, Command command) => connection.Execute(
        """
        INSERT INTO commands (id, run, tenant, cluster, node, step, action, parameters, dry_run, timeout_seconds, offered_at, state, token)
        VALUES ($id, $run, $tenant, $cluster, $node, $step, $action, $parameters, $dry, $timeout, $at, 'Offered', 0)
        """,
        ("$id", command.Id), ("$run", command.RunId), ("$tenant", command.Tenant), ("$cluster", command.Cluster), ("$node", command.Node),
        ("$step", command.Step), ("$action", command.Action), ("$parameters", command.Parameters), ("$dry", command.DryRun ? 1 : 0),
        ("$timeout", command.TimeoutSeconds), ("$at", command.OfferedAt));

    /// <summary>False where it has begun, or come to an end, meanwhile.</summary>
    internal static bool Withdraw(DbConnection connection, string id) =>
        connection.Execute("UPDATE commands SET state = 'Withdrawn' WHERE id = $id AND state IN ('Offered', 'Leased')", ("$id", id)) > 0;

    static string? WhyNot(Command command, long token, DateTimeOffset now) => command.State switch
    {
        _ when command.Token != token => "Another lease has followed this one; drop the command.",
        CommandState.Leased when now >= command.LeasedUntil => "The lease has ended; lease again.",
        CommandState.Leased => null,
        CommandState.Begun when now < command.BegunAt + TimeSpan.FromSeconds(command.TimeoutSeconds) => null,
        CommandState.Begun => "The command's time is up; report what you know of it.",
        CommandState.Withdrawn => "The command was taken back.",
        CommandState.Denied => command.Reason ?? "The command was denied.",
        CommandState.Done => "The command has ended.",
        CommandState.Offered => "The command is not leased.",
        _ => throw new InvalidOperationException($"Unknown state {command.State}."),
    };

    static bool IsOf(Command command, Sender sender) =>
        command.Tenant == sender.Tenant && command.Cluster == sender.Cluster && command.Node == sender.Node;

    static List<Command> Open(DbConnection connection, Sender sender) => connection.Query(
        $"""
        {Columns} WHERE state IN ('Offered', 'Leased', 'Begun') AND tenant = $tenant AND cluster = $cluster AND node = $node ORDER BY offered_at, id
        """,
        Read, ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node));

    static Command? Find(DbConnection connection, string id) => connection.Query($"{Columns} WHERE id = $id", Read, ("$id", id)).FirstOrDefault();

    static Command Read(DbDataReader reader) => new()
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
    };

    public static LeasedCommand ToLeased(Command command) => new(
        command.Id, command.Token, command.Action, JsonDocument.Parse(command.Parameters).RootElement, command.DryRun, command.TimeoutSeconds);
}
