using Microsoft.Extensions.Logging;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Evaluation;

/// <summary>An element of a rule's result.</summary>
readonly record struct Element(Labels Labels, double Value);

/// <summary>Evaluates one group at one instant: queries, moves signals on, writes series, saves state.</summary>
sealed class GroupEvaluator(
    PromQLEngine engine, Func<IReadOnlyList<TimeSeries>, CancellationToken, ValueTask> write, SignalStore store, DetectorMetrics metrics, ILogger logger)
{
    /// <param name="group">The group; nobody else evaluates it meanwhile.</param>
    /// <param name="at">The instant that rules, clocks and written series have.</param>
    /// <param name="health">Source health at <paramref name="at"/> less the group's query offset.</param>
    /// <param name="liveness">Likewise.</param>
    /// <param name="time">Measures the duration.</param>
    /// <param name="cancellation">Ends the evaluation between rules or within a query.</param>
    public async Task EvaluateAsync(
        GroupState group, DateTimeOffset at, SourceHealth health, InputLiveness liveness, TimeProvider time, CancellationToken cancellation)
    {
        foreach (var state in group.Rules)
        {
            cancellation.ThrowIfCancellationRequested();
            var start = time.GetTimestamp();
            string? error = null;
            metrics.Evaluations.WithLabels(group.Group.Key).Inc();
            try
            {
                await EvaluateAsync(group, state, at, health, liveness, cancellation);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // One rule's failure must not cost the others their evaluation; its signals stay as they are.
                error = e.Message;
                metrics.Failures.WithLabels(group.Group.Key).Inc();
                logger.RuleFailed(e, state.Rule.Name, e.Message);
            }

            state.Report = new([.. state.Signals.Values], error, at, time.GetElapsedTime(start));
        }

        Save(group, at);
    }

    /// <summary>Writes what is not saved yet; a failure leaves it for the next time.</summary>
    public void Save(GroupState group, DateTimeOffset at)
    {
        // The last evaluation matters to signals only, so a quiet group costs no write.
        if (group.UnsavedEvents.Count == 0 && group.Rules.All(r => r.Signals.Count == 0))
            return;
        try
        {
            store.Save(group.Group.Key, at, group.UnsavedSignals, group.UnsavedEvents);
            group.UnsavedSignals.Clear();
            group.UnsavedEvents.Clear();
        }
        catch (System.Data.Common.DbException e)
        {
            logger.SaveFailed(e, group.Group.Name);
        }
    }

    async ValueTask EvaluateAsync(
        GroupState group, RuleState state, DateTimeOffset at, SourceHealth health, InputLiveness liveness, CancellationToken cancellation)
    {
        var elements = await state.Rule.Expression.EvaluateAsync(engine, at - group.Group.QueryOffset, cancellation);
        if (group.Group.Limit > 0 && elements.Count > group.Group.Limit)
            throw new InvalidOperationException($"the rule yields {elements.Count} elements, the group's limit is {group.Group.Limit}");
        if (state.Rule is AlertRule alert)
        {
            await new AlertEvaluation(group, state, alert, at, health, liveness, logger).MoveAsync(elements, cancellation);
            await WriteAsync(state, at, AlertSeries(state), cancellation);
        }
        else
        {
            await WriteAsync(state, at, Recorded(state.Rule, elements), cancellation);
        }
    }

    static Dictionary<Labels, double> Recorded(Rule rule, IReadOnlyList<Element> elements)
    {
        var recorded = new Dictionary<Labels, double>();
        foreach (var element in elements)
        {
            var labels = ResultLabels.Of(rule, element).With(Labels.MetricName, rule.Name);
            if (!recorded.TryAdd(labels, element.Value))
                throw new InvalidOperationException($"two elements become the same series {labels}; keep a label that tells them apart");
        }

        return recorded;
    }

    static Dictionary<Labels, double> AlertSeries(RuleState state) => state.Signals.Values.ToDictionary(
        s => s.Labels.With(Labels.MetricName, "ALERTS").With("alertstate", s.State.ToString().ToLowerInvariant()), _ => 1.0);

    async ValueTask WriteAsync(RuleState state, DateTimeOffset at, Dictionary<Labels, double> values, CancellationToken cancellation)
    {
        var time = at.ToUnixTimeMilliseconds();
        var ended = state.Written.Where(l => !values.ContainsKey(l));
        List<TimeSeries> series =
        [
            .. values.Select(v => new TimeSeries(v.Key, [new(time, v.Value)])),
            .. ended.Select(l => new TimeSeries(l, [new(time, StaleMarker.Value)])),
        ];
        if (series.Count > 0)
            await write(series, cancellation);
        state.Written = [.. values.Keys];
    }
}
