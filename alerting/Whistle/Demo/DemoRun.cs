using Whistle.Alerting;
using Whistle.Alerting.PagerDuty;
using Whistle.Incidents;
using Whistle.Ingest.Gateways;
using Whistle.Ingest.Logs;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;

namespace Whistle.Demo;

/// <summary>
/// The whole server, the simulated fleet and the pager on the demo's clock. Each step moves the clock and then runs every stage once, as
/// the stages' own timers would: so the fill, the live part and a test are the same code at another pace.
/// </summary>
sealed class DemoRun : IAsyncDisposable
{
    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    /// <summary>The step of the live part: what the stages' own loops take.</summary>
    public static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    readonly DemoFleet _fleet;

    DemoRun(WhistleApp app, DemoScript script, DemoFleet fleet, DemoClock clock, DemoPager pager, DateTimeOffset live) =>
        (App, Script, _fleet, Clock, Pager, Live) = (app, script, fleet, clock, pager, live);

    public WhistleApp App { get; }

    public DemoScript Script { get; }

    public DemoClock Clock { get; }

    public DemoPager Pager { get; }

    /// <summary>When the history ends and the script begins.</summary>
    public DateTimeOffset Live { get; }

    public DateTimeOffset Now => Clock.GetUtcNow();

    public int LostReports => _fleet.Lost;

    public IncidentStore Incidents => App.Services.GetRequiredService<IncidentStore>();

    public RunStore Runs => App.Services.GetRequiredService<RunStore>();

    /// <param name="live">When the script begins; rounded down to a minute.</param>
    /// <exception cref="StartException">The address is taken.</exception>
    public static async Task<DemoRun> StartAsync(
        DemoOptions options, Uri listen, string folder, DateTimeOffset live, CancellationToken cancellation)
    {
        live = new DateTimeOffset(live.UtcTicks - (live.UtcTicks % Minute.Ticks), TimeSpan.Zero);
        var clock = new DemoClock(live - DemoScript.History);
        var pager = await DemoPager.StartAsync(cancellation);
        WhistleApp? app = null;
        try
        {
            app = await WhistleApp.OpenAsync(Options(listen, folder, clock, pager), cancellation);
            await app.StartAsync(cancellation);
            await SetModesAsync(app, clock, cancellation);
            var script = new DemoScript(options, live);
            var fleet = await DemoFleet.EnrollAsync(
                script, app.Address, app.Credentials, Path.Combine(folder, "nodes"), clock, cancellation);
            return new DemoRun(app, script, fleet, clock, pager, live);
        }
        catch
        {
            await (app?.DisposeAsync() ?? ValueTask.CompletedTask);
            await pager.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Six hours and a half that have been: sent over the same road, the last half hour bit by bit with the engine running. Its clocks run
    /// over two evaluations' time as if there had been one in between, so every second one will do.
    /// </summary>
    /// <param name="progress">Told the work that is done, and all of it: a node's history is as much as a step.</param>
    public async Task FillAsync(Action<double, double> progress, CancellationToken cancellation)
    {
        var lived = Live - DemoScript.Lived;
        var from = Now;
        var (done, total) = (0, _fleet.Nodes + ((Live - lived) / (2 * Minute)));
        Clock.Advance(lived - from);
        await _fleet.BackfillAsync(from, lived - Minute, () => progress(Interlocked.Increment(ref done), total), cancellation);
        for (; Now < Live; progress(++done, total))
            await StepAsync(Live - Now < 2 * Minute ? Minute : 2 * Minute, cancellation);
    }

    /// <summary>One pass of every stage, after the clock has moved by a second, or by minutes while history is filled in.</summary>
    public async Task StepAsync(TimeSpan step, CancellationToken cancellation)
    {
        Clock.Advance(step);
        await (step < Minute ? _fleet.ReportAsync(Now, cancellation) : _fleet.ReportAllAsync(Now, cancellation));
        await App.Rules.EvaluateAsync(Now, cancellation);
        await App.Incidents.ReconcileAsync(Now, cancellation);
        await App.Remediation.AdvanceAsync(Now, cancellation);
        await _fleet.ObeyAsync(
            (await Runs.SinceAsync(Now, cancellation)).Where(r => r.State is RunState.Running).Select(r => (r.Cluster, r.Node)),
            cancellation);
        await App.Alerting.RunOnceAsync(Now, cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await App.DisposeAsync();
        _fleet.Dispose();
        await Pager.DisposeAsync();
    }

    static WhistleOptions Options(Uri listen, string folder, DemoClock clock, DemoPager pager) => new()
    {
        DataFolder = folder,
        Listen = [listen],
        // Nothing of this machine: neither its telemetry nor its files.
        Agent = false,
        Alerting = new AlertingOptions { Channels = [new PagerDutyOptions { Address = pager.Address, RoutingKey = DemoPager.RoutingKey }] },
        // A step waits for its reports; there is no other sender whose commit they could share.
        Log = new TelemetryLogOptions { GroupCommit = TimeSpan.Zero },
        // Hours of history are written at once, where a fleet sends them bit by bit.
        StoreMemory = "384MB",
        // The history comes while the clock stands still.
        Gateway = new GatewayOptions { MaxSamplesPerSecond = 1e8 },
        LeastLogged = LogLevel.Error,
        Time = clock,
        RunTimers = false,
    };

    static async Task SetModesAsync(WhistleApp app, DemoClock clock, CancellationToken cancellation)
    {
        var control = app.Services.GetRequiredService<ControlStore>();
        foreach (var cluster in DemoScript.Clusters)
            await control.SetAsync(
                new ModeEntry(DemoScript.Runbook, "", cluster.Name, cluster.Mode, "demo", clock.GetUtcNow()), cancellation);
    }
}
