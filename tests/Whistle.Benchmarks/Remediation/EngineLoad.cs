using System.Diagnostics;
using System.Globalization;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Alerting;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Stores;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Remediation;

/// <summary>
/// What the engine costs at its worst: a whole cluster that dies with 5,000 signals, and 10,000 runs that are open at a time. Incidents,
/// runs and alerting over a real state file; one pass a second, as the server makes them.
/// </summary>
static class EngineLoad
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static async Task<int> RunAsync()
    {
        Console.WriteLine("A cluster of 20 nodes dies: 5,000 signals at once, ten minutes of passes");
        using (var engine = await Engine.OpenAsync([.. Dead()]))
        {
            var before = Process.GetCurrentProcess().TotalProcessorTime;
            var slowest = TimeSpan.Zero;
            for (var second = 0; second < 600; second++)
                slowest = TimeSpan.FromTicks(Math.Max(slowest.Ticks, (await engine.PassAsync()).Ticks));
            var cpu = Process.GetCurrentProcess().TotalProcessorTime - before;
            var (incidents, pages) = ((await engine.Incidents.ActiveAsync(default)).Count, await engine.PagesAsync());
            var (runs, commands) = ((await engine.Runs.LiveAsync(default)).Count, await engine.CommandCountAsync());
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {incidents} incident, {pages} page, {runs} runs, {commands} commands; CPU {cpu.TotalSeconds:0.0} s, "
                + $"slowest pass {slowest.TotalMilliseconds:0} ms, peak memory {Process.GetCurrentProcess().PeakWorkingSet64 >> 20} MiB"));
        }

        Console.WriteLine("10,000 nodes, each with a disk that fills, in mode observe: 10,000 open runs");
        using (var engine = await Engine.OpenAsync([.. Disks(10_000)], RunbookMode.Observe))
        {
            // The first ones propose and refuse all of them, and compile.
            var first = TimeSpan.Zero;
            for (var second = 0; second < 90; second++)
                first = TimeSpan.FromTicks(Math.Max(first.Ticks, (await engine.PassAsync()).Ticks));
            List<TimeSpan> passes = [];
            for (var second = 0; second < 30; second++)
                passes.Add(await engine.PassAsync());
            passes.Sort();
            var open = (await engine.Runs.LiveAsync(default)).Count;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {open} open runs; remediation's pass: median {passes[15].TotalMilliseconds:0} ms, "
                + $"slowest {passes[^1].TotalMilliseconds:0} ms; where all are refused at once {first.TotalMilliseconds:0} ms; "
                + $"peak memory {Process.GetCurrentProcess().PeakWorkingSet64 >> 20} MiB"));
        }

        return 0;
    }

    static IEnumerable<Signal> Dead()
    {
        string[] names =
        [
            "NodeKubeletUnhealthy", "KubePodNotReady", "KubePodCrashLooping", "KubeContainerWaiting", "NodeContainerRuntimeUnhealthy",
            "TargetDown",
        ];
        for (var i = 0; i < 5000; i++)
        {
            var name = names[i % names.Length];
            yield return Of(
                name, "critical", ("cluster", "dead"), ("node", $"n{i % 20:00}"), ("namespace", $"ns{i % 7}"), ("pod", $"pod-{i}"));
        }
    }

    // Not so many at once in one cluster that they would be one incident.
    static IEnumerable<Signal> Disks(int count) => Enumerable.Range(0, count).Select(i =>
        Of("NodeFilesystemSpaceFillingUp", "warning", ("cluster", $"c{i / 100}"), ("node", $"n{i:00000}"), ("mountpoint", "/var")));

    static Signal Of(string name, string severity, params (string Name, string Value)[] labels)
    {
        var all = Labels.Of([("tenant", "t"), ("alertname", name), ("severity", severity), .. labels]);
        return new()
        { Rule = "r", Name = name, Labels = all, Element = all, Condition = new(SignalState.Firing, Start, Start) { FiringSince = Start } };
    }

    sealed class Engine : IDisposable
    {
        readonly string _folder = Directory.CreateTempSubdirectory("whistle-load-").FullName;
        readonly FakeTimeProvider _clock = new(Start);
        readonly StateDatabase _database;
        readonly IncidentsHost _incidents;
        readonly RemediationHost _remediation;
        readonly AlertingHost _alerting;

        Engine(IReadOnlyList<Signal> signals)
        {
            _database = new(Path.Combine(_folder, "state.db"));
            Incidents = new(_database);
            Runs = new(_database);
            var control = new ControlStore(_database);
            var metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
            // The detectors give the same list until something changes, and evaluate all the time.
            SignalList list = [.. signals];
            SignalList Signals() => list;
            _incidents = new(
                new()
                {
                    Signals = Signals,
                    Ended = (_, _) => Task.FromResult<IReadOnlyList<Signal>>([]),
                    Worked = Runs.WorkedIncidentsAsync,
                    Store = Incidents,
                    Metrics = metrics,
                },
                _clock, NullLogger<IncidentsHost>.Instance);
            var nodes = signals.GroupBy(s => s.Labels["cluster"]).ToDictionary(
                g => g.Key,
                g => g.Select(s => s.Labels["node"]).Distinct().Select(n => new NodeFacts(n, "", false, Ready: false)).ToList());
            _remediation = new(
                new()
                {
                    RunbookFiles = [Path.Combine(AppContext.BaseDirectory, "runbooks")],
                    Signals = Signals,
                    IsTrue = (_, _, _) => ValueTask.FromResult(true),
                    Clusters = cluster => new() { LatestData = _clock.GetUtcNow(), Nodes = nodes[cluster.Cluster], Members = [] },
                    Incidents = Incidents,
                    Runs = Runs,
                    Control = control,
                    Metrics = metrics,
                },
                _clock, NullLogger<RemediationHost>.Instance);
            if (_remediation.Reload().Errors is { Count: > 0 } errors)
                throw new InvalidOperationException(string.Join('\n', errors));
            _alerting = new(
                new() { Incidents = new IncidentReader(Incidents, Runs, _clock).SinceAsync, Database = _database, Metrics = metrics },
                new(), _clock, NullLogger<AlertingHost>.Instance);
        }

        public static async Task<Engine> OpenAsync(IReadOnlyList<Signal> signals, RunbookMode mode = RunbookMode.Automatic)
        {
            var engine = new Engine(signals);
            await new ControlStore(engine._database).SetAsync(new ModeEntry("", "t", "", mode, "load", Start), default);
            return engine;
        }

        public IncidentStore Incidents { get; }

        public RunStore Runs { get; }

        public async Task<int> PagesAsync()
        {
            var pages = 0;
            foreach (var incident in (await _alerting.UnpagedAsync(default)).Keys)
                pages += (await _alerting.DecisionsAsync(incident, default)).Count(d => d.Kind is DecisionKind.Unpaged);
            return pages;
        }

        public async Task<long> CommandCountAsync()
        {
            await using var connection = await _database.OpenAsync(default);
            return (await connection.QueryAsync("SELECT count(*) FROM commands", r => r.GetInt64(0), default)).Single();
        }

        /// <summary>One second passes. Returns how long remediation took.</summary>
        public async Task<TimeSpan> PassAsync()
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await _incidents.ReconcileAsync(_clock.GetUtcNow(), default);
            var began = Stopwatch.GetTimestamp();
            await _remediation.AdvanceAsync(_clock.GetUtcNow(), default);
            var took = Stopwatch.GetElapsedTime(began);
            await _alerting.RunOnceAsync(_clock.GetUtcNow(), default);
            return took;
        }

        public void Dispose()
        {
            _alerting.Dispose();
            _remediation.Dispose();
            _incidents.Dispose();
            _database.Dispose();
            Directory.Delete(_folder, recursive: true);
        }
    }
}
