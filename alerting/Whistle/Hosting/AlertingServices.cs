using Prometheus;

using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Hosting;

/// <summary>Incidents and runs → pages, mail and tickets.</summary>
static class AlertingServices
{
    public static IServiceCollection AddAlerting(this IServiceCollection services, AlertingOptions options, bool runTimers)
    {
        services
            .AddSingleton(s => new AlertingEnvironment
            {
                Watch = s.GetRequiredService<PassWatch>(),
                Incidents = new IncidentReader(
                    s.GetRequiredService<IncidentStore>(), s.GetRequiredService<RunStore>(),
                    s.GetRequiredService<TimeProvider>()).SinceAsync,
                Database = s.GetRequiredService<StateDatabase>(),
                Metrics = s.GetRequiredService<IMetricFactory>(),
                Health = s.GetRequiredService<HealthBoard>(),
                Note = (transaction, incident, at, kind, text, cancellation) =>
                    IncidentStore.AppendAsync(transaction.Connection, incident, at, kind, text, cancellation: cancellation),
            })
            .AddSingleton(options)
            .AddSingleton<AlertingHost>();
        if (runTimers)
            services.AddHostedService(s => s.GetRequiredService<AlertingHost>());
        return services;
    }

    public static void MapAlerting(this IEndpointRouteBuilder routes) =>
        TicketsApi.Map(routes, routes.ServiceProvider.GetRequiredService<AlertingHost>().Tickets);
}
