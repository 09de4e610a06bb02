using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Simulation;

/// <summary>What a simulated store or process throws.</summary>
sealed class SimulatedFault(string message) : Exception(message);

/// <summary>A clock that follows the simulation, ahead or behind.</summary>
sealed class SimClock(Simulator simulator) : TimeProvider
{
    public TimeSpan Offset { get; set; }

    public override DateTimeOffset GetUtcNow() => simulator.Now + Offset;

    public override long GetTimestamp() => simulator.Now.Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;
}

/// <summary>
/// One process of the server: incidents, remediation and alerting over the shared state. A crash leaves nothing but the state.
/// </summary>
sealed class SimServer : IDisposable
{
    static readonly TimeSpan Together = TimeSpan.FromSeconds(15);

    readonly Simulator _simulator;
    readonly StateDatabase _database;
    readonly IncidentStore _incidentStore;
    readonly IncidentsHost _incidents;

    public SimServer(Simulator simulator, StateDatabase database, string name, int generation)
    {
        (_simulator, _database, Name, Generation) = (simulator, database, name, generation);
        Clock = new(simulator);
        _incidentStore = new(database);
        Runs = new(database);
        var control = new ControlStore(database);
        var metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
        _incidents = new(
            new()
            {
                Signals = () => [.. simulator.World.Signals(Clock.GetUtcNow())],
                Ended = (_, _) => Task.FromResult<IReadOnlyList<Signal>>([]),
                Worked = Runs.WorkedIncidentsAsync,
                Store = _incidentStore,
                Metrics = metrics,
            },
            Clock,
            NullLogger<IncidentsHost>.Instance);
        Host = new(
            new()
            {
                RunbookFiles = simulator.Options.Runbooks,
                Signals = () => [.. simulator.World.Signals(Clock.GetUtcNow())],
                IsTrue = (expression, _, _) => ValueTask.FromResult(simulator.Holds(expression)),
                Clusters = simulator.Facts,
                Incidents = _incidentStore,
                Runs = Runs,
                Control = control,
                Metrics = metrics,
                Owner = $"{name}{generation}",
            },
            Clock,
            simulator.Logger)
        {
            GateRefused = simulator.CountRefusal,
        };
        Host.Use(simulator.Runbooks);
        Pager = simulator.Options.Pager(database, _incidentStore, Runs, Clock);
    }

    public string Name { get; }

    public int Generation { get; }

    public string Owner => $"{Name}{Generation}";

    public SimClock Clock { get; }

    public RunStore Runs { get; }

    public RemediationHost Host { get; }

    public ISimulatedPager Pager { get; }

    /// <summary>It has crashed: nothing that it still does reaches the state.</summary>
    public bool IsDead { get; set; }

    /// <summary>It stands still in the midst of something, and believes that no time passes.</summary>
    public bool IsFrozen { get; set; }

    /// <summary>It writes what belongs to no run.</summary>
    public bool IsAside { get; private set; }

    /// <summary>Something failed in its latest pass.</summary>
    public bool IsDisturbed { get; private set; }

    public DateTimeOffset? NextPass { get; set; }

    public async Task PassAsync(CancellationToken cancellation)
    {
        IsDisturbed = false;
        IsAside = true;
        await TryAsync(() => _incidents.ReconcileAsync(Clock.GetUtcNow(), cancellation));
        IsAside = false;
        await TryAsync(() => Host.AdvanceAsync(Clock.GetUtcNow(), cancellation));
        IsAside = true;
        await TryAsync(() => Pager.DecideAsync(Clock.GetUtcNow(), cancellation));
        IsAside = false;
    }

    /// <summary>When the next pass is to be though nothing else happens.</summary>
    public DateTimeOffset Due(DateTimeOffset now)
    {
        var due = Host.NextDue ?? now + TimeSpan.FromHours(6);
        foreach (var incident in _simulator.Active)
        {
            if (incident.ClearSince is { } clear)
                due = Least(due, clear + TimeSpan.FromMinutes(5));
            var deadline = Pager.Deadline(incident.Severity);
            // Its deadline counts from its opening or, where it came back after its end, from there.
            foreach (var began in (DateTimeOffset[])[incident.OpenedAt, .. incident.Onsets.TakeLast(1)])
            {
                for (var i = 0; i < 3 && deadline is not null; i++)
                {
                    if (began + deadline.Value + TimeSpan.FromSeconds(30 * i) is var at && at > now)
                        due = Least(due, at);
                }
            }

            due = Least(due, now + TimeSpan.FromHours(3));
        }

        // What is due within seconds is done together, as far apart as the passes of a slow server.
        due = due < now + Together ? due : new((due.Ticks + Together.Ticks - 1) / Together.Ticks * Together.Ticks, TimeSpan.Zero);
        return due < now + TimeSpan.FromSeconds(1) ? now + TimeSpan.FromSeconds(1) : due;
    }

    public void Dispose()
    {
        Host.Dispose();
        _incidents.Dispose();
        Pager.Dispose();
    }

    async Task TryAsync(Func<Task> act)
    {
        if (IsDead)
            return;
        try
        {
            await act();
        }
        catch (SimulatedFault e)
        {
            IsDisturbed = true;
            _simulator.Trace($"{Owner}: {e.Message}");
        }
    }

    static DateTimeOffset Least(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;
}
