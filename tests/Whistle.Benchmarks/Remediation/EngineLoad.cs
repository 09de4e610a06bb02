using System.Diagnostics;
using System.Globalization;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Alerting;
using Whistle.Detectors.Incidents;
using Whistle.Detectors.Signals;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Remediation;

/// <summary>
/// What the engine costs at its worst: a whole cluster that dies with 5,000 signals, and 10,000 runs that are open at a time. Incidents, runs
/// and alerting over a real state file; one pass a second, as the server makes them.
/// </summary>
static class EngineLoad
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static int Run()
    {
        Console.WriteLine("A cluster of 20 nodes dies: 5,000 signals at once, ten minutes of passes");
        using (var engine = new Engine([.. Dead()]))
        {
            var before = Process.GetCurrentProcess().TotalProcessorTime;
            var slowest = TimeSpan.Zero;
            for (var second = 0; second < 600; second++)
                slowest = TimeSpan.FromTicks(Math.Max(slowest.Ticks, engine.Pass().Ticks));
            var cpu = Process.GetCurrentProcess().TotalProcessorTime - before;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {engine.Incidents.Active().Count} incident, {engine.Pages} page, {engine.Runs.Live().Count} runs, {engine.CommandCount()} commands; CPU {cpu.TotalSeconds:0.0} s, slowest pass {slowest.TotalMilliseconds:0} ms, peak memory {Process.GetCurrentProcess().PeakWorkingSet64 >> 20} MiB"));
        }

        Console.WriteLine("10,000 nodes, each with a disk that fills, in mode observe: 10,000 open runs");
        using (var engine = new Engine([.. Disks(10_000)], RunbookMode.Observe))
        {
            // The first ones propose and refuse all of them, and compile.
            var first = Enumerable.Range(0, 90).Max(_ => engine.Pass());
            List<TimeSpan> passes = [];
            for (var second = 0; second < 30; second++)
                passes.Add(engine.Pass());
            passes.Sort();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {engine.Runs.Live().Count} open runs; remediation's pass: median {passes[15].TotalMilliseconds:0} ms, slowest {passes[^1].TotalMilliseconds:0} ms; where all are refused at once {first.TotalMilliseconds:0} ms; peak memory {Process.GetCurrentProcess().PeakWorkingSet64 >> 20} MiB"));
        }

        return 0;
    }

    static IEnumerable<Signal> Dead()
    {
        string[] names = ["NodeKubeletUnhealthy", "KubePodNotReady", "KubePodCrashLooping", "KubeContainerWaiting", "NodeContainerRuntimeUnhealthy", "TargetDown"];
        for (var i = 0; i < 5000; i++)
        {
            var name = names[i % names.Length];
            yield return Of(name, "critical", ("cluster", "dead"), ("node", $"n{i % 20:00}"), ("namespace", $"ns{i % 7}"), ("pod", $"pod-{i}"));
        }
    }

    // Not so many at once in one cluster that they would be one incident.
    static IEnumerable<Signal> Disks(int count) => Enumerable.Range(0, count).Select(i =>
        Of("NodeFilesystemSpaceFillingUp", "warning", ("cluster", $"c{i / 100}"), ("node", $"n{i:00000}"), ("mountpoint", "/var")));

    static Signal Of(string name, string severity, params (string Name, string Value)[] labels)
    {
        var all = Labels.Of([("tenant", "t"), ("alertname", name), ("severity", severity), .. labels]);
        return new() { Rule = "r", Name = name, Labels = all, Element = all, Condition = new(SignalState.Firing, Start, Start) { FiringSince = Start } };
    }

    sealed class Engine : IDisposable
    {
        readonly string _folder = Directory.CreateTempSubdirectory("whistle-load-").FullName;
        readonly FakeTimeProvider _clock = new(Start);
        readonly StateDatabase _database;
        readonly IncidentsHost _incidents;
        readonly RemediationHost _remediation;
        readonly AlertingHost _alerting;

        public Engine(IReadOnlyList<Signal> signals, RunbookMode mode = RunbookMode.Automatic)
        {
            _database = new(Path.Combine(_folder, "state.db"));
            Incidents = new(_database);
            Runs = new(_database);
            var control = new ControlStore(_database);
            control.Set(new ModeEntry("", "t", "", mode, "load", Start));
            var metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
            // The detectors give the same list until something changes, and evaluate all the time.
            IReadOnlyList<Signal> Signals() => signals;
            _incidents = new(new() { Signals = Signals, Ended = _ => [], Worked = Runs.WorkedIncidents, Store = Incidents, Metrics = metrics }, _clock, NullLogger<IncidentsHost>.Instance);
            var nodes = signals.GroupBy(s => s.Labels["cluster"]).ToDictionary(
                g => g.Key, g => g.Select(s => s.Labels["node"]).Distinct().Select(n => new NodeFacts(n, "", false, Ready: false)).ToList());
            _remediation = new(
                new()
                {
                    RunbookFiles = [Path.Combine(AppContext.BaseDirectory, "runbooks")],
                    Signals = Signals,
                    Holds = (_, _, _) => ValueTask.FromResult(true),
                    Clusters = (_, cluster) => new() { LatestData = _clock.GetUtcNow(), Nodes = nodes[cluster], Members = [] },
                    Incidents = Incidents,
                    Runs = Runs,
                    Control = control,
                    Metrics = metrics,
                },
                _clock, NullLogger<RemediationHost>.Instance);
            if (_remediation.Reload().Errors is { Count: > 0 } errors)
                throw new InvalidOperationException(string.Join('\n', errors));
            _alerting = new(
                new() { Incidents = new IncidentReader(Incidents, Runs, _clock).Since, Database = _database, Metrics = metrics }, new(), _clock, NullLogger<AlertingHost>.Instance);
        }

        public IncidentStore Incidents { get; }

        public RunStore Runs { get; }

        public int Pages => _alerting.Unpaged().Keys.Sum(i => _alerting.Decisions(i).Count(d => d.Kind == "unpaged"));

        public long CommandCount()
        {
            using var connection = _database.Open();
            return connection.Query("SELECT count(*) FROM commands", r => r.GetInt64(0)).Single();
        }

        /// <summary>One second passes. Returns how long remediation took.</summary>
        public TimeSpan Pass()
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            _incidents.ReconcileAsync(_clock.GetUtcNow()).GetAwaiter().GetResult();
            var began = Stopwatch.GetTimestamp();
            _remediation.AdvanceAsync(_clock.GetUtcNow(), CancellationToken.None).GetAwaiter().GetResult();
            var took = Stopwatch.GetElapsedTime(began);
            _alerting.RunOnceAsync(_clock.GetUtcNow(), CancellationToken.None).GetAwaiter().GetResult();
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
