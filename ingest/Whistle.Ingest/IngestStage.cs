using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Gateways;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Influx;
using Whistle.Ingest.Kafka;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;

namespace Whistle.Ingest;

/// <summary>What the operator decides of this stage.</summary>
public sealed record IngestStageOptions
{
    public required StoreOptions Store { get; init; }

    public required SeriesLimitOptions SeriesLimits { get; init; }

    public TelemetryLogOptions Log { get; init; } = new();

    /// <summary>Where telemetry is kept instead of <see cref="Store"/>; null for that.</summary>
    public InfluxOptions? Influx { get; init; }

    /// <summary>The log between gateway and detectors; embedded where it names no brokers.</summary>
    public KafkaOptions Kafka { get; init; } = new();

    /// <summary>This process takes what senders send.</summary>
    public bool IsGateway { get; init; } = true;

    /// <summary>This process reads the log into store and head.</summary>
    public bool IsDetect { get; init; } = true;

    public GatewayOptions Gateway { get; init; } = new();

    public DiskOptions Disk { get; init; } = new();

    /// <summary>The state lies beside the telemetry: where it is not new, neither is the telemetry.</summary>
    public bool IsBesideState { get; init; }

    /// <summary>False where the stage is stepped by hand.</summary>
    public bool RunTimers { get; init; } = true;
}

/// <summary>What rules read: the clusters that this process evaluates, the recent samples from its head.</summary>
public sealed record RuleTelemetry(TelemetryReader Reader);

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
            .AddSingleton(s => new SeriesLimits(
                options.SeriesLimits, s.GetRequiredService<TimeProvider>(),
                // Where the log keeps what is sent, nothing waits for the state; and each process counts its own clusters.
                options.Kafka.Brokers is null ? s.GetRequiredService<StateDatabase>() : null,
                tenant => s.GetRequiredService<FleetRegister>().Latest.LimitsOf(tenant)))
            .AddSingleton(options.Log).AddSingleton(options.Gateway).AddSingleton(options.Disk)
            .AddSingleton<IngestMetrics>().AddSingleton<Head>().AddSingleton<Gateway>().AddSingleton<DiskWatch>();
        AddStore(services, options);
        if (options.Kafka.Brokers is null)
            AddEmbeddedLog(services);
        else
            AddKafka(services, options.Kafka);
        if (options.IsDetect)
            services.AddHostedService<IngestHost>();
        // After the committer, so that it ends before.
        if (options is { IsDetect: true, Kafka.Brokers: not null })
            services.AddHostedService<KafkaHost>();
        if (options.RunTimers)
        {
            services.AddSingleton(s => new ResourceCheck(s.GetRequiredService<DiskWatch>().LookAsync))
                .AddHostedService<ResourceHost>();
        }

        return services;
    }

    /// <exception cref="StoreException">A server that is needed does not answer, or lacks what this process needs there.</exception>
    public static void OpenIngest(this IServiceProvider services, IngestStageOptions options)
    {
        // The disk watch looks at it, wherever telemetry is.
        Directory.CreateDirectory(options.Store.Folder);
        services.GetRequiredService<ITelemetryStore>();
        services.GetService<InfluxStore>()?.Check();
        if (options.Kafka.Brokers is not null && (options.IsGateway || options.IsDetect))
            services.GetRequiredService<KafkaTopics>().Open();
    }

    public static void MapIngest(this IEndpointRouteBuilder routes) => routes.ServiceProvider.GetRequiredService<Gateway>().Map(routes);

    static void AddStore(IServiceCollection services, IngestStageOptions options)
    {
        services.AddSingleton(
            s => options.Store with { HasHistory = options.IsBesideState && !s.GetRequiredService<StateDatabase>().IsNew });
        if (options.Influx is { } influx)
            services.AddSingleton(influx).AddSingleton<InfluxStore>()
                .AddSingleton<ITelemetryStore>(s => s.GetRequiredService<InfluxStore>());
        else
            services.AddSingleton<DuckDbStore>().AddSingleton<ITelemetryStore>(s => s.GetRequiredService<DuckDbStore>());
        AddTelemetry(services);
    }

    static void AddTelemetry(IServiceCollection services) => services
        .AddSingleton(s => new TelemetryLog(
            s.GetRequiredService<TelemetryLogOptions>(), s.GetRequiredService<MemoryOptions>(), s.GetRequiredService<Head>(),
            s.GetRequiredService<ITelemetryStore>(), s.GetRequiredService<IngestMetrics>(), s.GetRequiredService<HealthBoard>(),
            s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<TelemetryLog>>()))
        .AddSingleton(s => new RuleTelemetry(
            new TelemetryReader(s.GetRequiredService<Head>(), s.GetRequiredService<ITelemetryStore>())));

    static void AddEmbeddedLog(IServiceCollection services) => services
        .AddSingleton(OwnClusters.All)
        .AddSingleton<ITelemetryLog>(s => s.GetRequiredService<TelemetryLog>())
        .AddSingleton(s => s.GetRequiredService<RuleTelemetry>().Reader);

    // Other processes have the recent samples of other clusters, so whoever asks for any is answered from the store.
    static void AddKafka(IServiceCollection services, KafkaOptions options) => services
        .AddSingleton(options).AddSingleton<KafkaTopics>()
        .AddSingleton(s => OwnClusters.Of(s.GetRequiredService<KafkaTopics>().PartitionOf))
        .AddSingleton<KafkaLog>().AddSingleton<ITelemetryLog>(s => s.GetRequiredService<KafkaLog>())
        .AddSingleton(s => new TelemetryReader(null, s.GetRequiredService<ITelemetryStore>()))
        .AddSingleton(s => new RecordTaker(
            s.GetRequiredService<TelemetryLog>(), s.GetRequiredService<GatewayOptions>().MaxDecompressedBytes))
        .AddSingleton(s => new PartitionHead(
            s.GetRequiredService<Head>(), s.GetRequiredService<ITelemetryStore>(), s.GetRequiredService<TelemetryLog>(),
            s.GetRequiredService<OwnClusters>(), s.GetRequiredService<KafkaTopics>().PartitionOf,
            async c => [.. (await s.GetRequiredService<Credentials>().SendersAsync(c)).Select(e => e.ClusterId).Distinct()],
            s.GetRequiredService<HealthBoard>(), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<PartitionHead>>()));
}
