using Microsoft.Extensions.Logging;

using Whistle.Alerting;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Remediation;
using Whistle.Remediation.Runs;
using Whistle.State.Health;
using Whistle.Web.Nodes;
using Whistle.Web.Signals;

namespace Whistle.Web.Live;

/// <summary>
/// Makes the next snapshot from the one before: open incidents and live runs are read each time, what has ended only once. The number of
/// queries does not grow with the fleet. Telemetry and the register are looked at every ten seconds of real time, and at once after
/// somebody changed the register here.
/// </summary>
sealed class SnapshotReader(
    RemediationEnvironment remediation, RemediationHost host, AlertingHost alerting, ISignals signals, Credentials credentials,
    NodeReader nodes, HealthBoard health, TimeProvider time, LivePace pace, ILogger<SnapshotReader> logger)
{
    static readonly TimeSpan Kept = TimeSpan.FromHours(24);
    static readonly TimeSpan SlowEvery = TimeSpan.FromSeconds(10);

    // What another process wrote while this one read.
    static readonly TimeSpan Overlap = TimeSpan.FromSeconds(10);

    long _telemetryAt;
    long _registerAt;
    long _changes;
    long _changesInTelemetry;

    public async Task<FleetSnapshot> ReadAsync(FleetSnapshot? before, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var next = (before
            ?? new FleetSnapshot { Version = 0, Now = now }) with
        { Version = (before?.Version ?? 0) + 1, Now = now, Error = null, Health = health.Problems() };
        try
        {
            next = await StateAsync(next, before, now, cancellation);
            next = await RegisterAsync(next, before, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.SnapshotIncomplete(e);
            next = next with
            {
                Now = before?.Now ?? now,
                Error = "The state cannot be read. What you see may be out of date. "
                    + "Check that the server's disk is writable and not full, then see its log.",
            };
        }

        return InService(await TelemetryAsync(next, before, now, cancellation));
    }

    // What is archived is in no list of the fleet, though its last samples are still there.
    static FleetSnapshot InService(FleetSnapshot snapshot)
    {
        var standing = new FleetStanding(
            snapshot.Tenants, snapshot.Clusters, snapshot.Known.Values.Select(n => n.Archived).OfType<ArchivedNode>());
        return snapshot with
        {
            Nodes = [.. snapshot.Nodes.Where(n => !standing.IsArchived(n.Key))],
            Due = [.. snapshot.Due.Where(d => !standing.IsArchived(d.Key.Node))],
            Signals = [.. snapshot.Signals.Where(s => !standing.IsArchived(s.Node))],
        };
    }

    async Task<FleetSnapshot> StateAsync(FleetSnapshot next, FleetSnapshot? before, DateTimeOffset now, CancellationToken cancellation)
    {
        var since = before is null || before.Error is not null ? now - Kept : before.Now - Overlap;
        var runs = await remediation.Runs.SinceAsync(since, cancellation);
        return next with
        {
            Incidents = Merge(
                before?.Incidents, await remediation.Incidents.SinceAsync(since, cancellation), i => i.Id, i => i.OpenedAt, i => i.ClosedAt,
                now),
            Runs = Merge(before?.Runs, runs, r => r.Id, r => r.CreatedAt, r => r.EndedAt, now),
            Explanations = await host.ExplainLiveAsync(cancellation),
            Asking = await AskingAsync(runs, cancellation),
            Acknowledgements = (await remediation.Incidents.AllAcknowledgementsAsync(now, cancellation)).ToDictionary(a => a.IncidentId),
            Paged = await alerting.PagedAsync(cancellation),
            Unpaged = await alerting.UnpagedAsync(cancellation),
            HasChannel = alerting.HasChannel,
            Kill = await remediation.Control.KillSwitchAsync(cancellation),
            Pauses = await remediation.Control.PausesAsync(now, cancellation),
            Modes = await remediation.Control.ModesAsync(cancellation),
            Runbooks = host.Runbooks.Runbooks,
            Tickets = await alerting.Tickets.ListAsync(cancellation: cancellation),
            Signals = SignalView.Active(signals.Signals),
        };
    }

    async Task<FleetSnapshot> RegisterAsync(FleetSnapshot next, FleetSnapshot? before, CancellationToken cancellation)
    {
        // Before it is read: what changes while it is read counts for the next look.
        var changes = credentials.Register.Changes;
        if (before is not null && changes == _changes && pace.Time.GetElapsedTime(_registerAt) < SlowEvery)
            return next;
        var at = pace.Time.GetTimestamp();
        next = next with
        {
            Agents = await credentials.AgentsAsync(cancellation),
            Tenants = await credentials.Register.TenantsAsync(cancellation),
            Clusters = await credentials.Register.ClustersAsync(cancellation),
            Known = (await credentials.NodesAsync(cancellation)).ToDictionary(n => n.Id),
        };
        (_registerAt, _changes) = (at, changes);
        return next;
    }

    async Task<HashSet<string>> AskingAsync(IReadOnlyList<Run> runs, CancellationToken cancellation)
    {
        var asking = new HashSet<string>();
        foreach (var run in runs)
        {
            if (await remediation.Runs.AsksPersonAsync(run, cancellation))
                asking.Add(run.Id);
        }

        return asking;
    }

    // What has not ended is always among those just read, so of those before only the ended stay.
    static IReadOnlyList<T> Merge<T>(
        IReadOnlyList<T>? before, IReadOnlyList<T> read, Func<T, string> id, Func<T, DateTimeOffset> began, Func<T, DateTimeOffset?> ended,
        DateTimeOffset now)
    {
        var all = (before ?? []).Where(x => ended(x) > now - Kept).ToDictionary(id);
        foreach (var item in read)
            all[id(item)] = item;
        return [.. all.Values.OrderBy(began).ThenBy(id, StringComparer.Ordinal)];
    }

    async Task<FleetSnapshot> TelemetryAsync(FleetSnapshot next, FleetSnapshot? before, DateTimeOffset now, CancellationToken cancellation)
    {
        // Signals are newer than telemetry: a node shows at once that it is in trouble. What was unarchived is not in the list of before.
        if (before is not null && _changesInTelemetry == _changes && pace.Time.GetElapsedTime(_telemetryAt) < SlowEvery)
            return next with { Nodes = NodeList.With(before.Nodes, next.Signals) };
        (_telemetryAt, _changesInTelemetry) = (pace.Time.GetTimestamp(), _changes);
        try
        {
            var (list, due) = await nodes.ReadAsync(next.Agents, next.Signals, now, cancellation);
            return next with { Nodes = list, Due = due, TelemetryVersion = next.TelemetryVersion + 1 };
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            logger.SnapshotIncomplete(e);
            return next with
            {
                Nodes = before is null ? NodeList.Build(next.Agents, next.Signals, new()) : NodeList.With(before.Nodes, next.Signals),
                Error = next.Error ?? "The telemetry store does not answer. Whatever is missing here is unknown. "
                    + "Check that the server's disk is writable and not full, then see its log.",
            };
        }
    }
}

/// <summary>The clock by which pages are renewed: real time, except in tests.</summary>
sealed record LivePace(TimeProvider Time);
