using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Prometheus;

using Whistle.Detectors.Http;
using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;
using Whistle.State.Memory;

namespace Whistle.Detectors;

/// <summary>What the operator decides of this stage.</summary>
public sealed record DetectorsStageOptions
{
    /// <summary>Rule files and folders of rule files.</summary>
    public required IReadOnlyList<string> RuleFiles { get; init; }

    public PromQLOptions Queries { get; init; } = new();

    public SearchOptions Searches { get; init; } = new();

    /// <summary>False where other processes evaluate the rules, or some of them.</summary>
    public bool IsAlone { get; init; } = true;

    /// <summary>Whether this process evaluates rules.</summary>
    public bool IsDetect { get; init; } = true;

    /// <summary>False where the stage is stepped by hand.</summary>
    public bool RunTimers { get; init; } = true;
}

/// <summary>Head and store → rules → signals, and the queries that people and programs ask.</summary>
public static class DetectorsStage
{
    public static IServiceCollection AddDetectors(this IServiceCollection services, DetectorsStageOptions options)
    {
        services
            .AddSingleton(options)
            .AddSingleton<TelemetrySource>().AddSingleton<ISeriesSource>(s => s.GetRequiredService<TelemetrySource>())
            .AddSingleton(s => new PromQLEngine(s.GetRequiredService<ISeriesSource>(), options.Queries))
            .AddSingleton<RulesEnvironment>(Environment)
            .AddSingleton<RulesHost>()
            .AddSingleton(s => new ScheduledJob(
                "signal-retention", "Drops what happened to signals more than a day ago.", "0 7 * * * ?", MissedRun.RunOnce,
                s.GetRequiredService<RulesHost>().DropEventsAsync));
        if (options.IsAlone)
            services.AddSingleton<ISignals>(s => s.GetRequiredService<RulesHost>());
        else
            services.AddSingleton<StoredSignals>().AddSingleton<ISignals>(s => s.GetRequiredService<StoredSignals>());
        if (options is { IsAlone: false, RunTimers: true })
            services.AddHostedService(s => s.GetRequiredService<StoredSignals>());
        if (options is { IsDetect: true, RunTimers: true })
            services.AddHostedService(s => s.GetRequiredService<RulesHost>());
        return services;
    }

    public static void MapDetectors(this IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        var (rules, time) = (services.GetRequiredService<RulesHost>(), services.GetRequiredService<TimeProvider>());
        PrometheusApi.Map(
            routes, services.GetRequiredService<PromQLEngine>(), services.GetRequiredService<TelemetrySource>(),
            services.GetRequiredService<DetectorsStageOptions>().Searches, rules, time,
            services.GetRequiredService<ISignals>(),
            new ByteBudget(services.GetRequiredService<MemoryOptions>().Queries, "The answers of queries in work"),
            () => services.GetRequiredService<ProcessWatch>().Shortage);
        SignalsApi.Map(routes, rules, services.GetRequiredService<ISignals>(), time);
    }

    static RulesEnvironment Environment(IServiceProvider services)
    {
        var options = services.GetRequiredService<DetectorsStageOptions>();
        var series = new TelemetrySource(services.GetRequiredService<RuleTelemetry>().Reader);
        return new()
        {
            Watch = services.GetRequiredService<PassWatch>(),
            RuleFiles = options.RuleFiles,
            Engine = new PromQLEngine(series, options.Queries),
            Series = series,
            Own = services.GetRequiredService<OwnClusters>(),
            HasGateway = true,
            Write = async (series, _) => await services.GetRequiredService<TelemetryLog>().RecordAsync(series),
            Health = services.GetRequiredService<HealthBoard>(),
            Refused = services.GetRequiredService<RefusedSenders>(),
            Inventory = services.GetRequiredService<Credentials>().AgentsAsync,
            Collectors = services.GetRequiredService<Credentials>().CollectorsAsync,
            Loading = rules =>
                services.GetRequiredService<Head>().KeepLonger(rules.Inputs.Select(i => new HeadWindow(i.Matchers, i.ReadsBack))),
            Database = services.GetRequiredService<StateDatabase>(),
            Metrics = services.GetRequiredService<IMetricFactory>(),
        };
    }
}
