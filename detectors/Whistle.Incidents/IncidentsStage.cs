using Microsoft.Extensions.DependencyInjection;

using Prometheus;

using Whistle.Detectors.Signals;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Incidents;

/// <summary>What the operator decides of this stage.</summary>
public sealed record IncidentsStageOptions
{
    public IncidentOptions Incidents { get; init; } = new();

    /// <summary>False where the stage is stepped by hand, or another process does it.</summary>
    public bool RunTimers { get; init; } = true;
}

/// <summary>The incidents that a run works on, which the stage after this one knows.</summary>
public delegate Task<IReadOnlySet<string>> WorkedIncidents(CancellationToken cancellation);

/// <summary>Signals → incidents.</summary>
public static class IncidentsStage
{
    /// <summary>Needs a <see cref="WorkedIncidents"/> among the services, from the stage that makes the runs.</summary>
    public static IServiceCollection AddIncidents(this IServiceCollection services, IncidentsStageOptions options)
    {
        services
            .AddSingleton<IncidentStore>()
            .AddSingleton(s => Environment(s, options.Incidents))
            .AddSingleton<IncidentsHost>();
        if (options.RunTimers)
            services.AddHostedService(s => s.GetRequiredService<IncidentsHost>());
        return services;
    }

    static IncidentsEnvironment Environment(IServiceProvider services, IncidentOptions options)
    {
        var signals = services.GetRequiredService<ISignals>();
        return new()
        {
            Watch = services.GetRequiredService<PassWatch>(),
            Lease = services.GetRequiredService<StateLeases>().Of("incidents"),
            Signals = () => signals.ActiveSignals,
            Ended = signals.EndedSignalsAsync,
            Worked = new(services.GetRequiredService<WorkedIncidents>()),
            Store = services.GetRequiredService<IncidentStore>(),
            Options = options,
            Metrics = services.GetRequiredService<IMetricFactory>(),
            Health = services.GetRequiredService<HealthBoard>(),
        };
    }
}
