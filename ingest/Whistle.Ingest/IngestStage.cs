using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Gateways;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Memory;

namespace Whistle.Ingest;

/// <summary>What the operator decides of this stage.</summary>
public sealed record IngestStageOptions
{
    public required StoreOptions Store { get; init; }

    public required SeriesLimitOptions SeriesLimits { get; init; }

    public TelemetryLogOptions Log { get; init; } = new();

    public GatewayOptions Gateway { get; init; } = new();

    public DiskOptions Disk { get; init; } = new();

    /// <summary>The state lies beside the telemetry: where it is not new, neither is the telemetry.</summary>
    public bool IsBesideState { get; init; }

    /// <summary>False where the stage is stepped by hand.</summary>
    public bool RunTimers { get; init; } = true;
}

/// <summary>Gateway → log → store and head.</summary>
public static class IngestStage
{
    /// <summary>
    /// Needs of the host: state, its reserve, senders, memory limits, health and metrics.
    /// Every <see cref="ResourceCheck"/> among the services runs once a second.
    /// </summary>
    public static IServiceCollection AddIngest(this IServiceCollection services, IngestStageOptions options)
    {
        services
            .AddSingleton(s => options.Store with { HasHistory = options.IsBesideState && !s.GetRequiredService<StateDatabase>().IsNew })
            .AddSingleton(s => new SeriesLimits(
                options.SeriesLimits, s.GetRequiredService<TimeProvider>(), s.GetRequiredService<StateDatabase>(),
                tenant => s.GetRequiredService<FleetRegister>().Latest.LimitsOf(tenant)))
            .AddSingleton<Head>()
            .AddSingleton(options.Log).AddSingleton(options.Gateway).AddSingleton(options.Disk)
            .AddSingleton<IngestMetrics>().AddSingleton<DuckDbStore>().AddSingleton<ITelemetryStore>(s => s.GetRequiredService<DuckDbStore>())
            .AddSingleton(s => new TelemetryLog(
                s.GetRequiredService<TelemetryLogOptions>(), s.GetRequiredService<MemoryOptions>(), s.GetRequiredService<Head>(),
                s.GetRequiredService<ITelemetryStore>(), s.GetRequiredService<IngestMetrics>(), s.GetRequiredService<HealthBoard>(),
                s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<TelemetryLog>>()))
            .AddSingleton(s => new TelemetryReader(s.GetRequiredService<Head>(), s.GetRequiredService<ITelemetryStore>()))
            .AddSingleton<Gateway>().AddSingleton<DiskWatch>()
            .AddHostedService<IngestHost>();
        if (options.RunTimers)
        {
            services.AddSingleton(s => new ResourceCheck(s.GetRequiredService<DiskWatch>().LookAsync))
                .AddHostedService<ResourceHost>();
        }

        return services;
    }

    public static void MapIngest(this IEndpointRouteBuilder routes) => routes.ServiceProvider.GetRequiredService<Gateway>().Map(routes);
}
