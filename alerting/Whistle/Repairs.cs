using Prometheus;

using Whistle.Alerting;
using Whistle.Detectors;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Http;
using Whistle.Remediation.Runs;
using Whistle.State.Health;
using Whistle.State.Memory;

namespace Whistle;

/// <summary>The second half of the road: signals → incidents → runs and their commands → pages, mail and tickets.</summary>
static class Repairs
{
    /// <param name="owner">A name of this server's own, for the runs that it works on.</param>
    public static void Add(IServiceCollection services, WhistleOptions options, string owner)
    {
        services
            .AddSingleton<IncidentStore>().AddSingleton<RunStore>().AddSingleton<ControlStore>()
            .AddSingleton<IMetricFactory>(s => Metrics.WithCustomRegistry(s.GetRequiredService<CollectorRegistry>()))
            .AddSingleton<PassWatch>()
            .AddSingleton(s => new IncidentsEnvironment
            {
                Watch = s.GetRequiredService<PassWatch>(),
                Signals = () => s.GetRequiredService<RulesHost>() is { Loaded: true } rules ? rules.Signals : null,
                Ended = s.GetRequiredService<RulesHost>().EndedSignalsAsync,
                Worked = s.GetRequiredService<RunStore>().WorkedIncidentsAsync,
                Store = s.GetRequiredService<IncidentStore>(),
                Options = options.Incidents,
                Metrics = s.GetRequiredService<IMetricFactory>(),
                Health = s.GetRequiredService<HealthBoard>(),
            })
            .AddSingleton(s => new ClusterReader(s.GetRequiredService<PromQLEngine>(), s.GetRequiredService<Credentials>().AgentsAsync, s.GetRequiredService<ILogger<ClusterReader>>()))
            .AddSingleton(s => new RemediationEnvironment
            {
                Senders = s.GetRequiredService<Credentials>().SendersAsync,
                Limits = options.Brakes,
                Health = s.GetRequiredService<HealthBoard>(),
                Watch = s.GetRequiredService<PassWatch>(),
                RunbookFiles = options.Runbooks,
                Signals = () => s.GetRequiredService<RulesHost>() is { Loaded: true } rules ? rules.Signals : null,
                Holds = RemediationEnvironment.HoldsBy(s.GetRequiredService<PromQLEngine>()),
                Clusters = s.GetRequiredService<ClusterReader>().Find,
                ClusterAt = s.GetRequiredService<ClusterReader>().ReadAsync,
                RefreshClusters = s.GetRequiredService<ClusterReader>().RefreshAsync,
                Incidents = s.GetRequiredService<IncidentStore>(),
                Runs = s.GetRequiredService<RunStore>(),
                Control = s.GetRequiredService<ControlStore>(),
                Owner = owner,
                Metrics = s.GetRequiredService<IMetricFactory>(),
            })
            .AddSingleton<IncidentsHost>().AddSingleton<RemediationHost>();
        if (options.RunTimers)
        {
            services.AddHostedService(s => s.GetRequiredService<IncidentsHost>())
                .AddHostedService(s => s.GetRequiredService<RemediationHost>());
        }

        services.AddAlerting(options.Alerting, options.RunTimers);
    }

    public static void Map(WebApplication app, TimeProvider time, ByteBudget bodies)
    {
        var host = app.Services.GetRequiredService<RemediationHost>();
        CommandApi.Map(app, host, app.Services.GetRequiredService<Credentials>(), time, bodies);
        RemediationApi.Map(app, app.Services.GetRequiredService<RemediationEnvironment>(), host, time);
        app.MapAlerting();
    }
}
