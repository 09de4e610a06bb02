using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Stores;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;

namespace Whistle.Alerting;

/// <summary>The stage as the server composes it: incidents and runs → decisions → pages, mail and tickets.</summary>
public static class AlertingServices
{
    /// <param name="runTimers">False in tests that step the stage by hand.</param>
    public static IServiceCollection AddAlerting(this IServiceCollection services, AlertingOptions options, bool runTimers = true)
    {
        services.AddSingleton(options).AddSingleton(s => new AlertingHost(
            new()
            {
                Watch = s.GetRequiredService<PassWatch>(),
                Lease = s.GetRequiredService<StateLeases>().Of("alerting"),
                Incidents = new IncidentReader(
                    s.GetRequiredService<IncidentStore>(), s.GetRequiredService<RunStore>(),
                    s.GetRequiredService<TimeProvider>()).SinceAsync,
                Database = s.GetRequiredService<StateDatabase>(),
                Metrics = s.GetRequiredService<IMetricFactory>(),
                Health = s.GetRequiredService<HealthBoard>(),
                Note = NoteAsync,
            },
            options, s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<AlertingHost>>()));
        services
            .AddSingleton(s => new ScheduledJob(
                "alert-digest", "Sends the digest of what nobody was paged for, once its oldest line has waited long enough.",
                "0 * * * * ?", MissedRun.Skip, c => s.GetRequiredService<AlertingHost>().SendDigestAsync(Now(s), c)))
            .AddSingleton(s => new ScheduledJob(
                "alert-retention", "Drops decisions and notifications that are older than they are kept.",
                "0 17 * * * ?", MissedRun.RunOnce, c => s.GetRequiredService<AlertingHost>().DropOldAsync(Now(s), c)));
        return runTimers ? services.AddHostedService(s => s.GetRequiredService<AlertingHost>()) : services;
    }

    public static IEndpointRouteBuilder MapAlerting(this IEndpointRouteBuilder routes)
    {
        TicketsApi.Map(routes, routes.ServiceProvider.GetRequiredService<AlertingHost>().Tickets);
        return routes;
    }

    static DateTimeOffset Now(IServiceProvider services) => services.GetRequiredService<TimeProvider>().GetUtcNow();

    static Task NoteAsync(
        StateTransaction transaction, string incident, DateTimeOffset at, Decision decision, CancellationToken cancellation) =>
        IncidentStore.AppendAsync(
            transaction.Connection, incident, at, decision.Kind.OnTimeline(), decision.Text, cancellation: cancellation);
}
