using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Actions.Protocol;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Testing;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>Incidents and runs over one state file on a fake clock, with a disk that a scripted agent cleans or does not.</summary>
sealed class RemediationBench : IDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static readonly Sender Node = new(new NodeId("t", "c", "n"));

    const string Runbook =
        """
        name: disk
        summary: Free space
        answers: [{ signal: Filling, labels: { mountpoint: /.* } }]
        mode: automatic
        gates: { sustained: 1m, freshness: 2m, coolDown: 15m, attempts: 2 }
        steps:
          - { name: measure, action: disk.largest-directories, parameters: { mountPoint: "${mountpoint}" },
              timeout: 1m, onFailure: continue }
          - { name: clean, action: disk.clean-paths, parameters: { mountPoint: "${mountpoint}" }, timeout: 1m, onFailure: continue }
          - { name: vacuum, action: disk.vacuum-journal, parameters: { mountPoint: "${mountpoint}" }, timeout: 1m, onFailure: continue }
        verify: { within: 5m, for: 1m }
        ticket: { attach: [measure] }
        """;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-runs-").FullName;
    readonly List<(DateTimeOffset At, Signal Signal)> _ended = [];
    StateDatabase? _database;
    IncidentsHost _incidentsHost = null!;
    readonly string _runbooks;
    string _lastState = "";

    /// <param name="runbooks">A folder of others than the one above; whatever they ask of telemetry holds.</param>
    public RemediationBench(RunbookMode mode = RunbookMode.Automatic, string? runbooks = null)
    {
        _runbooks = runbooks ?? RunbookFile;
        File.WriteAllText(RunbookFile, Runbook);
        // On SQLite nothing is waited for.
        RestartAsync().GetAwaiter().GetResult();
        Control.SetAsync(new ModeEntry("", "t", "c", mode, "test", Start), CancellationToken.None).GetAwaiter().GetResult();
    }

    public string RunbookFile => Path.Combine(_folder, "disk.yaml");

    public FakeTimeProvider Clock { get; } = new(Start);

    public DateTimeOffset Now => Clock.GetUtcNow();

    public RemediationHost Host { get; private set; } = null!;

    public RemediationEnvironment Environment { get; private set; } = null!;

    public IncidentStore Incidents { get; private set; } = null!;

    public RunStore Runs { get; private set; } = null!;

    public ControlStore Control { get; private set; } = null!;

    public ScriptedAgent Agent { get; } = new();

    /// <summary>What is known of the cluster; null where nothing is.</summary>
    public Func<ClusterFacts>? Facts { get; set; }

    /// <summary>Null while the disk is well.</summary>
    public Signal? Signal { get; private set; }

    /// <summary>What the detectors give in place of <see cref="Signal"/>.</summary>
    public SignalList? Given { get; set; }

    /// <summary>As a new process on the same state.</summary>
    public async Task RestartAsync()
    {
        Host?.Dispose();
        _incidentsHost?.Dispose();
        _database?.Dispose();
        _database = new StateDatabase(Path.Combine(_folder, "state.db"));
        var credentials = new Credentials(_database, Clock);
        if ((await credentials.AgentsAsync(TestContext.Current.CancellationToken)).Count == 0)
            await credentials.EnrollAsync(Node.ClusterId, Node.Node, TestContext.Current.CancellationToken);
        Incidents = new(_database);
        Runs = new(_database);
        Control = new(_database);
        var metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
        SignalList Signals() => Given ?? (Signal is null ? [] : [Signal, .. Others]);
        _incidentsHost = new(
            new()
            {
                Signals = Signals,
                Ended = (_, _) => Task.FromResult<IReadOnlyList<Signal>>([.. _ended.Select(e => e.Signal)]),
                Worked = Runs.WorkedIncidentsAsync,
                Store = Incidents,
                Metrics = metrics,
            },
            Clock,
            NullLogger<IncidentsHost>.Instance);
        Environment = new()
        {
            RunbookFiles = [_runbooks],
            Signals = Signals,
            IsTrue = _runbooks == RunbookFile
                ? RemediationEnvironment.IsTrueBy(new PromQLEngine(new MemorySeries()))
                : (_, _, _) => ValueTask.FromResult(true),
            Clusters = _ => Facts?.Invoke(),
            Incidents = Incidents,
            Runs = Runs,
            Control = Control,
            Metrics = metrics,
        };
        Host = new(Environment, Clock, NullLogger<RemediationHost>.Instance);
        Assert.Empty(Host.Reload().Errors);
    }

    /// <summary>A backup of the state as it is.</summary>
    public void CopyState(string file) => _database!.CopyTo(file);

    /// <summary>As the first server on a folder that was restored from that backup, and then a person who has looked at it.</summary>
    public async Task RestoreAsync(string file, DateTimeOffset backupAt)
    {
        Host.Dispose();
        _incidentsHost.Dispose();
        _database!.Dispose();
        foreach (var old in Directory.GetFiles(_folder, "state.db*"))
            File.Delete(old);
        File.Copy(file, Path.Combine(_folder, "state.db"));
        await RestartAsync();
        await Control.StopAfterRestoreAsync("restored", Now, TestContext.Current.CancellationToken);
        await Runs.BeginGenerationAsync(Lineage.NewGeneration(), backupAt, Now, TestContext.Current.CancellationToken);
    }

    public void Fire(string signal = "Filling") => Fire(signal, Labels.Of(
        ("tenant", "t"), ("cluster", "c"), ("node", "n"), ("mountpoint", "/data"), ("alertname", signal), ("severity", "warning")));

    public void Fire(string signal, Labels labels)
    {
        Signal = new()
        {
            Rule = "r",
            Name = signal,
            Labels = labels,
            Element = labels,
            Condition = new(SignalState.Firing, Now, Now) { FiringSince = Now },
        };
    }

    public void Clear()
    {
        _ended.Insert(0, (Now, Signal! with { Condition = Transition.End(Signal!.Condition, SignalEnd.Cleared, Now) }));
        Signal = null;
    }

    public void Lose(bool lost) => Signal = Signal! with
    {
        Condition = Signal!.Condition with { State = lost ? SignalState.Unknown : SignalState.Firing, Before = SignalState.Firing },
    };

    /// <summary>What fires while <see cref="Signal"/> does.</summary>
    public List<Signal> Others { get; } = [];

    /// <summary>Another signal inhibits it, or does so no longer.</summary>
    public void Inhibit(bool inhibited) =>
        Signal = Signal! with { InhibitedBy = inhibited ? new(1, "NodeSilent", Labels.Of(("node", "n"))) : null };

    public TimeSpan Tick { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The detector, the incidents, the runs and the agent, once each, a tick later than before.</summary>
    public async Task StepAsync()
    {
        Clock.Advance(Tick);
        if (Signal is not null)
            Signal = Signal with { Condition = Signal.Condition with { LastEvaluation = Now } };
        if (Signal is not null && Agent.Emptied)
            Clear();
        await PassAsync();
        await Agent.WorkAsync(this);
    }

    /// <summary>Incidents alone: no run is proposed yet.</summary>
    public Task ReconcileAsync() => _incidentsHost.ReconcileAsync(Now, TestContext.Current.CancellationToken);

    public async Task PassAsync()
    {
        await _incidentsHost.ReconcileAsync(Now, TestContext.Current.CancellationToken);
        await PersistedAsync();
        await Host.AdvanceAsync(Now, TestContext.Current.CancellationToken);
        await PersistedAsync();
    }

    /// <summary>How often anything became durable.</summary>
    public int Points { get; private set; }

    /// <summary>After so many durable changes a new process follows.</summary>
    public int CrashAfter { get; set; } = -1;

    /// <summary>To be called after whatever may have changed the database.</summary>
    public async Task PersistedAsync()
    {
        await using var connection = await Runs.Database.OpenAsync(TestContext.Current.CancellationToken);
        var state = string.Join('\n', await connection.QueryAsync(
            "SELECT id || state || token FROM commands UNION ALL SELECT id || body FROM runs UNION ALL SELECT id || state || signals "
            + "FROM incidents UNION ALL SELECT incident || number FROM incident_timeline",
            r => r.GetString(0), TestContext.Current.CancellationToken));
        if (state == _lastState)
            return;
        _lastState = state;
        if (Points++ == CrashAfter)
            await RestartAsync();
    }

    public async Task StepsAsync(double minutes)
    {
        for (var i = 0; i < minutes * 6; i++)
            await StepAsync();
    }

    public async Task<Run> RunUntilAsync(Func<Run, bool> reached)
    {
        for (var i = 0; i < 1000; i++)
        {
            if (Latest is { } run && reached(run))
                return run;
            await StepAsync();
        }

        throw new InvalidOperationException($"Never reached; the run is {Latest}");
    }

    public Run? Latest => Runs.SinceAsync(Start, CancellationToken.None).GetAwaiter().GetResult() is [.., var last] ? last : null;

    public void Dispose()
    {
        Host.Dispose();
        _incidentsHost.Dispose();
        _database?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>An agent in memory: it keeps idempotency keys as the real one does, and errs as it is told.</summary>
sealed class ScriptedAgent
{
    readonly List<(string Id, CommandResult Result)> _reports = [];

    /// <summary>Commands whose mutation was made, in order.</summary>
    public List<string> Done { get; } = [];

    public List<string> Refusals { get; } = [];

    public bool Emptied { get; private set; }

    /// <summary>Whether cleaning helps.</summary>
    public bool Helps { get; set; } = true;

    public bool Absent { get; set; }

    /// <summary>Makes every report twice, the second one a step late.</summary>
    public bool Duplicates { get; set; }

    /// <summary>Loses its results on the way.</summary>
    public bool Mute { get; set; }

    public CommandOutcome Outcome { get; set; } = CommandOutcome.Succeeded;

    /// <summary>What an action that changed something answers with.</summary>
    public Func<string, JsonElement?> Report { get; set; } = _ => null;

    /// <summary>Actions that were leased, in order.</summary>
    public List<string> Leased { get; } = [];

    /// <summary>Called between lease and begin.</summary>
    public Func<RemediationBench, Task> BeforeBegin { get; set; } = _ => Task.CompletedTask;

    public async Task WorkAsync(RemediationBench bench)
    {
        foreach (var (id, result) in _reports)
            Assert.True(await bench.Host.Agents.FinishAsync(RemediationBench.Node, id, result, TestContext.Current.CancellationToken));
        _reports.Clear();
        if (Absent)
            return;
        foreach (var command in await bench.Host.Agents.LeaseAsync(RemediationBench.Node, bench.Now, TestContext.Current.CancellationToken))
        {
            await bench.PersistedAsync();
            await BeforeBegin(bench);
            var result = await ExecuteAsync(bench, command.Id, command.Action, command.Token);
            if (!Mute)
                Assert.True(
                    await bench.Host.Agents.FinishAsync(RemediationBench.Node, command.Id, result, TestContext.Current.CancellationToken));
            await bench.PersistedAsync();
            if (Duplicates)
                _reports.Add((command.Id, result with { Outcome = CommandOutcome.Failed }));
        }
    }

    async Task<CommandResult> ExecuteAsync(RemediationBench bench, string id, string action, long token)
    {
        Leased.Add(action);
        if (ActionCatalogue.Find(action)!.Traits.ReadOnly)
            return new(token, CommandOutcome.Succeeded, "measured", JsonDocument.Parse("""{"largest":"/data/spool"}""").RootElement);
        if (await bench.Host.BeginAsync(
            RemediationBench.Node, id, token, TestContext.Current.CancellationToken) is not { Granted: true } answer)
        {
            Refusals.Add((await bench.Host.BeginAsync(RemediationBench.Node, id, token, TestContext.Current.CancellationToken))!.Reason!);
            return new(token, CommandOutcome.Refused, Refusals[^1], null);
        }

        Assert.InRange(answer.Seconds, 1, 10);
        Done.Add(id);
        await bench.PersistedAsync();
        Emptied = Helps;
        return new(token, Outcome, "freed what it could", Report(action));
    }
}
