using System.Collections.Concurrent;
using System.Data.Common;

using Whistle.Ingest;
using Whistle.Remediation.Runbooks;

namespace Whistle.Remediation.Control;

/// <summary>All that people have set, with what is over. It is read again only when the timeline of changes has gone on.</summary>
sealed record ControlState(
    KillSwitch Kill, IReadOnlyList<ModeEntry> Modes, IReadOnlyList<Pause> Pauses, IReadOnlyList<MaintenanceWindow> Windows, IReadOnlyList<ChangeFreeze> Freezes)
{
    const int Most = 64;

    // Every change draws a revision that no other process draws.
    static readonly ConcurrentDictionary<long, ControlState> Known = new();

    public static ControlState Read(DbConnection connection)
    {
        if (connection.Query("SELECT revision FROM control_timeline ORDER BY number DESC LIMIT 1", r => r.GetInt64(0)) is not [not 0 and var revision])
            return All(connection);
        if (Known.TryGetValue(revision, out var known))
            return known;
        if (Known.Count >= Most)
            Known.Clear();
        return Known[revision] = All(connection);
    }

    static ControlState All(DbConnection connection) => new(
        connection.Query(
            "SELECT active, reason, author, since FROM kill_switch",
            r => new KillSwitch(r.GetInt64(0) != 0, r.GetString(1), r.GetString(2), r.Instant(3))) is [var kill] ? kill : new(false, "", "", DateTimeOffset.UnixEpoch),
        connection.Query(
            "SELECT runbook, tenant, cluster, mode, author, at FROM runbook_modes ORDER BY runbook, tenant, cluster",
            r => new ModeEntry(r.GetString(0), r.GetString(1), r.GetString(2), Enum.Parse<RunbookMode>(r.GetString(3)), r.GetString(4), r.Instant(5))),
        connection.Query(
            "SELECT id, tenant, cluster, node, runbook, reason, author, from_at, until_at FROM pauses ORDER BY id",
            r => new Pause(r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4), r.GetString(5), r.GetString(6), r.Instant(7), r.Instant(8))),
        connection.Query(
            "SELECT id, tenant, cluster, recurrence, start, seconds, time_zone, author, at FROM windows ORDER BY id",
            StoredBrakes.Window),
        connection.Query(
            "SELECT id, tenant, cluster, reason, author, from_at, until_at FROM freezes ORDER BY id",
            StoredBrakes.Freeze));
}
