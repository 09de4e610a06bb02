using System.Security.Cryptography;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.State.Health;
using Whistle.Telemetry;

namespace Whistle.Detectors;

/// <summary>What the rules read and where they write.</summary>
public sealed record RulesEnvironment
{
    /// <summary>Rule files and folders of rule files.</summary>
    public required IReadOnlyList<string> RuleFiles { get; init; }

    public required PromQLEngine Engine { get; init; }

    public required ISeriesSource Series { get; init; }

    /// <summary>
    /// Only what came under a node's own credential says that the node reports. Without a gateway there are no credentials.
    /// </summary>
    public bool HasGateway { get; init; }

    /// <summary>
    /// Takes recorded series and <see cref="ReservedMetrics"/>. Once it completes they must be visible to <see cref="Series"/>.
    /// </summary>
    public required Func<IReadOnlyList<RecordedSample>, CancellationToken, ValueTask> Write { get; init; }

    /// <summary>The agents that should report.</summary>
    public required Func<CancellationToken, Task<IReadOnlyList<EnrolledAgent>>> Inventory { get; init; }

    /// <summary>The collectors of whole clusters that should report.</summary>
    public Func<CancellationToken, Task<IReadOnlyList<EnrolledCollector>>> Collectors { get; init; } =
        _ => Task.FromResult<IReadOnlyList<EnrolledCollector>>([]);

    /// <summary>Who was refused for the server's own sake: alive, and not known otherwise.</summary>
    public RefusedSenders Refused { get; init; } = new(TimeProvider.System);

    /// <summary>Hears of every set of rules before it is in force, so that what it reads is kept.</summary>
    public Action<RuleSet> Loading { get; init; } = _ => { };

    public required StateDatabase Database { get; init; }

    /// <summary>The clusters that are evaluated here.</summary>
    public OwnClusters Own { get; init; } = OwnClusters.All;

    public required IMetricFactory Metrics { get; init; }

    /// <summary>Watches the passes, whose lateness is recorded as a series too.</summary>
    public PassWatch? Watch { get; init; }

    /// <summary>Where this stage says what is wrong with itself.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);
}

/// <summary>
/// Evaluates rule groups on their grids and keeps their signals. The hosted loop and a test call the same
/// <see cref="EvaluateAsync"/>; only the loop knows a clock.
/// </summary>
public sealed partial class RulesHost : BackgroundService, ISignals
{
    const string Component = "rules";

    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    /// <summary>The tables of signals.</summary>
    public static StateSchema Tables => SignalStore.Tables;

    readonly RulesEnvironment _environment;
    readonly TimeProvider _time;
    readonly ILogger<RulesHost> _logger;
    readonly SignalStore _store;
    readonly DetectorMetrics _metrics;
    readonly GroupEvaluator _evaluator;
    readonly ISeriesSource _reports;
    readonly NodePresence _presence;
    readonly CollectorPresence _collectors;

    // Held by a pass over the rules and by a reload, never by readers.
    readonly SemaphoreSlim _passes = new(1, 1);
    DateTimeOffset _lastPresence;
    Running _running = new(RuleSet.Empty, []);
    readonly Guid _source = Guid.NewGuid();
    long _gatherings;
    Evaluations? _gathered;

    public RulesHost(RulesEnvironment environment, TimeProvider time, ILogger<RulesHost> logger)
    {
        _environment = environment;
        _time = time;
        _logger = logger;
        _store = new SignalStore(
            environment.Database, new RuleShares(environment.Own, RandomNumberGenerator.GetHexString(16, lowercase: true)));
        if (!environment.Own.IsAll)
            environment.Own.Changing = RebalanceAsync;
        _metrics = new DetectorMetrics(environment.Metrics);
        _evaluator = new GroupEvaluator(environment.Engine, environment.Write, _store, _metrics, logger);
        _reports = environment.HasGateway ? new OwnReports(environment.Series) : environment.Series;
        _presence = new NodePresence(_reports, environment.Refused);
        _collectors = new CollectorPresence(environment.Series, environment.Refused);
    }

    /// <summary>All active signals, with what inhibits them: the same version until a rule is evaluated again.</summary>
    public SignalList Signals
    {
        get
        {
            var (rules, groups) = Volatile.Read(ref _running);
            List<RuleReport> reports = [.. groups.SelectMany(g => g.Rules).Select(r => r.Report)];
            if (Volatile.Read(ref _gathered) is { } gathered && gathered.Reports.SequenceEqual(reports, ReferenceEqualityComparer.Instance))
                return gathered.Signals;
            var signals = Inhibition.Apply(rules.InhibitRules, [.. reports.SelectMany(r => r.Signals)]);
            gathered = new(reports, new(new(_source, Interlocked.Increment(ref _gatherings)), signals));
            Volatile.Write(ref _gathered, gathered);
            return gathered.Signals;
        }
    }

    /// <summary><see cref="Signals"/>, once they are known; null before the first rules are loaded.</summary>
    public SignalList? ActiveSignals => Loaded ? Signals : null;

    /// <summary>Signals that ended within the last 24 hours, the latest first.</summary>
    public async Task<IReadOnlyList<Signal>> EndedSignalsAsync(DateTimeOffset since, CancellationToken cancellation) =>
        await _store.EndedAsync(since, cancellation);

    /// <summary>Drops what happened to signals more than a day ago.</summary>
    internal Task DropEventsAsync(CancellationToken cancellation) => _store.DropEventsAsync(_time.GetUtcNow(), cancellation);

    /// <summary>The rules in force.</summary>
    public RuleSet Rules => Volatile.Read(ref _running).Rules;

    /// <summary>Rules are in force, and with them the signals of the process before: no signal then means that nothing is wrong.</summary>
    public bool Loaded => !ReferenceEquals(Rules, RuleSet.Empty);

    internal IReadOnlyList<GroupState> Groups => Volatile.Read(ref _running).Groups;

    /// <summary>
    /// Loads the rule files. With any error the rules before stay in force and the errors are the answer. Groups and rules
    /// that are still there keep their signals; the signals of rules that are not are withdrawn.
    /// </summary>
    public async Task<RuleSetLoad> ReloadAsync(CancellationToken cancellation)
    {
        var load = RuleSet.Load(_environment.RuleFiles);
        _metrics.Reloads.WithLabels(load.Rules is null ? "error" : "ok").Inc();
        if (load.Rules is not { } rules)
        {
            _logger.RulesRefused(string.Join(Environment.NewLine, load.Errors));
            _environment.Health.Report(
                Component, "reload", HealthState.Degraded,
                $"The previous rules stay in force, because the new ones have {load.Errors.Count} errors; the first: {load.Errors[0]}");
            return load;
        }

        _environment.Loading(rules);
        await _passes.WaitAsync(cancellation);
        try
        {
            await SwapAsync(rules, cancellation);
        }
        finally
        {
            _passes.Release();
        }

        _environment.Health.Clear(Component, "reload");
        _logger.RulesLoaded(rules.RuleCount, rules.Groups.Count);
        return load;
    }

    /// <summary>
    /// Evaluates all that is due at <paramref name="now"/>: the presence of nodes first, then every due group, side by side.
    /// </summary>
    public async Task EvaluateAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await _passes.WaitAsync(cancellation);
        try
        {
            var agents = await AgentsAsync(cancellation);
            await BeatAsync(now, cancellation);
            await ObservePresenceAsync(agents, now, cancellation);
            var due = Groups.Select(g => (Group: g, Slot: Due(g, now))).Where(g => g.Slot is not null).ToList();
            if (due.Count == 0)
                return;
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellation };
            await Parallel.ForEachAsync(due, parallel, async (d, token) => await EvaluateGroupAsync(d.Group, d.Slot!.Value, agents, token));
            CountSignals();
        }
        finally
        {
            _passes.Release();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pass = _environment.Watch?.Watch("rules", Step);
        using var timer = new PeriodicTimer(Step, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                pass?.Begin();
                await EvaluateAsync(_time.GetUtcNow(), stoppingToken);
                pass?.Succeed();
            }
            catch (StateException)
            {
                // The database has said it, once; the pass is tried again.
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                pass?.Fail(e);
                _logger.PassFailed(e);
            }
        }
    }

    public override void Dispose()
    {
        _passes.Dispose();
        base.Dispose();
    }

    async ValueTask ObservePresenceAsync(IReadOnlyList<EnrolledAgent> agents, DateTimeOffset now, CancellationToken cancellation)
    {
        if ((now - _lastPresence).Duration() < NodePresence.Interval)
            return;
        _lastPresence = now;
        try
        {
            RecordedSample[] samples =
            [
                .. await _presence.ObserveAsync(agents, now, cancellation),
                .. await _collectors.ObserveAsync(await CollectorsAsync(cancellation), now, cancellation),
                .. OverduePasses(now),
            ];
            if (samples.Length > 0)
                await _environment.Write(samples, cancellation);
            _environment.Health.Clear(Component, "presence");
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            _environment.Health.Failing(
                Component, "presence", $"Which nodes are silent is not known: {e.Message} The server's log says more.");
            _logger.PresenceFailed(e);
        }
    }

    // Of this server, where its own machine's agent reports too; where there are several, each says it in its health alone. While the
    // rules are stuck themselves nothing is recorded, and the health board alone says it.
    IEnumerable<RecordedSample> OverduePasses(DateTimeOffset now)
    {
        var overdue = _store.Shares.IsAlone ? _environment.Watch?.Overdue() : null;
        return (overdue ?? new Dictionary<string, TimeSpan>()).Select(p => new RecordedSample(
            new(Labels.OfMetric(PassWatch.OverdueMetric, ("tenant", "default"), ("cluster", "local"), ("stage", p.Key))),
            now.ToUnixTimeMilliseconds(), p.Value.TotalSeconds));
    }

    DateTimeOffset? Due(GroupState group, DateTimeOffset now)
    {
        var slot = group.Due(now, out var missed);
        if (missed > 0)
            _metrics.Overruns.WithLabels(group.Group.Key).Inc(missed);
        return slot;
    }

    async Task EvaluateGroupAsync(
        GroupState group, DateTimeOffset slot, IReadOnlyList<EnrolledAgent> agents, CancellationToken cancellation)
    {
        var start = _time.GetTimestamp();
        group.LastSlot = slot;
        using var limit = new CancellationTokenSource(group.Group.Interval, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        var read = slot - group.Group.QueryOffset;
        var health = new SourceHealth(_reports, agents, read, _environment.Refused.Any);
        var liveness = new InputLiveness(_environment.Series, Rules, read);
        try
        {
            await _evaluator.EvaluateAsync(group, slot, health, liveness, _time, either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            _metrics.Overruns.WithLabels(group.Group.Key).Inc();
            await _evaluator.SaveAsync(group, slot, cancellation);
        }

        ReportHealth(group);
        group.LastDuration = _time.GetElapsedTime(start);
        _metrics.Duration.WithLabels(group.Group.Key).Observe(group.LastDuration.TotalSeconds);
    }

    // A rule that fails is one that watches nothing; and what is not saved is lost with the process.
    void ReportHealth(GroupState group)
    {
        var failed = group.Rules.Where(r => r.Report.Error is not null).ToList();
        var (unsaved, subject) = (group.UnsavedEvents.Count > 0, $"group {group.Group.Name}");
        if (unsaved)
            _environment.Health.Failing(
                Component, subject,
                "The state of its signals cannot be saved. The server's log says why; most often the disk is full or cannot be written.");
        else if (failed.Count > 0)
            _environment.Health.Report(Component, subject, HealthState.Degraded, $"{failed.Count} of {group.Rules.Count} rules failed at "
                + $"their last evaluation; the first, {failed[0].Rule.Name}: {failed[0].Report.Error}");
        else
            _environment.Health.Clear(Component, subject);
    }

    async Task SwapAsync(RuleSet rules, CancellationToken cancellation)
    {
        var before = Groups;
        var signals = before.Count > 0 ? Current(before) : await StoredAsync(cancellation);
        var recorded = before.SelectMany(g => g.Rules).ToDictionary(r => r.Key, r => r.Recorded);
        var groups = rules.Groups.Select(g => State(g, rules, signals, recorded)).ToList();
        foreach (var group in groups)
            group.LastSlot =
                before.FirstOrDefault(b => b.Group.Key == group.Group.Key && b.Group.Interval == group.Group.Interval)?.LastSlot;
        foreach (var gone in before.Select(g => g.Group.Name).Except(rules.Groups.Select(g => g.Name)))
            _environment.Health.Clear(Component, $"group {gone}");
        await WithdrawAsync(signals.Values.SelectMany(s => s), groups, cancellation);
        Volatile.Write(ref _running, new(rules, groups));
    }

    static Dictionary<string, List<Signal>> Current(IReadOnlyList<GroupState> groups) =>
        groups.SelectMany(g => g.Rules).ToDictionary(r => r.Key, r => r.Signals.Values.ToList());

    async Task<Dictionary<string, List<Signal>>> StoredAsync(CancellationToken cancellation) =>
        (await _store.LoadSeenAsync(cancellation)).Where(_store.Shares.Has).GroupBy(s => s.Rule)
            .ToDictionary(g => g.Key, g => g.ToList());

    GroupState State(
        RuleGroup group, RuleSet rules, Dictionary<string, List<Signal>> signals, Dictionary<string, RecordedOutput> recorded)
    {
        var standing = _environment.Series is ILiveSeriesSource live ? new StandingGroup(live) : null;
        return new(group, [.. group.Rules.Select(State)]) { Standing = standing, IsShared = !_environment.Own.IsAll };

        RuleState State(Rule rule)
        {
            var key = $"{group.Key}\n{rule.Identity}";
            var kept = signals.GetValueOrDefault(key) ?? [];
            return new RuleState(rule, key, RuleSources.Of(rule, rules))
            {
                Signals = kept.ToDictionary(s => s.Labels),
                Recorded = recorded.GetValueOrDefault(key) ?? new RecordedOutput(),
                Standing = standing is null ? null : rule.Expression.Stand(standing),
                Report = RuleReport.None with { Signals = kept },
            };
        }
    }

    async Task WithdrawAsync(IEnumerable<Signal> signals, List<GroupState> groups, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        var kept = groups.SelectMany(g => g.Rules).Select(r => r.Key).ToHashSet();
        var withdrawn = signals.Where(s => !kept.Contains(s.Rule))
            .Select(s => new SignalEvent(s with { Condition = Transition.End(s.Condition, SignalEnd.Withdrawn, now) }, s.State, now))
            .ToList();
        if (withdrawn.Count > 0)
            await _store.SaveAsync("", now, withdrawn.Select(e => e.Signal), withdrawn, cancellation);
    }

    void CountSignals()
    {
        var signals = Signals;
        var counts = signals.CountBy(s => s.State).ToDictionary();
        foreach (var state in new[] { SignalState.Pending, SignalState.Firing, SignalState.Unknown })
            _metrics.Signals.WithLabels(state.ToString().ToLowerInvariant()).Set(counts.GetValueOrDefault(state));
        _metrics.InhibitedSignals.Set(signals.Count(s => s.InhibitedBy is not null));
    }

    sealed record Running(RuleSet Rules, IReadOnlyList<GroupState> Groups);

    sealed record Evaluations(IReadOnlyList<RuleReport> Reports, SignalList Signals);
}
