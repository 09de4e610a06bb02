using Whistle.Remediation.Runbooks;
using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>The tables of what people set, each sealed; and what one means that is damaged: the strictest that it could say.</summary>
static class ControlTables
{
    public const string Checksums =
        """
        ALTER TABLE pauses ADD COLUMN checksum INTEGER;
        ALTER TABLE kill_switch ADD COLUMN checksum INTEGER;
        ALTER TABLE runbook_modes ADD COLUMN checksum INTEGER;
        ALTER TABLE windows ADD COLUMN checksum INTEGER;
        ALTER TABLE freezes ADD COLUMN checksum INTEGER;
        """;

    const string Author = "whistle";

    // Of what stands in for a damaged table, so that it can be ended by its number.
    const long StandIn = 0;

    static readonly DateTimeOffset Far = new(2999, 1, 1, 0, 0, 0, TimeSpan.Zero);

    static readonly SealedTable<KillSwitch> Kill = new(
        new("kill_switch", ["id"], ["id", "active", "reason", "author", "since"]),
        r => new(r.GetInt64(1) != 0, r.GetString(2), r.GetString(3), r.Instant(4)));

    static readonly SealedTable<ModeEntry> Modes = new(
        new("runbook_modes", ["runbook", "tenant", "cluster"], ["runbook", "tenant", "cluster", "mode", "author", "at"]),
        r => new(r.GetString(0), r.GetString(1), r.GetString(2), Enum.Parse<RunbookMode>(r.GetString(3)), r.GetString(4), r.Instant(5)));

    static readonly SealedTable<Pause> Pauses = new(
        new("pauses", ["id"], ["id", "tenant", "cluster", "node", "runbook", "reason", "author", "from_at", "until_at"]),
        r => new(
            r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4), r.GetString(5), r.GetString(6), r.Instant(7),
            r.Instant(8)));

    static readonly SealedTable<MaintenanceWindow> Windows = new(
        new("windows", ["id"], ["id", "tenant", "cluster", "recurrence", "start", "seconds", "time_zone", "author", "at"]),
        StoredBrakes.Window);

    static readonly SealedTable<ChangeFreeze> Freezes = new(
        new("freezes", ["id"], ["id", "tenant", "cluster", "reason", "author", "from_at", "until_at"]),
        StoredBrakes.Freeze);

    /// <summary>In the transaction of the migration, when all rows are taken for what they say.</summary>
    public static async Task SealAsync(StateConnection connection, CancellationToken cancellation)
    {
        await Kill.SealAsync(connection, cancellation);
        await Modes.SealAsync(connection, cancellation);
        await Pauses.SealAsync(connection, cancellation);
        await Windows.SealAsync(connection, cancellation);
        await Freezes.SealAsync(connection, cancellation);
    }

    public static async Task<ControlState> ReadAsync(StateConnection connection, StateSeals seals, CancellationToken cancellation)
    {
        var (kill, modes, pauses) = (
            await Kill.ReadAsync(connection, seals, cancellation), await Modes.ReadAsync(connection, seals, cancellation),
            await Pauses.ReadAsync(connection, seals, cancellation));
        var (windows, freezes) =
            (await Windows.ReadAsync(connection, seals, cancellation), await Freezes.ReadAsync(connection, seals, cancellation));
        var faults = new List<StateFault>();
        bool IsDamaged(GuardedTable table, string means, string undo, params ReadOnlySpan<string?> faultsOfTable)
        {
            var before = faults.Count;
            foreach (var fault in faultsOfTable)
            {
                if (fault is not null)
                    faults.Add(new(table, $"{fault}, so {means}. {undo}"));
            }

            return faults.Count > before;
        }

        var state = new ControlState(
            kill.Rows is [var set] ? set : new(false, "", "", DateTimeOffset.UnixEpoch), modes.Rows, pauses.Rows, windows.Rows,
            freezes.Rows, faults);
        if (IsDamaged(
            GuardedTable.KillSwitch, "the kill switch is on",
            "Look whether it should be, and set it again with `whistle kill-switch on|off`.",
            kill.Fault))
            state = state with { Kill = DamagedKill };
        if (IsDamaged(
            GuardedTable.RunbookModes, "every runbook is off",
            "Set the modes again with `whistle mode set`, last that of all runbooks in all clusters.", modes.Fault))
            state = state with { Modes = [.. modes.Rows, DamagedMode] };
        if (IsDamaged(
            GuardedTable.Pauses, "everything is paused",
            $"Add again what should be paused with `whistle pause add`, and end this pause with `whistle pause end {StandIn}`.",
            pauses.Fault))
            state = state with { Pauses = [.. pauses.Rows, DamagedPause] };
        if (IsDamaged(
            GuardedTable.Windows, "changes are frozen everywhere",
            "Set windows and freezes again with `whistle windows add` and `whistle freezes add`, and end this freeze with "
            + $"`whistle freezes end {StandIn}`.",
            windows.Fault, freezes.Fault))
            state = state with { Freezes = [.. freezes.Rows, DamagedFreeze] };
        return state;
    }

    /// <summary>
    /// Before a person changes anything: what stands in for a damaged table becomes a row like any other, which the usual command takes
    /// away. Returns what was done.
    /// </summary>
    public static async Task<IReadOnlyList<string>> RepairAsync(StateConnection connection, CancellationToken cancellation)
    {
        var seals = await StateSeals.ReadAsync(connection, cancellation);
        var state = await ReadAsync(connection, seals, cancellation);
        if (state.Faults.Count == 0)
            return [];
        if ((await Kill.ReadAsync(connection, seals, cancellation)).Fault is not null)
        {
            await Kill.RewriteAsync(connection, cancellation);
            await SetAsync(connection, DamagedKill, cancellation);
        }

        if ((await Modes.ReadAsync(connection, seals, cancellation)).Fault is not null)
        {
            await Modes.RewriteAsync(connection, cancellation);
            await SetAsync(connection, DamagedMode, cancellation);
        }

        if ((await Pauses.ReadAsync(connection, seals, cancellation)).Fault is not null)
        {
            await Pauses.RewriteAsync(connection, cancellation);
            await connection.ExecuteAsync("DELETE FROM pauses WHERE id = $id", cancellation, ("$id", StandIn));
            await InsertAsync(connection, DamagedPause, cancellation: cancellation);
        }

        if ((await Windows.ReadAsync(connection, seals, cancellation)).Fault is not null
            || (await Freezes.ReadAsync(connection, seals, cancellation)).Fault is not null)
        {
            await Windows.RewriteAsync(connection, cancellation);
            await Freezes.RewriteAsync(connection, cancellation);
            await connection.ExecuteAsync("DELETE FROM freezes WHERE id = $id", cancellation, ("$id", StandIn));
            await InsertAsync(connection, DamagedFreeze, cancellation: cancellation);
        }

        await SealAsync(connection, cancellation);
        return [.. state.Faults.Select(f => $"Damage found: {f.Reason}")];
    }

    public static async Task<int> SetAsync(StateConnection connection, KillSwitch kill, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO kill_switch (id, active, reason, author, since) VALUES (1, $active, $reason, $author, $since)
            ON CONFLICT (id) DO UPDATE SET active = excluded.active, reason = excluded.reason,
                author = excluded.author, since = excluded.since, checksum = NULL
            """,
            cancellation, ("$active", kill.On ? 1 : 0), ("$reason", kill.Reason), ("$author", kill.Author), ("$since", kill.Since));

    public static async Task<int> SetAsync(StateConnection connection, ModeEntry entry, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO runbook_modes (runbook, tenant, cluster, mode, author, at) VALUES ($runbook, $tenant, $cluster, $mode, $author, $at)
            ON CONFLICT (runbook, tenant, cluster) DO UPDATE SET mode = excluded.mode, author = excluded.author,
                at = excluded.at, checksum = NULL
            """, cancellation, ("$runbook", entry.Runbook), ("$tenant", entry.Tenant), ("$cluster", entry.Cluster), ("$mode", entry.Mode),
            ("$author", entry.Author), ("$at", entry.At));

    /// <summary>Returns its id.</summary>
    public static async Task<long> InsertAsync(
        StateConnection connection, Pause pause, bool isNew = false, CancellationToken cancellation = default) =>
        (await connection.QueryAsync(
            $"""
            INSERT INTO pauses ({(isNew ? "" : "id, ")}tenant, cluster, node, runbook, reason, author, from_at, until_at)
            VALUES ({(isNew ? "" : "$id, ")}$tenant, $cluster, $node, $runbook, $reason, $author, $from, $until) RETURNING id
            """,
            r => r.GetInt64(0),
            cancellation,
            [
                .. Id(pause.Id, isNew), ("$tenant", pause.Tenant), ("$cluster", pause.Cluster), ("$node", pause.Node),
                ("$runbook", pause.Runbook), ("$reason", pause.Reason), ("$author", pause.Author), ("$from", pause.From),
                ("$until", pause.Until),
            ])).Single();

    /// <summary>Returns its id.</summary>
    public static async Task<long> InsertAsync(
        StateConnection connection, ChangeFreeze freeze, bool isNew = false, CancellationToken cancellation = default) =>
        (await connection.QueryAsync(
            $"""
            INSERT INTO freezes ({(isNew ? "" : "id, ")}tenant, cluster, reason, author, from_at, until_at)
            VALUES ({(isNew ? "" : "$id, ")}$tenant, $cluster, $reason, $author, $from, $until) RETURNING id
            """,
            r => r.GetInt64(0),
            cancellation,
            [
                .. Id(freeze.Id, isNew), ("$tenant", freeze.Tenant), ("$cluster", freeze.Cluster), ("$reason", freeze.Reason),
                ("$author", freeze.Author), ("$from", freeze.From), ("$until", freeze.Until),
            ])).Single();

    static (string, object?)[] Id(long id, bool isNew) => isNew ? [] : [("$id", id)];

    static KillSwitch DamagedKill => new(true, "Its row in the state is damaged", Author, DateTimeOffset.UnixEpoch);

    static ModeEntry DamagedMode =>
        new("", "", "", RunbookMode.Off, $"{Author}: the modes in the state are damaged", DateTimeOffset.UnixEpoch);

    static Pause DamagedPause => new(StandIn, "", "", "", "", "the pauses in the state are damaged", Author, DateTimeOffset.UnixEpoch, Far);

    static ChangeFreeze DamagedFreeze =>
        new(StandIn, "", "", "the windows or freezes in the state are damaged", Author, DateTimeOffset.UnixEpoch, Far);
}
