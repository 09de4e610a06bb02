using System.Data.Common;

using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

using Prometheus;

using Whistle.Actions.Files;
using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Alerting;
using Whistle.Backups;
using Whistle.Detectors;
using Whistle.Detectors.Http;
using Whistle.Health;
using Whistle.Incidents;
using Whistle.Ingest;
using Whistle.Ingest.Gateways;
using Whistle.Ingest.Heads;
using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Web;

namespace Whistle;

/// <summary>
/// The whole server, put together in one place: gateway → log → store and head → rules → signals → incidents → runs → pages and tickets. A test makes it as
/// the command line does.
/// </summary>
public sealed class WhistleApp : IAsyncDisposable
{
    internal const string StateFileName = "state.sqlite";

    readonly WhistleOptions _options;
    readonly WebApplication _app;
    readonly LocalAccess _access;
    readonly ServerLock _lock;
    readonly StateReserve _reserve;
    readonly ByteBudget _bodies;
    readonly CancellationTokenSource _stopping = new();
    Task _agent = Task.CompletedTask;

    WhistleApp(WhistleOptions options)
    {
        if (options.Errors() is { Count: > 0 } errors)
            throw new StartException(string.Join(Environment.NewLine, errors));
        ProcessLimits.Check();
        _options = options;
        // As the program does; this is for a server that something else hosts.
        Umask.Close();
        // First of all: what another process has open must not be looked at, let alone made again.
        ServerFolder.RefuseBackup(options.DataFolder);
        _lock = ServerLock.TakeForServer(options.DataFolder, Console.Error.WriteLine);
        try
        {
            var closed = ServerFolder.Prepare(options.DataFolder);
            ServerFolder.Trusted(options.DataFolder, _lock.RefuseOlderServer);
            _reserve = new StateReserve(options.DataFolder, Path.Combine(options.DataFolder, StateFileName), options.Disk.StateReserve);
            _reserve.Open();
            List<string> setAside = [];
            _access = Secret(() => new LocalAccess(options.DataFolder, options.Time, setAside.Add));
            var owner = Secret(() => OwnerName(options, setAside.Add));

            var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxConcurrentConnections = kestrel.Limits.MaxConcurrentUpgradedConnections = ProcessLimits.MostConnections);
            builder.WebHost.UseUrls(options.Listen.ToString());
            // A page elsewhere must not reach the server under a name of its own that leads to the loopback.
            builder.WebHost.UseSetting("AllowedHosts", "localhost;127.0.0.1;[::1]");
            builder.Services.Configure<HostFilteringOptions>(hosts => hosts.AllowEmptyHosts = false);
            // Told by category and level, so that the demo's own lines are not lost among them.
            builder.Logging.AddFilter((category, level) => level >= options.LeastLogged);
            builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Whistle.Authentication", LogLevel.Warning)
                // Its errors are those of a start, which the StartException says in a line. A part that fails later is critical.
                .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical)
                // It warns that keys at rest are not encrypted; like the token beside them, they are readable by their owner alone.
                .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error)
                .AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "yyyy-MM-dd'T'HH:mm:ss'Z' ", true));
            builder.Services.AddSingleton(options).AddSingleton(options.Time).AddSingleton(_access).AddSingleton(_reserve).AddSingleton(_lock);
            Authentication.Add(builder, options, _access);
            AddIngest(builder.Services, options);
            AddDetectors(builder.Services, options);
            Repairs.Add(builder.Services, options, owner);
            WhistleApi.Add(builder.Services);
            ApiDocument.Add(builder.Services);
            Dashboard.Add(builder.Services);

            _bodies = new ByteBudget(options.Memory.OtherBodies, "The bodies of requests in work");
            _app = builder.Build();
            Say(closed, setAside);
        }
        catch
        {
            Close();
            throw;
        }
    }

    /// <summary>Puts the server together and opens its data; nothing runs before <see cref="StartAsync"/>.</summary>
    /// <exception cref="StartException">The options, the data or the rules do not let it start.</exception>
    public static async Task<WhistleApp> OpenAsync(WhistleOptions options, CancellationToken cancellation)
    {
        var app = new WhistleApp(options);
        try
        {
            await app.OpenStoreAsync(cancellation);
            app.MapEndpoints();
            return app;
        }
        catch
        {
            app.Close();
            throw;
        }
    }

    // What was opened by then is another start's to open.
    void Close()
    {
        ((IDisposable?)_app)?.Dispose();
        _access?.Dispose();
        _reserve?.Dispose();
        _lock.Dispose();
        _stopping.Dispose();
    }

    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public Credentials Credentials => _app.Services.GetRequiredService<Credentials>();

    internal IServiceProvider Services => _app.Services;

    public TelemetryReader Telemetry => _app.Services.GetRequiredService<TelemetryReader>();

    public RulesHost Rules => _app.Services.GetRequiredService<RulesHost>();

    public RemediationHost Remediation => _app.Services.GetRequiredService<RemediationHost>();

    public IncidentsHost Incidents => _app.Services.GetRequiredService<IncidentsHost>();

    public AlertingHost Alerting => _app.Services.GetRequiredService<AlertingHost>();

    /// <summary>What ended a part of the server, and with it the whole; null where it was stopped, or runs.</summary>
    internal Exception? Failure => _app.Services.GetServices<IHostedService>().OfType<BackgroundService>()
        .Select(s => s.ExecuteTask?.Exception?.GetBaseException()).FirstOrDefault(e => e is not null);

    internal IReadOnlyList<Endpoint> Endpoints => _app.Services.GetRequiredService<EndpointDataSource>().Endpoints;

    public string LoginLink() => new Uri(Address, $"login?token={_access.NewLink()}").ToString();

    /// <exception cref="StartException">The address is taken.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        // Before the head is filled, so that it is filled with all that the rules read.
        if (await Rules.ReloadAsync(cancellation) is { Rules: null, Errors: var errors })
            throw new StartException($"The rules have errors:{Environment.NewLine}{string.Join(Environment.NewLine, errors)}");
        if (Remediation.Reload() is { Runbooks: null, Errors: var mistakes })
            throw new StartException($"The runbooks have errors:{Environment.NewLine}{string.Join(Environment.NewLine, mistakes)}");
        try
        {
            await _app.StartAsync(cancellation);
        }
        catch (IOException e)
        {
            throw new StartException($"The server cannot listen on {_options.Listen}: {e.Message} Name another address with --listen.");
        }

        // Its agent sends what it has while the gateway still answers.
        _app.Lifetime.ApplicationStopping.Register(_stopping.Cancel);
        if (_options.Agent)
            _agent = RunAgentAsync();
    }

    public Task WaitForShutdownAsync(CancellationToken cancellation) => _app.WaitForShutdownAsync(cancellation);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _agent;
        await _app.StopAsync();
        await _app.DisposeAsync();
        _access.Dispose();
        _reserve.Dispose();
        _lock.Dispose();
        _stopping.Dispose();
    }

    static void AddIngest(IServiceCollection services, WhistleOptions options)
    {
        services
            .AddSingleton(_ => options.OpenState())
            .AddSingleton(Metrics.NewCustomRegistry()).AddSingleton(new HealthBoard(options.Time))
            .AddSingleton(s => new StoreOptions(Path.Combine(options.DataFolder, "telemetry"), options.Retention, options.StoreMemory)
            {
                // A state in PostgreSQL may be older than this folder.
                HasHistory = options is { Database: null, DatabaseFile: null } && !s.GetRequiredService<StateDatabase>().IsNew,
            })
            .AddSingleton(s => new SeriesLimits(options.SeriesLimits, options.Time, s.GetRequiredService<StateDatabase>()))
            .AddSingleton(s => new Head(options.Time, s.GetRequiredService<SeriesLimits>()))
            .AddSingleton(options.Log).AddSingleton(options.Gateway).AddSingleton(options.Memory).AddSingleton(options.Disk)
            .AddSingleton<RefusedSenders>().AddSingleton<ProcessWatch>().AddSingleton<DiskWatch>()
            .AddSingleton<Credentials>().AddSingleton<IngestMetrics>()
            .AddSingleton<DuckDbStore>().AddSingleton<TelemetryLog>().AddSingleton<TelemetryReader>().AddSingleton<Gateway>()
            .AddHostedService<IngestHost>()
            .AddSingleton(s => new BackupSource(
                options.DataFolder, s.GetRequiredService<StateDatabase>(), s.GetRequiredService<DuckDbStore>(), options.Time))
            .AddSingleton<BackupApi>();
        if (options.RunTimers)
        {
            services.AddSingleton<ServerLockWatch>().AddHostedService(s => new ResourceHost(
                [
                    s.GetRequiredService<DiskWatch>().LookAsync, Check(() => _ = s.GetRequiredService<ProcessWatch>().Shortage),
                    Check(s.GetRequiredService<ServerLockWatch>().Look),
                ],
                s.GetRequiredService<ILogger<ResourceHost>>()));
        }
    }

    static Func<CancellationToken, Task> Check(Action look) => _ =>
    {
        look();
        return Task.CompletedTask;
    };

    static void AddDetectors(IServiceCollection services, WhistleOptions options)
    {
        services
            .AddSingleton<TelemetrySource>().AddSingleton<ISeriesSource>(s => s.GetRequiredService<TelemetrySource>())
            .AddSingleton(s => new PromQLEngine(s.GetRequiredService<ISeriesSource>(), options.Queries))
            .AddSingleton(s => new RulesEnvironment
            {
                Watch = s.GetRequiredService<PassWatch>(),
                RuleFiles = options.Rules,
                Engine = s.GetRequiredService<PromQLEngine>(),
                Series = s.GetRequiredService<ISeriesSource>(),
                HasGateway = true,
                Write = async (series, _) => await s.GetRequiredService<TelemetryLog>().RecordAsync(series),
                Health = s.GetRequiredService<HealthBoard>(),
                Refused = s.GetRequiredService<RefusedSenders>(),
                Inventory = s.GetRequiredService<Credentials>().AgentsAsync,
                Collectors = s.GetRequiredService<Credentials>().CollectorsAsync,
                Loading = rules => s.GetRequiredService<Head>().KeepLonger(rules.Inputs.Select(i => new HeadWindow(i.Matchers, i.ReadsBack))),
                Database = s.GetRequiredService<StateDatabase>(),
                Metrics = Metrics.WithCustomRegistry(s.GetRequiredService<CollectorRegistry>()),
            })
            .AddSingleton<RulesHost>();
        if (options.RunTimers)
            services.AddHostedService(s => s.GetRequiredService<RulesHost>());
    }

    async Task OpenStoreAsync(CancellationToken cancellation)
    {
        try
        {
            var state = _app.Services.GetRequiredService<StateDatabase>();
            await state.ExpectAsync(_options.DataFolder, StateStages.HasHistory(_options.DataFolder), _options.AcceptState, cancellation);
            // A state beside which there is telemetry is complete. One that is there is changed by the process alone that has the store, unless
            // it is in PostgreSQL: a first start that may not make tables there must leave nothing that a second takes for history.
            var isFirst = state.IsNew || state.IsPostgreSql;
            if (isFirst)
                await ReadyAsync(state, cancellation);
            _app.Services.GetRequiredService<DuckDbStore>();
            if (!isFirst)
                await ReadyAsync(state, cancellation);
            await state.RememberInAsync(_options.DataFolder, cancellation);
            // Each stage makes its tables; on a full disk it is one of them that does not fit.
            _app.Services.GetRequiredService<Gateway>();
            _app.Services.GetRequiredService<RulesHost>();
            _app.Services.GetRequiredService<RemediationHost>();
            _app.Services.GetRequiredService<AlertingHost>();
            await RestoreMark.TakeInAsync(_options.DataFolder, _app.Services, _options.Time.GetUtcNow(), cancellation);
            _app.Services.GetRequiredService<DiskWatch>().Open();
        }
        catch (StateException e)
        {
            throw new StartException(e.Message);
        }
        catch (StoreException e)
        {
            throw new StartException(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DbException)
        {
            throw new StartException($"The data cannot be opened: {e.Message} Free space on that disk, let this user write there, or name another folder with --data.", e);
        }
    }

    async Task ReadyAsync(StateDatabase state, CancellationToken cancellation) =>
        await StateStages.ReadyAsync(state, _app.Services.GetRequiredService<HealthBoard>(), _options.Time, _app.Services.GetRequiredService<ILogger<StateDatabase>>(), cancellation);

    // Whoever tells ages by an answer needs the clock that its times are from.
    Task DateAsync(HttpContext context, RequestDelegate next)
    {
        context.Response.Headers.Date = _options.Time.GetUtcNow().ToString("R");
        return next(context);
    }

    void MapEndpoints()
    {
        _app.Use(DateAsync);
        _app.Use(StateStages.RefuseWithoutAsync);
        WhistleApi.Use(_app);
        OriginCheck.Use(_app, Authentication.CookieName(_access));
        RequestBodies.Use(_app, _bodies);
        Dashboard.Use(_app);
        _app.UseAuthentication();
        _app.UseAuthorization();
        Authentication.Use(_app, _access);
        HealthApi.Map(_app, _app.Services.GetRequiredService<HealthBoard>());
        _app.MapMetrics("/metrics", _app.Services.GetRequiredService<CollectorRegistry>());
        _app.Services.GetRequiredService<Gateway>().Map(_app);
        PrometheusApi.Map(_app, _app.Services.GetRequiredService<PromQLEngine>(), _app.Services.GetRequiredService<TelemetrySource>(), _options.Searches, Rules, _options.Time,
            new ByteBudget(_options.Memory.Queries, "The answers of queries in work"), () => _app.Services.GetRequiredService<ProcessWatch>().Shortage);
        SignalsApi.Map(_app, Rules, _options.Time);
        Repairs.Map(_app, _options.Time, _bodies);
        Enrolment.Map(_app, Credentials);
        _app.MapPost("/-/reload", ReloadAsync);
        BackupApi.Map(_app, _app.Services.GetRequiredService<BackupApi>());
        ApiDocument.Map(_app);
        Dashboard.Map(_app);
        Authentication.Map(_app, _access);
    }

    // Rules and runbooks apart: either may have errors, and then what was in force of its kind stays.
    async Task<IResult> ReloadAsync(CancellationToken cancellation)
    {
        var (rules, runbooks) = (await Rules.ReloadAsync(cancellation), Remediation.Reload());
        string[] errors = [.. rules.Errors.Select(e => e.ToString()), .. runbooks.Errors.Select(e => e.ToString())];
        return errors.Length == 0
            ? Results.Text($"{rules.Rules!.RuleCount} rules and {runbooks.Runbooks!.Runbooks.Count} runbooks are in force.\n")
            : Results.Text($"What was in force before stays, for there are errors:\n{string.Join('\n', errors)}\n", statusCode: StatusCodes.Status400BadRequest);
    }

    // The machine's own agent takes the same road as any other: a credential, the gateway, a buffer on disk.
    async Task RunAgentAsync()
    {
        var logger = _app.Services.GetRequiredService<ILogger<WhistleAgent>>();
        var folder = Path.Combine(_options.DataFolder, "agent");
        var tokenFile = Path.Combine(_options.DataFolder, ServerFolder.AgentToken);
        try
        {
            Directory.CreateDirectory(folder);
            await EnrolAgentAsync(new SecretFile(tokenFile, ServerFolder.AgentTokenForm), _stopping.Token);
            using var agent = new WhistleAgent(
                new AgentOptions
                {
                    Server = Address,
                    TokenFile = tokenFile,
                    Interval = _options.AgentInterval,
                    PolicyFile = _options.AgentPolicyFile,
                    ProtectedFolders = [_options.DataFolder],
                    Time = _options.Time,
                    Buffer = new BufferOptions { Folder = Path.Combine(folder, "buffer") },
                },
                logger);
            await agent.RunAsync(_stopping.Token);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            // The server has others to serve.
            logger.AgentFailed(e.Message);
            _app.Services.GetRequiredService<HealthBoard>().Report("agent", "", HealthState.Degraded, $"This machine is not watched: {e.Message} Restart the server once that is right.");
        }
    }

    async Task EnrolAgentAsync(SecretFile file, CancellationToken cancellation)
    {
        var token = await AgentTokenAsync(file, cancellation);
        // A revoked token stays as it is; one that the state never had is of a state that was lost.
        if (await Credentials.HasAsync(token, cancellation))
            return;
        Report("agent-token", $"The state does not know the token of this machine's agent. It is set aside as {file.SetAside(_options.Time)}, and the agent is enrolled again.");
        await AgentTokenAsync(file, cancellation);
    }

    // It is known before it is written: one that nobody has costs less than a file with one that the state never had.
    async Task<string> AgentTokenAsync(SecretFile file, CancellationToken cancellation)
    {
        var made = file.Fault() is null ? null : await Credentials.EnrollAsync(new("default", "local"), NodeName(), cancellation);
        return file.ReadOrMake(
            () => made ?? throw new IOException("The agent's token changed while it was read. Start the server again."), _options.Time,
            what => Report("agent-token", what));
    }

    static T Secret<T>(Func<T> get)
    {
        try
        {
            return get();
        }
        catch (SecretException e)
        {
            throw new StartException(e.Message, e);
        }
    }

    // The state's file lets one process in, and it is opened first; a database may be shared with a server of another data folder.
    static string OwnerName(WhistleOptions options, Action<string> say) => options.UsesPostgreSql
        ? new SecretFile(Path.Combine(options.DataFolder, ServerFolder.Owner), ServerFolder.OwnerForm).ReadOrMake(() => Guid.NewGuid().ToString("N"), options.Time, say)
        : "embedded";

    void Say(string? closed, IEnumerable<string> setAside)
    {
        if (closed is not null)
            _app.Services.GetRequiredService<ILogger<WhistleApp>>().FilesClosed(closed);
        foreach (var what in setAside)
            Report("secrets", what);
    }

    // It stays on the board until the server is started again, so that somebody sees it.
    void Report(string subject, string what)
    {
        _app.Services.GetRequiredService<ILogger<WhistleApp>>().SecretSetAside(what);
        _app.Services.GetRequiredService<HealthBoard>().Report("data-folder", subject, HealthState.Degraded, what);
    }

    static string NodeName() =>
        string.Concat(Environment.MachineName.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '-')).Trim('-', '.');
}
