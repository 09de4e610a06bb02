using System.Collections.Concurrent;

namespace Whistle.State.Health;

public enum HealthState
{
    Ok,

    /// <summary>Nothing is broken; the set-up has a gap that somebody should know of.</summary>
    Warning,

    /// <summary>The process still does its role; somebody should look.</summary>
    Degraded,

    /// <summary>The process cannot do its role: it is not ready.</summary>
    Failed,
}

/// <summary>One thing that is wrong now.</summary>
/// <param name="Component">Short and free of secrets: readiness says it to anybody. For example <c>telemetry-store</c>.</param>
/// <param name="Subject">What of it: an hour, a file, a pass. Empty where the component is meant as a whole.</param>
/// <param name="Reason">What happened, to what, and what to do. Only for those who carry the token.</param>
/// <param name="Since">When it was first reported.</param>
public sealed record HealthProblem(string Component, string Subject, HealthState State, string Reason, DateTimeOffset Since);

/// <summary>
/// What is wrong with this process now. Each component reports its own problems, and clears them when they are over; readiness, the health
/// API, metrics and the dashboard all read from here.
/// </summary>
public sealed class HealthBoard(TimeProvider time)
{
    static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    readonly ConcurrentDictionary<(string Component, string Subject), HealthProblem> _problems = new();

    /// <summary>Reported again, a problem keeps its beginning.</summary>
    public void Report(string component, string subject, HealthState state, string reason) => _problems.AddOrUpdate(
        (component, subject),
        key => new(key.Component, key.Subject, state, reason, time.GetUtcNow()),
        (_, old) => old with { State = state, Reason = reason });

    /// <summary>
    /// What is tried again and again did not succeed: degraded at first, failed once that has lasted for <see cref="Patience"/>.
    /// </summary>
    public void Failing(string component, string subject, string reason) => _problems.AddOrUpdate(
        (component, subject),
        key => new(key.Component, key.Subject, HealthState.Degraded, reason, time.GetUtcNow()),
        (_, old) =>
            old with { State = time.GetUtcNow() - old.Since >= Patience ? HealthState.Failed : HealthState.Degraded, Reason = reason });

    public void Clear(string component, string subject) => _problems.TryRemove((component, subject), out _);

    public HealthState State => _problems.Values.Select(p => p.State).DefaultIfEmpty(HealthState.Ok).Max();

    /// <summary>The worst first, then by component and subject.</summary>
    public IReadOnlyList<HealthProblem> Problems() =>
        [.. _problems.Values.OrderByDescending(p => p.State).ThenBy(p => p.Component, StringComparer.Ordinal)
            .ThenBy(p => p.Subject, StringComparer.Ordinal)];
}
