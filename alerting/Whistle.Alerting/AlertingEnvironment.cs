using Prometheus;

using Whistle.Alerting.Deciding;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Alerting;

/// <summary>What alerting reads, and where it writes.</summary>
sealed record AlertingEnvironment
{
    /// <summary>All incidents that are not closed, and those that closed at or after the instant, with their repairs.</summary>
    public required Func<DateTimeOffset, CancellationToken, Task<IReadOnlyList<IncidentView>>> Incidents { get; init; }

    public required StateDatabase Database { get; init; }

    public required IMetricFactory Metrics { get; init; }

    /// <summary>Where this stage says what is wrong with itself.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);

    /// <summary>Adds a decision to an incident's timeline (incident, at, decision) within the transaction of the decision.</summary>
    public Func<StateTransaction, string, DateTimeOffset, Decision, CancellationToken, Task> Note { get; init; } =
        (_, _, _, _, _) => Task.CompletedTask;

    public PassWatch? Watch { get; init; }

    /// <summary>Where several processes could do it; null where there is one.</summary>
    public StateLease? Lease { get; init; }

    /// <summary>Called after each step is durable, so that a test can end the process there.</summary>
    public Action Persisted { get; init; } = () => { };
}
