using System.Globalization;
using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Detectors;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Templates;
using Whistle.Detectors.Testing;
using Whistle.Fixtures;
using Whistle.Ingest.Heads;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>An alert as it is after one evaluation. <paramref name="ActiveAt"/> is in seconds since 1970 UTC.</summary>
sealed record AlertSeen(string Name, string Labels, string State, long ActiveAt, string Value, string Annotations);

/// <summary>
/// A script of samples, one a second, that a Prometheus is sent before it happens, and the alerts that its rules make of it on its own
/// clock. It is stopped for some seconds in the middle. Afterwards <see cref="ReplayAsync"/> evaluates the same at the very same instants.
/// </summary>
sealed class AlertTimeline
{
    readonly string _rules;
    readonly List<SeriesSamples> _script;
    readonly long _start;
    readonly List<Answer> _answers = [];
    Dictionary<string, long[]> _instants = [];

    AlertTimeline(string rules, List<SeriesSamples> script, long start) => (_rules, _script, _start) = (rules, script, start);

    /// <summary>When Prometheus was stopped, in milliseconds since 1970 UTC.</summary>
    public long StoppedAt { get; private set; }

    /// <summary>
    /// When it evaluated a group. A group is known by the label <c>group</c> that it gives; its first rule records the instant that it
    /// reads as <c>evaluated</c>.
    /// </summary>
    public long[] Instants(string group) => _instants[group];

    public static async Task<AlertTimeline> RunAsync(
        PrometheusServer prometheus, string rules, IReadOnlyList<(string Series, string Values)> script, int stop, int startAgain, int end,
        CancellationToken cancellation)
    {
        var start = ((TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / 1000) + 1) * 1000;
        var timeline = new AlertTimeline(rules, [.. script.Select(s => Scripted(s.Series, s.Values, start))], start);
        await prometheus.WriteAsync(timeline._script, cancellation);
        await timeline.WatchAsync(prometheus, stop, cancellation);
        await prometheus.QuitAsync(cancellation);
        timeline.StoppedAt = Now();
        while (Now() < start + (startAgain * 1000))
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation);
        await prometheus.StartAgainAsync(cancellation);
        await timeline.WatchAsync(prometheus, end, cancellation);
        var evaluated = await prometheus.SelectAsync("evaluated[5m]", cancellation);
        // What is recorded carries the instant that was read.
        Assert.All(evaluated.Values.SelectMany(s => s), s => Assert.Equal(s.Time / 1000.0, s.Value, 3));
        timeline._instants = evaluated.ToDictionary(e => e.Key["group"], e => e.Value.Select(s => s.Time).ToArray());
        return timeline;
    }

    /// <summary>
    /// What Prometheus told of a group's alerts, by evaluation. Only answers that can be of no other evaluation count: the one before
    /// already told of it, and they came before the next was due.
    /// </summary>
    public Dictionary<long, HashSet<AlertSeen>> Told(string group, TimeSpan offset)
    {
        var told = new Dictionary<long, HashSet<AlertSeen>>();
        foreach (var (before, answer) in _answers.Zip(_answers.Skip(1)))
        {
            var at = Latest(group, offset, answer.Evaluated(group).Max());
            if (at is { } instant && before.Evaluated(group).Min() >= instant && answer.Evaluated(group).Min() >= instant
                && answer.ReceivedAt < instant + 1000)
                told.TryAdd(instant, answer.Alerts(group));
        }

        return told;
    }

    /// <summary>
    /// The same through Whistle, moved so that the group's evaluations are on whole seconds, where Whistle's are. A new process after the
    /// stop.
    /// </summary>
    public async Task<AlertReplay> ReplayAsync(string group, TimeSpan offset, CancellationToken cancellation)
    {
        using var replay = new AlertReplay(_rules, group, shift: (Instants(group)[0] + (long)offset.TotalMilliseconds) % 1000);
        await replay.StartAsync(cancellation);
        var arrivals = _script.SelectMany(s => s.Times.Zip(s.Values, (time, value) => (s.Labels, Time: time, Value: value)))
            .OrderBy(s => s.Time).ToList();
        var (arrived, stopped) = (0, false);
        foreach (var instant in Instants(group).Select(i => i + (long)offset.TotalMilliseconds))
        {
            for (; arrived < arrivals.Count && arrivals[arrived].Time <= instant; arrived++)
                replay.Add(arrivals[arrived].Labels, arrivals[arrived].Time, arrivals[arrived].Value);
            if (!stopped && instant > StoppedAt)
            {
                stopped = true;
                await replay.StartAsync(cancellation);
            }

            await replay.EvaluateAsync(instant, cancellation);
        }

        return replay;
    }

    async Task WatchAsync(PrometheusServer prometheus, int until, CancellationToken cancellation)
    {
        while (Now() < _start + (until * 1000))
        {
            var json = await prometheus.Http.GetStringAsync("api/v1/rules?type=alert", cancellation);
            _answers.Add(new Answer(JsonDocument.Parse(json).RootElement.GetProperty("data").GetProperty("groups"), Now()));
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
        }
    }

    long? Latest(string group, TimeSpan offset, long evaluated) =>
        Instants(group).Select(i => (long?)(i + (long)offset.TotalMilliseconds)).LastOrDefault(i => i <= evaluated);

    static SeriesSamples Scripted(string series, string values, long start)
    {
        var samples = SeriesNotation.Values(values).Index().Where(v => v.Item is not null).ToList();
        return new(
            SeriesNotation.Labels(series), [.. samples.Select(s => start + (s.Index * 1000L))], [.. samples.Select(s => s.Item!.Value)]);
    }

    static long Now() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    sealed record Answer(JsonElement Groups, long ReceivedAt)
    {
        public IEnumerable<long> Evaluated(string group) =>
            Rules(group).Select(r => r.GetProperty("lastEvaluation").GetDateTimeOffset().ToUnixTimeMilliseconds());

        public HashSet<AlertSeen> Alerts(string group) =>
            [.. Rules(group).SelectMany(r => r.GetProperty("alerts").EnumerateArray()).Select(Seen)];

        JsonElement.ArrayEnumerator Rules(string group) =>
            Groups.EnumerateArray().Single(g => g.GetProperty("name").GetString() == group).GetProperty("rules").EnumerateArray();

        static AlertSeen Seen(JsonElement alert)
        {
            var labels = LabelsOf(alert.GetProperty("labels"));
            return new(
                labels["alertname"], labels.ToString(), alert.GetProperty("state").GetString()!,
                alert.GetProperty("activeAt").GetDateTimeOffset().ToUnixTimeSeconds(), alert.GetProperty("value").GetString()!,
                LabelsOf(alert.GetProperty("annotations")).ToString());
        }

        static Labels LabelsOf(JsonElement json) =>
            Labels.From(json.EnumerateObject().Select(p => new Label(p.Name, p.Value.GetString()!)));
    }
}

/// <summary>Whistle's rules on a head, evaluated when they are told to. Times are given as they were and kept less the shift.</summary>
sealed class AlertReplay : IDisposable
{
    readonly string _group;
    readonly string _rules;
    readonly long _shift;
    readonly FakeTimeProvider _clock = new();
    readonly StateDatabase _database = StateDatabase.InMemory();
    readonly Head _head;
    readonly HeadSource _source;
    RulesHost? _host;

    public AlertReplay(string rules, string group, long shift)
    {
        (_rules, _group, _shift) = (rules, group, shift);
        _head = new Head(_clock, maxSeriesPerTenant: 100_000);
        _source = new HeadSource(_head);
    }

    /// <summary>The group's alerts after each evaluation.</summary>
    public Dictionary<long, HashSet<AlertSeen>> Told { get; } = [];

    /// <summary>The signals that ended, the latest first.</summary>
    public IReadOnlyList<Signal> Ended { get; private set; } = [];

    /// <summary>As a new process on the same state and data.</summary>
    public async Task StartAsync(CancellationToken cancellation)
    {
        _host?.Dispose();
        _host = new RulesHost(
            new RulesEnvironment
            {
                RuleFiles = [_rules],
                Engine = new PromQLEngine(_source),
                Series = _source,
                Write = WriteAsync,
                Inventory = _ => Task.FromResult<IReadOnlyList<EnrolledAgent>>([]),
                Database = _database,
                Metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()),
            },
            _clock,
            NullLogger<RulesHost>.Instance);
        Assert.Empty((await _host.ReloadAsync(cancellation)).Errors);
    }

    public void Add(Labels labels, long time, double value) => _head.GetOrAdd(UInt128.Zero, [.. labels])!.Append(time - _shift, value);

    public async Task EvaluateAsync(long instant, CancellationToken cancellation)
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(instant - _shift);
        _clock.SetUtcNow(now);
        await _host!.EvaluateAsync(now, cancellation);
        Assert.All(_host.Groups.SelectMany(g => g.Rules), r => Assert.Null(r.Report.Error));
        Told[instant] = [.. _host.Signals.Where(s => s.Labels["group"] == _group).Select(Seen)];
        Ended = [.. (await _host.EndedSignalsAsync(now.AddHours(-1), TestContext.Current.CancellationToken)).Where(
            s => s.Labels["group"] == _group)];
    }

    public Task<MatrixValue> RangeAsync(string expression, long start, long end, CancellationToken cancellation) =>
        new PromQLEngine(_source).RangeAsync(expression, start - _shift, end - _shift, 1000, cancellation);

    public void Dispose()
    {
        _host?.Dispose();
        _database.Dispose();
    }

    ValueTask WriteAsync(IReadOnlyList<RecordedSample> samples, CancellationToken cancellation)
    {
        foreach (var (series, time, value) in samples)
            Add(series.Labels, time + _shift, value);
        return ValueTask.CompletedTask;
    }

    static AlertSeen Seen(Signal signal) => new(
        signal.Name, signal.Labels.ToString(), signal.State.ToString().ToLower(CultureInfo.InvariantCulture),
        signal.Condition.ActiveAt.ToUnixTimeSeconds(), GoNumbers.ShortestExponent(signal.Value),
        Labels.From(signal.Annotations).ToString());
}
