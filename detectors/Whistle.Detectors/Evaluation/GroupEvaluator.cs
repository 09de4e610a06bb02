using Microsoft.Extensions.Logging;

using Whistle.Detectors.Expressions;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>Evaluates one group at one instant: queries, moves signals on, writes series, saves state.</summary>
sealed class GroupEvaluator(
    PromQLEngine engine, Func<IReadOnlyList<RecordedSample>, CancellationToken, ValueTask> write, SignalStore store,
    DetectorMetrics metrics, ILogger logger)
{
    /// <param name="group">The group; nobody else evaluates it at the same time.</param>
    /// <param name="at">The instant that clocks have. Queries and written series are at it less the group's query offset, as in
    /// Prometheus.</param>
    /// <param name="health">Source health at <paramref name="at"/> less the group's query offset.</param>
    /// <param name="liveness">Likewise.</param>
    /// <param name="time">Measures the duration.</param>
    /// <param name="cancellation">Ends the evaluation between rules or within a query.</param>
    public async Task EvaluateAsync(
        GroupState group, DateTimeOffset at, SourceHealth health, InputLiveness liveness, TimeProvider time, CancellationToken cancellation)
    {
        var pass = new Pass(group, at, health, liveness);
        group.TellsValues = group.IsShared && group.UnsavedSignals.Count == 0;
        try
        {
            foreach (var state in group.Rules)
            {
                cancellation.ThrowIfCancellationRequested();
                if (pass.MustWriteBefore(state.Rule))
                    await WriteAsync(pass);
                await EvaluateAsync(pass, state, time, cancellation);
            }
        }
        finally
        {
            // An overrun must not cost what was worked out before it.
            await WriteAsync(pass);
        }

        await SaveAsync(group, at, cancellation);
    }

    /// <summary>Writes what is not saved yet; a failure leaves it for the next time.</summary>
    public async Task SaveAsync(GroupState group, DateTimeOffset at, CancellationToken cancellation)
    {
        // The last evaluation matters to signals only, so a quiet group costs no write.
        if (group.UnsavedEvents.Count == 0 && group.Rules.All(r => r.Signals.Count == 0))
            return;
        try
        {
            await store.SaveAsync(group.Group.Key, at, group.UnsavedSignals, group.UnsavedEvents, cancellation);
            group.UnsavedSignals.Clear();
            group.UnsavedEvents.Clear();
        }
        catch (StateException)
        {
            // The database has said it, once.
        }
        catch (System.Data.Common.DbException e)
        {
            logger.SaveFailed(e, group.Group.Name);
        }
    }

    async ValueTask EvaluateAsync(Pass pass, RuleState state, TimeProvider time, CancellationToken cancellation)
    {
        var start = time.GetTimestamp();
        string? error = null;
        metrics.Evaluations.WithLabels(pass.Group.Group.Key).Inc();
        try
        {
            await EvaluateAsync(pass, state, cancellation);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // One rule's failure must not cost the others their evaluation; its signals stay as they are.
            error = Failed(pass.Group, state, e);
        }

        state.Report = new([.. state.Signals.Values], error, pass.At, time.GetElapsedTime(start));
    }

    async ValueTask EvaluateAsync(Pass pass, RuleState state, CancellationToken cancellation)
    {
        var (group, at) = (pass.Group, pass.At);
        var elements = await StandingAsync(state, pass.Time, cancellation)
            ?? [.. await state.Rule.Expression.EvaluateAsync(engine, pass.ReadAt, cancellation)];
        // Of a cluster whose recent samples just arrive, or go.
        if (!store.Shares.IsAlone)
            elements.RemoveAll(e => !store.Shares.Has(e.Labels));
        if (group.Group.Limit > 0 && elements.Count > group.Group.Limit)
            throw new InvalidOperationException($"the rule yields {elements.Count} elements, the group's limit is {group.Group.Limit}");
        var queries = new TemplateQueries(engine, at);
        if (state.Rule is AlertRule alert)
        {
            await new AlertEvaluation(group, state, alert, at, pass.Health, pass.Liveness, queries, logger).MoveAsync(
                elements, cancellation);
            pass.Add(state, samples => RecordSignals(state, pass.Time, samples));
        }
        else
        {
            await queries.PrepareAsync(state.Rule, elements, cancellation);
            pass.Add(state, samples => Record(state, elements, pass.Time, queries, samples));
        }
    }

    // What the head has is read by the standing query; the rest, far back, by the engine.
    static async ValueTask<List<Element>?> StandingAsync(RuleState state, long at, CancellationToken cancellation)
    {
        var points = state.Points;
        if (state.Standing is not { } standing || !await standing.TryEvaluateAsync(at, points, cancellation))
            return null;
        var elements = new List<Element>(points.Count);
        foreach (var (slot, value) in points)
            elements.Add(new(standing.Labels(slot), value));
        return elements;
    }

    static void Record(RuleState state, IReadOnlyList<Element> elements, long at, TemplateQueries queries, List<RecordedSample> samples)
    {
        var rule = state.Rule;
        var isFixed = rule.Labels.All(l => !l.Template.ReadsValue);
        foreach (var element in elements)
        {
            var written = isFixed ? state.Recorded.Find(element.Labels) : null;
            written ??= state.Recorded.Open(
                isFixed ? element.Labels : null, ResultLabels.Of(rule, element, queries.Data(element)).With(Labels.MetricName, rule.Name));
            state.Recorded.Add(written, at, element.Value, samples);
        }
    }

    static void RecordSignals(RuleState state, long at, List<RecordedSample> samples)
    {
        foreach (var signal in state.Signals.Values)
        {
            var key = (signal.Labels, signal.State);
            var written = state.Recorded.Find(key) ?? state.Recorded.Open(
                key, signal.Labels.With(Labels.MetricName, ReservedMetrics.Alerts).With(
                    "alertstate", signal.State.ToString().ToLowerInvariant()));
            state.Recorded.Add(written, at, 1, samples);
            var clock = state.Recorded.Find(signal.Labels)
                ?? state.Recorded.Open(signal.Labels, signal.Labels.With(Labels.MetricName, ReservedMetrics.AlertsForState));
            state.Recorded.Add(clock, at, signal.Condition.ActiveAt.ToUnixTimeSeconds(), samples);
        }
    }

    async ValueTask WriteAsync(Pass pass)
    {
        if (pass.Samples.Count == 0)
            return;
        try
        {
            await write(pass.Samples, CancellationToken.None);
            pass.Group.Standing?.Changed();
            foreach (var state in pass.Unwritten)
                state.Recorded.Settle();
        }
        catch (Exception e)
        {
            foreach (var state in pass.Unwritten)
                state.Report = state.Report with { Error = Failed(pass.Group, state, e) };
        }

        pass.Written();
    }

    string Failed(GroupState group, RuleState state, Exception e)
    {
        metrics.Failures.WithLabels(group.Group.Key).Inc();
        logger.RuleFailed(e, state.Rule.Name, e.Message);
        return e.Message;
    }

    /// <summary>
    /// One evaluation of a group. What its rules record is written together, for a write waits for the store; but before a rule that reads
    /// it.
    /// </summary>
    sealed class Pass(GroupState group, DateTimeOffset at, SourceHealth health, InputLiveness liveness)
    {
        readonly HashSet<string> _names = [];

        public GroupState Group => group;

        public DateTimeOffset At => at;

        public DateTimeOffset ReadAt { get; } = at - group.Group.QueryOffset;

        /// <summary>Likewise, in milliseconds since 1970 UTC.</summary>
        public long Time => ReadAt.ToUnixTimeMilliseconds();

        public SourceHealth Health => health;

        public InputLiveness Liveness => liveness;

        public List<RecordedSample> Samples { get; private set; } = [];

        public List<RuleState> Unwritten { get; } = [];

        public bool MustWriteBefore(Rule rule) => (rule.Queries && _names.Count > 0)
            || rule.Expression.Inputs.Any(i => i.Metric is null ? _names.Count > 0 : _names.Contains(i.Metric));

        /// <summary>Nothing of a rule is written where its output cannot be.</summary>
        public void Add(RuleState state, Action<List<RecordedSample>> record)
        {
            var before = Samples.Count;
            try
            {
                state.Recorded.Begin();
                record(Samples);
            }
            catch
            {
                Samples.RemoveRange(before, Samples.Count - before);
                throw;
            }

            state.Recorded.End(Time, Samples);
            if (Samples.Count == before)
                return;
            Unwritten.Add(state);
            _names.UnionWith(state.Rule is AlertRule ? [ReservedMetrics.Alerts, ReservedMetrics.AlertsForState] : [state.Rule.Name]);
        }

        public void Written()
        {
            // The writer may still hold the list.
            Samples = [];
            Unwritten.Clear();
            _names.Clear();
        }
    }
}
