using System.Data.Common;
using System.Text.Json;

using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.State;

namespace Whistle.Remediation.Commands;

/// <summary>
/// The rows of commands. What an agent does to a command changes its row only; its run follows at the next pass of the run's owner.
/// </summary>
sealed class CommandStore(StateDatabase database)
{
    /// <summary>The columns of a row, and what its checksum is over.</summary>
    public static readonly CheckedTable Table = new(
        "commands", ["id"],
        [
            "id", "run", "tenant", "cluster", "node", "step", "action", "parameters", "dry_run", "timeout_seconds", "offered_at", "state",
            "token", "leased_until", "begun_at", "reason", "outcome", "summary", "output", "undo",
        ]);

    static readonly string Columns = $"SELECT {Table.Columns()} FROM commands";

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

    internal static async Task<IReadOnlyList<Command>> OfLiveRunsAsync(
        StateConnection connection, ICollection<StateFault> faults, CancellationToken cancellation)
    {
        var rows = await connection.QueryAsync($"{Columns} WHERE run IN (SELECT id FROM runs WHERE ended_at IS NULL)", Read, cancellation);
        if (!rows.Contains(null))
            return rows!;
        faults.Add(new(GuardedTable.Commands, $"{rows.Count(c => c is null)} command(s) are damaged, so none of them is sent or begun, "
            + "and their outcome is unknown. Their runs move on to verification; look at them with `whistle runs list`."));
        return [.. rows.OfType<Command>()];
    }

    internal static async Task InsertAsync(StateConnection connection, Command command, CancellationToken cancellation)
    {
        await connection.ExecuteAsync(
            """
            INSERT INTO commands (
                id, run, tenant, cluster, node, step, action, parameters, dry_run, timeout_seconds, offered_at,
                state, token, undo, checksum)
            VALUES ($id, $run, $tenant, $cluster, $node, $step, $action, $parameters, $dry, $timeout, $at, 'Offered', 0, $undo, $checksum)
            """, cancellation, ("$id", command.Id), ("$run", command.RunId), ("$tenant", command.Tenant), ("$cluster", command.Cluster),
            ("$node", command.Node), ("$step", command.Step), ("$action", command.Action), ("$parameters", command.Parameters),
            ("$dry", command.DryRun ? 1 : 0), ("$timeout", command.TimeoutSeconds), ("$at", command.OfferedAt),
            ("$undo", command.Undo ? 1 : 0), ("$checksum", Checksum(command)));
        await CommandBell.RingOthersAsync(connection, command, cancellation);
    }

    // Whatever may change after it was offered.
    internal static async Task SaveAsync(StateConnection connection, Command command, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            UPDATE commands SET state = $state, token = $token, leased_until = $leased, begun_at = $begun, reason = $reason,
                outcome = $outcome, summary = $summary,
                output = $output, checksum = $checksum
            WHERE id = $id
            """, cancellation, ("$state", command.State), ("$token", command.Token), ("$leased", command.LeasedUntil),
            ("$begun", command.BegunAt), ("$reason", command.Reason), ("$outcome", command.Outcome), ("$summary", command.Summary),
            ("$output", command.Output), ("$checksum", Checksum(command)), ("$id", command.Id));

    static long Checksum(Command c) => Table.Of(
        c.Id, c.RunId, c.Tenant, c.Cluster, c.Node, c.Step, c.Action, c.Parameters, c.DryRun ? 1 : 0, c.TimeoutSeconds, c.OfferedAt,
        c.State, c.Token, c.LeasedUntil, c.BegunAt, c.Reason, c.Outcome, c.Summary, c.Output, c.Undo ? 1 : 0);

    /// <summary>False if it has begun or ended in the meantime.</summary>
    internal static async Task<bool> WithdrawAsync(StateConnection connection, string id, CancellationToken cancellation)
    {
        if (await FindAsync(connection, id, cancellation) is not { State: CommandState.Offered or CommandState.Leased } command)
            return false;
        await SaveAsync(connection, command with { State = CommandState.Withdrawn }, cancellation);
        return true;
    }

    // A damaged one is neither leased nor begun.
    internal static async Task<List<Command>> OpenAsync(StateConnection connection, Sender sender, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            $"""
            {Columns} WHERE state IN ('Offered', 'Leased', 'Begun') AND tenant = $tenant AND cluster = $cluster AND node = $node
            ORDER BY offered_at, id
            """,
            Read, cancellation, ("$tenant", sender.Tenant), ("$cluster", sender.Cluster), ("$node", sender.Node)))
            .OfType<Command>().ToList();

    /// <summary>Those that may still be leased, begun or ended, of all nodes.</summary>
    internal static async Task<IReadOnlyList<Command>> AllOpenAsync(StateConnection connection, CancellationToken cancellation) =>
    [
        .. (await connection.QueryAsync($"{Columns} WHERE state IN ('Offered', 'Leased', 'Begun')", Read, cancellation)).OfType<Command>(),
    ];

    /// <summary>Null where there is none, or it is damaged.</summary>
    internal static async Task<Command?> FindAsync(StateConnection connection, string id, CancellationToken cancellation) =>
        (await connection.QueryAsync($"{Columns} WHERE id = $id", Read, cancellation, ("$id", id))).FirstOrDefault();

    /// <summary>Null where it is damaged.</summary>
    static Command? Read(DbDataReader reader) => !Table.Holds(reader) ? null : new()
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
        command.Id, command.Token, command.Action, JsonDocument.Parse(command.Parameters).RootElement, command.DryRun,
        command.TimeoutSeconds)
    {
        Step = command.Step,
        Undo = command.Undo,
    };
}
