using System.Net;

using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.AuthenticatedEncryption;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Logging.Console;

using Prometheus;

using Whistle.Access;
using Whistle.Backups;
using Whistle.Data;
using Whistle.Detectors;
using Whistle.Detectors.Http;
using Whistle.Health;
using Whistle.Http;
using Whistle.Ingest;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Jobs;
using Whistle.Printing;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Tls;
using Whistle.Web;

namespace Whistle.Hosting;

/// <summary>What all stages stand on (state, senders, health, metrics), and what the whole server has: access, backups, reload.</summary>
static class HostStage
{
    public static void AddHost(this WebApplicationBuilder builder, WhistleOptions options, OpenFolder folder)
    {
        Listen(builder, options);
        Log(builder.Logging, options);
        builder.Services
            .AddSingleton(options).AddSingleton(options.Time).AddSingleton(options.Memory)
            .AddSingleton(folder.Lock).AddSingleton(folder.Reserve).AddSingleton(folder.Access)
            .AddSingleton(_ => options.OpenState())
            .AddSingleton(s => new StateLeases(s.GetRequiredService<StateDatabase>(), folder.Owner, options.Time))
            .AddSingleton(options.Enrolment)
            .AddSingleton(s => new FleetRegister(
                s.GetRequiredService<StateDatabase>(), options.Time, options.Enrolment, options.Retention))
            .AddSingleton<Credentials>().AddSingleton<RegisterActs>().AddSingleton<KnownPlaces>().AddSingleton<CredentialWatch>()
            .AddSingleton(s => new ResourceCheck(s.GetRequiredService<CredentialWatch>().LookAsync))
            .AddSingleton<RefusedSenders>().AddCallers(folder.Access.Token, options.LogIn)
            .AddSingleton<AuditLog>().AddSingleton<AuditWatch>().AddHostedService(s => s.GetRequiredService<AuditWatch>())
            .AddSingleton(Metrics.NewCustomRegistry())
            .AddSingleton<IMetricFactory>(s => Metrics.WithCustomRegistry(s.GetRequiredService<CollectorRegistry>()))
            .AddSingleton(new HealthBoard(options.Time)).AddSingleton<PassWatch>().AddSingleton<ProcessWatch>()
            .AddSingleton<ServerLockWatch>().AddSingleton<ListeningFile>()
            .AddSingleton(s => ResourceCheck.Of(() => _ = s.GetRequiredService<ProcessWatch>().Shortage))
            .AddSingleton(s => ResourceCheck.Of(s.GetRequiredService<ServerLockWatch>().Look))
            .AddSingleton(s => ResourceCheck.Of(s.GetRequiredService<ListeningFile>().Look))
            .AddSingleton(s => new BackupSource(
                options.DataFolder, s.GetRequiredService<StateDatabase>(), s.GetService<DuckDbStore>(), options.Time))
            .AddSingleton<PasskeyLogIn>().AddSingleton<BackupApi>().AddSingleton<LocalAgent>().AddHostedService<SessionWatch>();
        Authentication.Add(builder, options, folder.Access);
        // Of keys that are made from now on; those that there are go on until they end.
        builder.Services.AddDataProtection().UseCryptographicAlgorithms(new() { EncryptionAlgorithm = EncryptionAlgorithm.AES_256_GCM });
        WhistleApi.Add(builder.Services);
        ApiDocument.Add(builder.Services);
    }

    /// <summary>What stands before every route.</summary>
    /// <param name="bodies">What the bodies of requests in work may take of the memory.</param>
    public static void UseHost(this WebApplication app, FairBudgets bodies)
    {
        var access = app.Services.GetRequiredService<LocalAccess>();
        app.Use(AnswerHeaders.AddAsync);
        app.Use(LastAnswer.GiveAsync);
        Listeners.Use(app);
        BelieveProxies(app, app.Services.GetRequiredService<WhistleOptions>());
        // It counts for all ports of a name, so it is said only where https has its own port and a certificate that lasts.
        if (app.Services.GetRequiredService<WhistleOptions>().Tls.CertificateFile is not null)
            app.UseWhen(c => c.Request.Host.Port is null or 443, https => https.UseHsts());
        HostCookies.Use(app);
        app.Use(DateAsync);
        app.Use(StateRefusal.AnswerAsync);
        RequestAudit.Use(app);
        app.Use(Forbidden.CatchAsync);
        WhistleApi.Use(app);
        OriginCheck.Use(app, Authentication.CookieName(access), app.Services.GetRequiredService<KnownHosts>());
        app.UseDashboard();
        app.UseAuthentication();
        SecondFactorGate.Use(app);
        app.UseAuthorization();
        Authentication.Use(app);
        RequestBodies.Use(app, bodies);
    }

    public static void MapHost(this WebApplication app)
    {
        HealthApi.Map(app, app.Services.GetRequiredService<HealthBoard>());
        app.MapMetrics("/metrics", app.Services.GetRequiredService<CollectorRegistry>()).NeedsEverywhere(Permission.Read);
        Enrolment.Map(app, app.Services.GetRequiredService<Credentials>());
        Joining.Map(
            app, app.Services.GetRequiredService<Credentials>(), app.Services.GetRequiredService<ControlStore>(),
            app.Services.GetRequiredService<WhistleOptions>());
        var acts = app.Services.GetRequiredService<RegisterActs>();
        var places = app.Services.GetRequiredService<KnownPlaces>();
        RegisterApi.Map(
            app, app.Services.GetRequiredService<FleetRegister>(), acts, app.Services.GetRequiredService<PeopleDirectory>(), places);
        NodesApi.Map(app, app.Services.GetRequiredService<Credentials>(), acts, places);
        AuditApi.Map(app, app.Services.GetRequiredService<AuditLog>(), places);
        app.MapPost("/-/reload", ReloadAsync).NeedsEverywhere(Permission.ManageServer);
        BackupApi.Map(app, app.Services.GetRequiredService<BackupApi>());
        ApiDocument.Map(app);
        Authentication.Map(app, app.Services.GetRequiredService<LocalAccess>());
        PeopleApi.Map(app);
        TokensApi.Map(app);
        SessionsApi.Map(app);
        JobsApi.Map(app);
    }

    static void Listen(WebApplicationBuilder builder, WhistleOptions options)
    {
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxConcurrentConnections = kestrel.Limits.MaxConcurrentUpgradedConnections = ProcessLimits.MostConnections;
            Listeners.Listen(kestrel, options);
        });
        builder.Services.AddHsts(hsts => hsts.MaxAge = TimeSpan.FromDays(365));
        if (options.UsesTls)
        {
            builder.Services.AddSingleton(s => new CertificateSource(
                    options.Tls, options.Names, options.DataFolder, options.Time, s.GetRequiredService<HealthBoard>(),
                    s.GetRequiredService<ILogger<CertificateSource>>()))
                .AddSingleton(s => ResourceCheck.Of(s.GetRequiredService<CertificateSource>().Look));
        }

        builder.Services.AddSingleton(s => new KnownHosts(options, s.GetService<CertificateSource>()));
    }

    static void BelieveProxies(WebApplication app, WhistleOptions options)
    {
        if (options.Proxies.Count == 0)
            return;
        var forwarded = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.All & ~ForwardedHeaders.XForwardedPrefix };
        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        foreach (var proxy in options.Proxies)
        {
            if (IPAddress.TryParse(proxy, out var address))
                forwarded.KnownProxies.Add(address);
            else
                forwarded.KnownIPNetworks.Add(System.Net.IPNetwork.Parse(proxy));
        }

        app.UseForwardedHeaders(forwarded);
    }

    static void Log(ILoggingBuilder logging, WhistleOptions options) => logging
        // By category and level, so that the demo's own lines are not lost among them.
        .AddFilter((_, level) => level >= options.LeastLogged)
        .AddFilter("Microsoft", LogLevel.Warning).AddFilter(typeof(BearerHandler).FullName, LogLevel.Warning)
        // It says each run; what matters is said by Whistle itself.
        .AddFilter("Quartz", LogLevel.Error)
        // Its errors are those of a start, which the StartException says in a line. A part that fails later is critical.
        .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical)
        // It warns that keys at rest are not encrypted; like the token beside them, they are readable by their owner alone.
        .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error)
        .AddConsole(console => console.FormatterName = LineFormatter.Format)
        .AddConsoleFormatter<LineFormatter, ConsoleFormatterOptions>();

    // Whoever tells ages by an answer needs the clock that its times are from.
    static Task DateAsync(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers.Date = context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow().ToString("R");
        return next(context);
    }

    static Task<IResult> ReloadAsync(
        HttpContext context, RulesHost rulesHost, RemediationHost remediation, AuditLog audit, CancellationToken cancellation)
    {
        var act = new AuditAct(RequestAudit.ActorOf(context), "reload");
        return audit.RecordAsync(act, async () =>
        {
            await act.WriteAsync(cancellation);
            return await ReloadBothAsync(act, rulesHost, remediation, cancellation);
        });
    }

    // Rules and runbooks apart: either may have errors, and then what was in force of its kind stays.
    static async Task<IResult> ReloadBothAsync(
        AuditAct act, RulesHost rulesHost, RemediationHost remediation, CancellationToken cancellation)
    {
        var (rules, runbooks) = (await rulesHost.ReloadAsync(cancellation), remediation.Reload());
        string[] errors = [.. rules.Errors.Select(e => e.ToString()), .. runbooks.Errors.Select(e => e.ToString())];
        if (errors.Length > 0)
            act.Refuse(string.Join('\n', errors));
        return errors.Length == 0
            ? Results.Text($"{rules.Rules!.RuleCount} rules and {runbooks.Runbooks!.Runbooks.Count} runbooks are in force.\n")
            : Results.Text(
                $"What was in force before stays, for there are errors:\n{string.Join('\n', errors)}\n",
                statusCode: StatusCodes.Status400BadRequest);
    }
}
