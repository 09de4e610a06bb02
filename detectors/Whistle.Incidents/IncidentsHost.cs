using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Detectors.Signals;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Incidents;

/// <summary>What incidents are made from.</summary>
public sealed record IncidentsEnvironment
{
    /// <summary>All active signals; null while they are not known, which is before the first rules are loaded.</summary>
    public required Func<SignalList?> Signals { get; init; }

    /// <summary>Signals that ended since then, the latest first.</summary>
    public required Func<DateTimeOffset, CancellationToken, Task<IReadOnlyList<Signal>>> Ended { get; init; }

    /// <summary>The incidents that a run works on.</summary>
    public Func<CancellationToken, Task<IReadOnlySet<string>>> Worked { get; init; } =
        _ => Task.FromResult<IReadOnlySet<string>>(new HashSet<string>());

    public required IncidentStore Store { get; init; }

    public IncidentOptions Options { get; init; } = new();

    public required IMetricFactory Metrics { get; init; }

    public PassWatch? Watch { get; init; }

    /// <summary>Where several processes could do it; null where there is one.</summary>
    public StateLease? Lease { get; init; }

    /// <summary>Where this stage says what is wrong with itself.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);
}

/// <summary>
/// Reconciles the incidents held with the signals. The hosted loop and a test call the same <see cref="ReconcileAsync"/>.
/// </summary>
public sealed class IncidentsHost(IncidentsEnvironment environment, TimeProvider time, ILogger<IncidentsHost> logger) : BackgroundService
{
    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    readonly Gauge _active = environment.Metrics.CreateGauge("whistle_incidents", "Incidents that are not closed.", ["state"]);
    SignalView? _view;

    public async Task ReconcileAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (environment.Signals() is not { } active)
            return;
        var held = await environment.Store.SinceAsync(now - environment.Options.ReopenWithin, cancellation);
        // How signals ended matters only to those that an incident holds.
        var ended = held.Any(i => i.ClosedAt is null) ? await environment.Ended(now - TimeSpan.FromHours(24), cancellation) : [];
        var worked = await environment.Worked(cancellation);
        _view = _view is { } before && before.Active.Version == active.Version
            ? before with { Ended = ended, Worked = worked }
            : new(active, ended, worked);
        var changes = IncidentEngine.Reconcile(held, _view, environment.Options, now);
        if (changes.Count > 0)
            await environment.Store.SaveAsync(changes, now, cancellation);
        foreach (var change in changes)
            logger.IncidentChanged(change.Incident.Id, change.Incident.State, string.Join(" ", change.Entries.Select(e => e.Text)));
        Count(held, changes);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pass = environment.Watch?.Watch("incidents", Step);
        using var timer = new PeriodicTimer(Step, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                pass?.Begin();
                await StateLease.RunAsync(
                    environment.Lease, () => ReconcileAsync(time.GetUtcNow(), stoppingToken), stoppingToken);
                pass?.Succeed();
            }
            catch (StateException)
            {
                // The database has said it, once; the pass is tried again.
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                pass?.Fail(e);
                logger.ReconcileFailed(e);
            }
        }
    }

    /// <summary>Another process may go on at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (environment.Lease is { } lease)
            await lease.TryReleaseAsync(cancellationToken);
    }

    void Count(IReadOnlyList<Incident> held, IReadOnlyList<IncidentChange> changes)
    {
        var now = held.ToDictionary(i => i.Id);
        foreach (var change in changes)
            now[change.Incident.Id] = change.Incident;
        var counts = now.Values.CountBy(i => i.State).ToDictionary();
        foreach (var state in new[] { IncidentState.Open, IncidentState.Mitigating, IncidentState.Recovering })
            _active.WithLabels(state.ToString().ToLowerInvariant()).Set(counts.GetValueOrDefault(state));
    }
}
