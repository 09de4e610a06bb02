using System.Net.Sockets;

using Whistle.Access;
using Whistle.Actions.Files;
using Whistle.Alerting;
using Whistle.Detectors;
using Whistle.Health;
using Whistle.Hosting;
using Whistle.Incidents;
using Whistle.Ingest;
using Whistle.Ingest.Heads;
using Whistle.Inventory;
using Whistle.Inventory.Callers;
using Whistle.Jobs;
using Whistle.Remediation;
using Whistle.State.Health;
using Whistle.Tls;
using Whistle.Web;

namespace Whistle;

/// <summary>
/// The whole server, put together in one place: gateway → log → store and head → rules → signals → incidents → runs → pages and tickets. A
/// test makes it as the command line does.
/// </summary>
sealed class WhistleApp : IAsyncDisposable
{
    readonly WhistleOptions _options;
    readonly OpenFolder _folder;
    readonly WebApplication _app;
    readonly CancellationTokenSource _stopping = new();
    Task _agent = Task.CompletedTask;

    WhistleApp(WhistleOptions options, OpenFolder folder)
    {
        (_options, _folder) = (options, folder);
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.AddHost(options, folder);
        AddStages(builder.Services);
        _app = builder.Build();
    }

    void AddStages(IServiceCollection services) => services
        .AddIngest(_options.ForIngest())
        .AddDetectors(_options.ForDetectors())
        .AddIncidents(_options.ForIncidents())
        .AddRemediation(_options.ForRemediation(_folder.Owner))
        .AddAlerting(_options.Alerting, _options.RunTimers && _options.Has(ServerRoles.Alert))
        .AddDashboard()
        // The last to start and the first to stop: jobs need all the rest.
        .AddJobs(_options, _folder.Instance);

    void MapStages()
    {
        // Agents and people do not hold each other up.
        var half = _options.Memory.OtherBodies / 2;
        _app.UseHost(new(half, "The bodies of requests in work", "caller"));
        _app.MapHost();
        _app.MapIngest();
        _app.MapDetectors();
        _app.MapRemediation(new(half, "The bodies of agents' reports in work", "tenant"));
        _app.MapAlerting();
        _app.MapDashboard();
    }

    /// <summary>Puts the server together and opens its data; nothing runs before <see cref="StartAsync"/>.</summary>
    /// <exception cref="StartException">The options, the data or the rules do not let it start.</exception>
    public static async Task<WhistleApp> OpenAsync(WhistleOptions options, CancellationToken cancellation)
    {
        if (options.Errors() is { Count: > 0 } errors)
            throw new StartException(string.Join(Environment.NewLine, errors));
        ProcessLimits.Check();
        // As the program does; this is for a server that something else hosts.
        Umask.Close();
        var folder = new OpenFolder(options);
        WhistleApp? app = null;
        try
        {
            app = new WhistleApp(options, folder);
            folder.Report(app.Service<HealthBoard>(), app.Service<ILogger<OpenFolder>>());
            await DataOpening.OpenAsync(app.Services, options, cancellation);
            app.MapStages();
            if (RouteAccess.Missing(app.Endpoints) is { Count: > 0 } open)
                throw new StartException($"These routes do not state who may call them: {string.Join(", ", open)}.");
            return app;
        }
        catch
        {
            // What was opened by then is another start's to open.
            app?.Close();
            folder.Dispose();
            throw;
        }
    }

    /// <summary>All addresses that it listens on.</summary>
    public IReadOnlyList<Uri> Addresses => BoundAddresses.Of(_app.Services);

    /// <summary>Where this machine itself reaches it.</summary>
    public Uri Address => WhistleOptions.LocalOf(Addresses.Take(_options.Listen.Count));

    /// <summary>The fingerprint of the authority that the server is for itself; null where its certificate is from elsewhere.</summary>
    public string? AuthorityFingerprint => _app.Services.GetService<CertificateSource>()?.AuthorityFingerprint;

    public Credentials Credentials => Service<Credentials>();

    public TelemetryReader Telemetry => Service<TelemetryReader>();

    public RulesHost Rules => Service<RulesHost>();

    public IncidentsHost Incidents => Service<IncidentsHost>();

    public RemediationHost Remediation => Service<RemediationHost>();

    public AlertingHost Alerting => Service<AlertingHost>();

    internal IServiceProvider Services => _app.Services;

    internal IReadOnlyList<Endpoint> Endpoints => Service<EndpointDataSource>().Endpoints;

    /// <summary>What ended a part of the server, and with it the whole; null where it was stopped, or runs.</summary>
    internal Exception? Failure => _app.Services.GetServices<IHostedService>().OfType<BackgroundService>()
        .Select(s => s.ExecuteTask?.Exception?.GetBaseException()).FirstOrDefault(e => e is not null);

    public string LoginLink() => new Uri(Address, $"login?token={_folder.Access.NewLink()}").ToString();

    /// <exception cref="StartException">The rules or runbooks have errors, or the address is taken.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        // Before the head is filled, so that it is filled with all that the rules read.
        if (await Rules.ReloadAsync(cancellation) is { Rules: null, Errors: var errors })
            throw new StartException($"The rules have errors:{Environment.NewLine}{string.Join(Environment.NewLine, errors)}");
        if (Remediation.Reload() is { Runbooks: null, Errors: var mistakes })
            throw new StartException($"The runbooks have errors:{Environment.NewLine}{string.Join(Environment.NewLine, mistakes)}");
        var listening = Service<ListeningFile>();
        // Of a server that was killed.
        listening.Remove();
        try
        {
            await _app.StartAsync(cancellation);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            var all = string.Join(", ", _options.Listen.Concat(_options.ListenForAgents).Concat(_options.ListenForPeople));
            throw new StartException($"The server cannot listen on {all}: {e.Message} Name another address with --listen.");
        }

        listening.Write();
        _app.Lifetime.ApplicationStopping.Register(listening.Remove);
        // Its agent sends what it has while the gateway still answers.
        _app.Lifetime.ApplicationStopping.Register(_stopping.Cancel);
        if (_options.Agent && _options.Has(ServerRoles.Gateway))
            _agent = Service<LocalAgent>().RunAsync(Address, _stopping.Token);
    }

    public Task WaitForShutdownAsync(CancellationToken cancellation) => _app.WaitForShutdownAsync(cancellation);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _agent;
        await _app.StopAsync();
        await _app.DisposeAsync();
        _folder.Dispose();
        _stopping.Dispose();
    }

    void Close()
    {
        ((IDisposable)_app).Dispose();
        _stopping.Dispose();
    }

    T Service<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();
}
