using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Templates;
using Whistle.Detectors.Yaml;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Testing;

/// <summary>
/// One test: evaluates all groups from its start to its last check, an interval apart and one after the other, on series and state in
/// memory. What does not hold is noted with the reader of the file.
/// </summary>
sealed class RuleTestRun
{
    readonly RuleTestFile _file;
    readonly RuleTest _test;
    readonly RuleSet _rules;
    readonly YamlReader _yaml;
    readonly List<GroupState> _groups;
    readonly List<EnrolledAgent> _agents;
    readonly MemorySeries _series = new();
    readonly ScrapedSeries _sources;
    readonly PromQLEngine _engine;
    readonly GroupEvaluator _evaluator;
    readonly NodePresence _presence;
    TimeSpan _nextPresence;

    RuleTestRun(RuleTestFile file, RuleTest test, RuleSet rules, YamlReader yaml, StateDatabase database)
    {
        (_file, _test, _rules, _yaml) = (file, test, rules, yaml);
        _groups = [.. rules.Groups.Select(
            g => new GroupState(g, [.. g.Rules.Select(r => new RuleState(r, $"{g.Key}\n{r.Identity}", RuleSources.Of(r, rules)))]))];
        _agents = [.. file.Agents.Select(a => a with { EnrolledAt = test.Start })];
        _engine = new(_series, new PromQLOptions { SubqueryStep = file.Interval });
        var metrics = new DetectorMetrics(Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()));
        _evaluator = new(_engine, _series.WriteAsync, new SignalStore(database), metrics, NullLogger.Instance);
        _presence = new(_series);
        _sources = new(_series, test);
    }

    public static async Task RunAsync(RuleTestFile file, RuleTest test, RuleSet rules, YamlReader yaml, CancellationToken cancellation)
    {
        using var database = StateDatabase.InMemory();
        await new RuleTestRun(file, test, rules, yaml, database).RunAsync(cancellation);
    }

    async Task RunAsync(CancellationToken cancellation)
    {
        foreach (var (labels, samples) in _test.Series)
        {
            foreach (var (time, value) in samples)
                _series.Add(labels, time, value);
        }

        var last = _test.Alerts.Select(a => a.At).Concat(_test.Expressions.Select(e => e.At)).DefaultIfEmpty().Max();
        for (var passed = TimeSpan.Zero; passed <= last; passed += _file.Interval)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!await EvaluateAsync(passed, cancellation))
                return;
            // Between two evaluations it is as it was at the earlier one.
            foreach (var check in _test.Alerts.Where(a => a.At >= passed && a.At - passed < _file.Interval))
                Compare(check);
        }

        foreach (var check in _test.Expressions)
            await CompareAsync(check, cancellation);
    }

    async Task<bool> EvaluateAsync(TimeSpan passed, CancellationToken cancellation)
    {
        var at = _test.Start + passed;
        await ObservePresenceAsync(passed, cancellation);
        _series.Now = at.ToUnixTimeMilliseconds();
        foreach (var group in _groups)
        {
            var read = at - group.Group.QueryOffset;
            await _evaluator.EvaluateAsync(
                group, at, new(_sources, _agents, read), new(_series, _rules, read), TimeProvider.System, cancellation);
        }

        var failed = _groups.SelectMany(g => g.Rules).Where(r => r.Report.Error is not null).ToList();
        foreach (var rule in failed)
            _yaml.Fail(_test.Place, $"{Named} the rule {rule.Rule.Name} fails after {Shown(passed)}: {rule.Report.Error}");
        return failed.Count == 0;
    }

    // As often as a server states it, also where the groups are evaluated more rarely.
    async Task ObservePresenceAsync(TimeSpan passed, CancellationToken cancellation)
    {
        for (; _agents.Count > 0 && _nextPresence <= passed; _nextPresence += NodePresence.Interval)
        {
            var at = _test.Start + _nextPresence;
            _series.Now = at.ToUnixTimeMilliseconds();
            await _series.WriteAsync(await _presence.ObserveAsync(_agents, at, cancellation), cancellation);
        }
    }

    void Compare(AlertCheck check)
    {
        var signals = _groups.SelectMany(g => g.Rules).Where(r => r.Rule is AlertRule && r.Rule.Name == check.Alert)
            .SelectMany(r => r.Signals.Values);
        var got = signals.Where(s => check.NamesStates || s.State is SignalState.Firing)
            .Select(s => Shown(s.State, s.Labels, s.Annotations)).ToList();
        var expected = check.Expected.Select(
            e => Shown(e.State ?? SignalState.Firing, e.Labels.With("alertname", check.Alert), e.Annotations)).ToList();
        Report(
            check.Place, $"{check.Alert} after {Shown(check.At)}", Without(expected, got, string.Equals),
            Without(got, expected, string.Equals));
    }

    async Task CompareAsync(ExpressionCheck check, CancellationToken cancellation)
    {
        var what = $"{check.Expression.Text.Trim()} after {Shown(check.At)}";
        try
        {
            var elements = await check.Expression.EvaluateAsync(_engine, _test.Start + check.At, cancellation);
            var got = elements.Select(e => new VectorSample(e.Labels, e.Value)).ToList();
            Report(
                check.Place, what, Without(check.Expected, got, AreSame).Select(Shown),
                Without(got, check.Expected, AreSame).Select(Shown));
        }
        catch (Exception e) when (e is PromQLException or InvalidOperationException)
        {
            _yaml.Fail(check.Place, $"{Named} {what} fails: {e.Message}");
        }
    }

    void Report(YamlNode place, string what, IEnumerable<string> missing, IEnumerable<string> surplus)
    {
        List<string> lines = [.. missing.Select(m => $"\n  expected: {m}"), .. surplus.Select(s => $"\n  got:      {s}")];
        if (lines.Count > 0)
            _yaml.Fail(place, $"{Named} {what} is not as expected{string.Concat(lines)}");
    }

    string Named => $"test \"{_test.Name}\":";

    bool AreSame(VectorSample a, VectorSample b) => a.Labels.Equals(b.Labels) &&
        (a.Value.Equals(b.Value) || a.Value == b.Value
            || (_file.Fuzzy && (Math.BitIncrement(a.Value) == b.Value || Math.BitDecrement(a.Value) == b.Value)));

    // Each of the others takes one of them away.
    static List<T> Without<T>(IEnumerable<T> them, IEnumerable<T> others, Func<T, T, bool> areSame)
    {
        var rest = them.ToList();
        foreach (var other in others)
        {
            if (rest.FindIndex(r => areSame(r, other)) is var at and >= 0)
                rest.RemoveAt(at);
        }

        return rest;
    }

    static string Shown(TimeSpan time) => Durations.Format((long)time.TotalMilliseconds);

    static string Shown(VectorSample sample) => $"{sample.Labels} {GoNumbers.Default(sample.Value)}";

    static string Shown(SignalState state, Labels labels, IReadOnlyList<Label> annotations) =>
        $"{state.ToString().ToLowerInvariant()} {labels}{string.Concat(annotations.OrderBy(a => a.Name, StringComparer.Ordinal)
            .Select(a => $"\n              {a.Name}: {a.Value.ReplaceLineEndings("\n                ")}"))}";
}
