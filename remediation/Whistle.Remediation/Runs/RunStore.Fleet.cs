using System.Data.Common;

using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.State;

namespace Whistle.Remediation.Runs;

/// <summary>What the gates and each pass read of all runs.</summary>
public sealed partial class RunStore
{
    /// <summary>Notes that so much of a cluster is in trouble that its cause is elsewhere.</summary>
    internal async Task NoteStormsAsync(IReadOnlyList<ClusterId> clusters, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync([.. clusters.Select(c => c.Scope)], cancellation);
        foreach (var cluster in clusters)
        {
            await connection.ExecuteAsync(
                "INSERT INTO storms (tenant, cluster, at) VALUES ($tenant, $cluster, $at) ON CONFLICT (tenant, cluster) DO UPDATE "
                + "SET at = excluded.at",
                cancellation, ("$tenant", cluster.Tenant), ("$cluster", cluster.Cluster), ("$at", now));
        }

        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Those that have not ended and, of those, the tokens that the owner holds; null where another does.</summary>
    internal static async Task<IReadOnlyList<OwnedRun>> LiveAsync(
        StateConnection connection, string owner, string? run, ICollection<StateFault> faults, CancellationToken cancellation)
    {
        var tokens = (await connection.QueryAsync(
            $"SELECT id, token FROM runs WHERE ended_at IS NULL AND owner = $owner{(run is null ? "" : " AND id = $id")}",
            r => (Id: r.GetString(0), Token: r.GetInt64(1)), cancellation, ("$owner", owner),
            ("$id", run))).ToDictionary(t => t.Id, t => t.Token);
        var runs = run is null
            ? await LiveRowsAsync(connection, cancellation)
            : await Rows.QueryAsync(connection, $"{Keys} WHERE ended_at IS NULL AND id = $id", cancellation, ("$id", run));
        if (runs.Contains(null))
            faults.Add(new(
                GuardedTable.Runs, $"{runs.Count(r => r is null)} run(s) that have not ended are damaged, so nothing is done with them and "
                + "nothing else begins on their targets. Repair their nodes by hand, or restore a backup with `whistle backup restore`."));
        return [.. runs.OfType<Run>().Select(r => new OwnedRun(r, tokens.TryGetValue(r.Id, out var token) ? token : null))];
    }

    /// <summary>
    /// Of the live runs (or one of them): all runs of the same incidents, and those that ended on the same targets within the last day.
    /// </summary>
    internal static async Task<IReadOnlyList<RunSummary>> KnownAsync(
        StateConnection connection, DateTimeOffset now, string? run, ICollection<StateFault> faults, CancellationToken cancellation)
    {
        const string byTarget =
            $"""
            SELECT r.id, r.revision FROM runs l
                JOIN runs r ON r.tenant = l.tenant AND r.cluster = l.cluster AND r.node = l.node AND r.runbook = l.runbook
            WHERE l.ended_at IS NULL AND r.ended_at > $since
            """;
        var since = now - TimeSpan.FromDays(1);
        var known = run is null
            ? await Summaries.QueryAsync(
                connection,
                $"""
                {Keys} WHERE incident IN (SELECT id FROM incidents WHERE closed_at IS NULL) UNION
                {Keys} WHERE incident IN (SELECT incident FROM runs WHERE ended_at IS NULL) UNION {byTarget}
                """,
                cancellation, ("$since", since))
            : await Summaries.QueryAsync(
                connection, $"{Keys} WHERE incident = (SELECT incident FROM runs WHERE id = $id) UNION {byTarget} AND l.id = $id",
                cancellation, ("$since", since), ("$id", run));
        if (known.Contains(null))
            faults.Add(new(GuardedTable.Runs, $"{known.Count(r => r is null)} run(s) are damaged, so attempts and cool-down are not known, "
                + "and nothing begins. Restore a backup with `whistle backup restore`, or wait a day until they count no more."));
        return Whole(known);
    }

    /// <summary>Takes the cancellations that are there for all, where they are damaged.</summary>
    internal async Task ResetCancellationsAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(cancellation);
        await RunTables.SealedCancellations.RewriteAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>Empties the reservations where they are damaged and no run can hold one.</summary>
    internal async Task ResetReservationsAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(cancellation);
        if ((await RunTables.SealedReservations.ReadAsync(
            connection, await StateSeals.ReadAsync(connection, cancellation), cancellation)).Fault is null
            || (await LiveAsync(connection, cancellation)).Any(r => r.IsAtWork || r.Reports.Any(p => p.Changed)))
            return;
        await connection.ExecuteAsync("DELETE FROM reservations", cancellation);
        await RunTables.SealedReservations.SealAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>When each cluster had its last storm. Where that is damaged, it counts as now, so that nothing new begins.</summary>
    internal static async Task<IReadOnlyDictionary<ClusterId, DateTimeOffset>> StormsAsync(
        StateConnection connection, DateTimeOffset now, ICollection<StateFault> faults, CancellationToken cancellation)
    {
        var storms = await connection.QueryAsync(
            "SELECT tenant, cluster, at FROM storms",
            r => (
                Key: new ClusterId(r.GetString(0), r.GetString(1)),
                At: r.GetValue(2) is long at and >= 0 && at <= (now + OneDay).ToUnixTimeMilliseconds()
                    ? r.Instant(2) : default(DateTimeOffset?)),
            cancellation);
        foreach (var (cluster, _) in storms.Where(s => s.At is null))
        {
            faults.Add(new(
                GuardedTable.Storms,
                $"The row of storms for {cluster} is damaged, so nothing new begins there. "
                    + "Stop the server and delete the row, or restore a backup with `whistle backup restore`."));
        }

        return storms.ToDictionary(s => s.Key, s => s.At ?? now);
    }

    internal static async Task<IReadOnlyList<Approval>> ApprovalsAsync(
        StateConnection connection, string? run, ICollection<StateFault> faults, CancellationToken cancellation) =>
        await OfLiveAsync(
            connection, RunTables.Approvals, GuardedTable.Approvals, run, faults,
            "they approve nothing. Approve the plan again with `whistle runs approve`.",
            r => new Approval(r.GetString(0), r.GetString(1), r.GetString(2), r.Instant(3), r.Instant(4), r.GetString(5)), cancellation);

    internal static async Task<IReadOnlyList<TaskDone>> TasksDoneAsync(
        StateConnection connection, string? run, ICollection<StateFault> faults, CancellationToken cancellation) =>
        await OfLiveAsync(
            connection, RunTables.TasksDone, GuardedTable.TasksDone, run, faults,
            "the task is not done. Say again that it is, or cancel the run with `whistle runs cancel`.",
            r => new TaskDone(r.GetString(0), r.GetString(1), r.GetString(2), r.GetString(3), r.Instant(4)), cancellation);

    static async Task<List<T>> OfLiveAsync<T>(
        StateConnection connection, CheckedTable table, GuardedTable guarded, string? run, ICollection<StateFault> faults, string means,
        Func<DbDataReader, T> read, CancellationToken cancellation)
        where T : class
    {
        var rows = await connection.QueryAsync(
            $"SELECT {table.Columns()} FROM {table.Name} "
            + $"WHERE run {(run is null ? "IN (SELECT id FROM runs WHERE ended_at IS NULL)" : "= $run")}",
            r => table.Holds(r) ? read(r) : null, cancellation, run is null ? [] : [("$run", run)]);
        if (rows.Contains(null))
            faults.Add(new(guarded, $"{rows.Count(r => r is null)} row(s) of {table.Name} are damaged, so {means}"));
        return [.. rows.OfType<T>()];
    }
}
