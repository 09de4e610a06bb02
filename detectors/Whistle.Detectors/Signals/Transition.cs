namespace Whistle.Detectors.Signals;

/// <summary>
/// What one evaluation saw of one signal: whether the expression yields it, whether the source of its inputs is healthy, and
/// whether all its input series have ended.
/// </summary>
readonly record struct Observation(bool Present, bool SourceHealthy, bool InputsEnded);

readonly record struct SignalTimings(TimeSpan For, TimeSpan KeepFiringFor, TimeSpan Interval);

/// <summary>The life of a signal as a function of what is seen of it.</summary>
static class Transition
{
    /// <summary>
    /// The next condition. Null in and out means that there is no signal; a signal that ends comes back once as resolved.
    /// A new signal is not opened on an unhealthy source.
    /// </summary>
    public static Condition? Next(Condition? condition, Observation seen, SignalTimings timings, DateTimeOffset now)
    {
        if (!seen.SourceHealthy)
            return condition is null ? null : Suspend(condition, timings, now);
        if (condition is not null)
            condition = Resume(condition, timings, now) with { LastEvaluation = now };
        // Gone comes before present: a forecast over hours still yields a value after an unmount.
        if (seen is { Present: true, InputsEnded: false })
            return Hold(condition ?? new(SignalState.Pending, now, now), timings, now);
        return condition is null ? null : Release(condition, seen.InputsEnded ? SignalEnd.Gone : SignalEnd.Cleared, timings, now);
    }

    static Condition Suspend(Condition condition, SignalTimings timings, DateTimeOffset now)
    {
        if (condition.State is SignalState.Unknown)
            return condition with { LastEvaluation = now };
        return condition with
        {
            State = SignalState.Unknown,
            Before = condition.State,
            UnknownSince = now - Unseen(condition, timings, now),
            LastEvaluation = now,
        };
    }

    static Condition Resume(Condition condition, SignalTimings timings, DateTimeOffset now)
    {
        var unknown = condition.State is SignalState.Unknown;
        var lost = unknown ? now - condition.UnknownSince!.Value : Unseen(condition, timings, now);
        var state = unknown ? condition.Before : condition.State;
        return lost <= TimeSpan.Zero && !unknown ? condition : condition with
        {
            State = state,
            UnknownSince = null,
            Paused = state is SignalState.Pending ? condition.Paused + lost : condition.Paused,
            KeepSince = condition.KeepSince + lost,
        };
    }

    // A stop of the server: one interval of the gap is the usual step, the rest was seen by nobody.
    static TimeSpan Unseen(Condition condition, SignalTimings timings, DateTimeOffset now)
    {
        var gap = now - condition.LastEvaluation;
        return gap > 2 * timings.Interval ? gap - timings.Interval : TimeSpan.Zero;
    }

    static Condition Hold(Condition condition, SignalTimings timings, DateTimeOffset now)
    {
        condition = condition with { KeepSince = null };
        return condition.State is SignalState.Pending && now - condition.ActiveAt >= timings.For
            ? condition with { State = SignalState.Firing, FiringSince = now }
            : condition;
    }

    // As in Prometheus, keep_firing_for holds whatever the reason is.
    static Condition Release(Condition condition, SignalEnd reason, SignalTimings timings, DateTimeOffset now)
    {
        var since = condition.KeepSince ?? now;
        return condition.State is SignalState.Firing && now - since < timings.KeepFiringFor
            ? condition with { KeepSince = since }
            : End(condition, reason, now);
    }

    public static Condition End(Condition condition, SignalEnd reason, DateTimeOffset now) =>
        condition with { State = SignalState.Resolved, Reason = reason, EndedAt = now, UnknownSince = null };
}
