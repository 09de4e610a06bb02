using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Http;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Memory;

namespace Whistle.Remediation;

/// <summary>What the operator decides of this stage.</summary>
public sealed record RemediationStageOptions
{
    /// <summary>Runbook files and folders of them.</summary>
    public required IReadOnlyList<string> RunbookFiles { get; init; }

    public BrakeLimits Brakes { get; init; } = new();

    /// <summary>A name of this server's own, for the runs that it works on.</summary>
    public required string Owner { get; init; }

    /// <summary>False where other processes drive the runs, and this one serves agents alone.</summary>
    public bool DrivesRuns { get; init; } = true;

    /// <summary>False where the stage is stepped by hand.</summary>
    public bool RunTimers { get; init; } = true;
}

/// <summary>Incidents → runs → gates → commands that agents lease.</summary>
public static class RemediationStage
{
    public static IServiceCollection AddRemediation(this IServiceCollection services, RemediationStageOptions options)
    {
        services
            .AddSingleton<RunStore>().AddSingleton<ControlStore>()
            .AddSingleton<WorkedIncidents>(s => s.GetRequiredService<RunStore>().WorkedIncidentsAsync)
            .AddSingleton(s => new ClusterReader(
                s.GetRequiredService<PromQLEngine>(), s.GetRequiredService<Credentials>().AgentsAsync,
                s.GetRequiredService<ILogger<ClusterReader>>()))
            .AddSingleton(s => Environment(s, options))
            .AddSingleton<RemediationHost>();
        if (options.RunTimers)
            services.AddHostedService(s => s.GetRequiredService<RemediationHost>());
        return services;
    }

    /// <param name="bodies">What the bodies of agents' requests in work may take of the memory, by tenant.</param>
    public static void MapRemediation(this IEndpointRouteBuilder routes, FairBudgets bodies)
    {
        var services = routes.ServiceProvider;
        var (host, time) = (services.GetRequiredService<RemediationHost>(), services.GetRequiredService<TimeProvider>());
        CommandApi.Map(routes, host, services.GetRequiredService<Credentials>(), time, bodies);
        RemediationApi.Map(routes, services.GetRequiredService<RemediationEnvironment>(), host, time);
    }

    static RemediationEnvironment Environment(IServiceProvider services, RemediationStageOptions options)
    {
        var (signals, clusters) = (services.GetRequiredService<ISignals>(), services.GetRequiredService<ClusterReader>());
        return new()
        {
            Senders = services.GetRequiredService<Credentials>().SendersAsync,
            Limits = options.Brakes,
            Health = services.GetRequiredService<HealthBoard>(),
            Watch = services.GetRequiredService<PassWatch>(),
            RunbookFiles = options.RunbookFiles,
            Signals = () => signals.ActiveSignals,
            IsTrue = RemediationEnvironment.IsTrueBy(services.GetRequiredService<PromQLEngine>()),
            Clusters = clusters.Find,
            ClusterAt = clusters.ReadAsync,
            RefreshClusters = clusters.RefreshAsync,
            Incidents = services.GetRequiredService<IncidentStore>(),
            Runs = services.GetRequiredService<RunStore>(),
            Control = services.GetRequiredService<ControlStore>(),
            Lease = services.GetRequiredService<StateLeases>().Of("runs"),
            DrivesRuns = options.DrivesRuns,
            Owner = options.Owner,
            Metrics = services.GetRequiredService<IMetricFactory>(),
        };
    }
}
