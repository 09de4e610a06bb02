using System.Data.Common;
using System.Net;
using System.Text;

using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Agent.Settings;
using Whistle.Alerting.Configuration;
using Whistle.Alerting;
using Whistle.Data;
using Whistle.Detectors.Http;
using Whistle.Incidents;
using Whistle.Ingest.Gateways;
using Whistle.Ingest.Influx;
using Whistle.Ingest.Kafka;
using Whistle.Ingest.Logs;
using Whistle.Ingest;
using Whistle.Inventory;
using Whistle.Inventory.People;
using Whistle.Oidc;
using Whistle.PromQL;
using Whistle.Remediation.Control;
using Whistle.State.Memory;
using Whistle.State;
using Whistle.Tls;

namespace Whistle;

/// <summary>All that decides how a server runs. Every member has a default that suits one machine.</summary>
sealed record WhistleOptions
{
    public string DataFolder { get; init; } = DefaultDataFolder;

    /// <summary>What this process does; others on the same log, store and database do the rest.</summary>
    public ServerRoles Roles { get; init; } = ServerRoles.All;

    /// <summary>The log between gateway and detectors, where it is not embedded.</summary>
    public KafkaOptions Kafka { get; init; } = new();

    /// <summary>Where telemetry is kept, where that is not the embedded store.</summary>
    public InfluxOptions? InfluxDb { get; init; }

    /// <summary>The files that hold InfluxDB's tokens, by the keys that name them.</summary>
    public IReadOnlyDictionary<string, string> InfluxTokenFiles { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// The connection string of a PostgreSQL database for the state, a secret; <see cref="DatabaseFile"/> takes its place where both are
    /// given. Without either, the state is a file in the data folder.
    /// </summary>
    public string? Database { get; init; }

    public string? DatabaseFile { get; init; }

    /// <summary>
    /// Starts also where the state is missing, older than it was, or another's; then the kill switch is on. Only for the command line.
    /// </summary>
    public bool AcceptState { get; init; }

    /// <summary>Where the server listens, for everybody: http on the loopback, https anywhere.</summary>
    public IReadOnlyList<Uri> Listen { get; init; } = [UsualAddress];

    /// <summary>Addresses that serve agents and collectors alone.</summary>
    public IReadOnlyList<Uri> ListenForAgents { get; init; } = [];

    /// <summary>Addresses that serve the dashboard and the API alone.</summary>
    public IReadOnlyList<Uri> ListenForPeople { get; init; } = [];

    /// <summary>Names that people and agents know the server by, beside those that the machine itself knows.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Addresses or networks of reverse proxies, who are believed when they say whom they speak for.</summary>
    public IReadOnlyList<string> Proxies { get; init; } = [];

    public TlsOptions Tls { get; init; } = new();

    /// <summary>How much may go wrong at a log-in with an account here.</summary>
    public LogInOptions LogIn { get; init; } = new();

    /// <summary>Log-in at a provider of one's own, beside accounts here.</summary>
    public OidcOptions Oidc { get; init; } = new();

    /// <summary>Folders or files of rules; the shipped ones where none is given.</summary>
    public IReadOnlyList<string> Rules { get; init; } = [Path.Combine(AppContext.BaseDirectory, "rules")];

    /// <summary>Folders or files of runbooks; the shipped ones where none is given.</summary>
    public IReadOnlyList<string> Runbooks { get; init; } = [Path.Combine(AppContext.BaseDirectory, "runbooks")];

    public IncidentOptions Incidents { get; init; } = new();

    public AlertingOptions Alerting { get; init; } = new();

    /// <summary>How long what people set may last.</summary>
    public BrakeLimits Brakes { get; init; } = new();

    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(15);

    /// <summary>What the store may hold in memory, as DuckDB writes it.</summary>
    public string StoreMemory { get; init; } = "128MB";

    /// <summary>Series that one tenant may have at a time.</summary>
    public int MaxSeriesPerTenant { get; init; } = 1_000_000;

    /// <summary>New series that one tenant may bring within an hour; null for twice as many as it may have at a time.</summary>
    public int? MaxNewSeriesPerHour { get; init; }

    /// <summary>Series that one tenant may have in the store; null for five times as many as it may have at a time.</summary>
    public int? MaxStoredSeriesPerTenant { get; init; }

    /// <summary>How senders are let in.</summary>
    public EnrolmentOptions Enrolment { get; init; } = new();

    /// <summary>Whether the server watches the machine it runs on.</summary>
    public bool Agent { get; init; } = true;

    public TimeSpan AgentInterval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// What actions may change on this machine. Read again for each command; if it does not exist, nothing may be changed.
    /// </summary>
    public string AgentPolicyFile { get; init; } = NodePolicy.DefaultFile;

    public PromQLOptions Queries { get; init; } = new();

    public SearchOptions Searches { get; init; } = new();

    /// <summary>How the server shares its disk with others.</summary>
    public DiskOptions Disk { get; init; } = new();

    /// <summary>What it may hold in memory for work that others ask of it.</summary>
    public MemoryOptions Memory { get; init; } = new();

    /// <summary>Backups that the server makes by itself.</summary>
    public BackupOptions Backup { get; init; } = new();

    public TelemetryLogOptions Log { get; init; } = new();

    public GatewayOptions Gateway { get; init; } = new();

    /// <summary>What is less than this stays out of the log on the console.</summary>
    public LogLevel LeastLogged { get; init; } = LogLevel.Information;

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// False in tests that step the engine by hand on a clock of their own: then nothing runs by a timer.
    /// </summary>
    public bool RunTimers { get; init; } = true;

    public static readonly Uri UsualAddress = new("http://127.0.0.1:9480");

    /// <summary>Where this machine itself reaches the server.</summary>
    internal Uri Local => LocalOf(Listen);

    internal static Uri LocalOf(IEnumerable<Uri> addresses) => addresses.FirstOrDefault(a => a.Scheme == Uri.UriSchemeHttp)
        ?? addresses.Select(a => a.Host is "0.0.0.0" or "[::]" ? new UriBuilder(a) { Host = "localhost" }.Uri : a).First();

    /// <summary>Where agents reach it: on other machines, or on this one alone where they cannot.</summary>
    /// <param name="bound">
    /// As <see cref="Listen"/>, <see cref="ListenForAgents"/> and <see cref="ListenForPeople"/> have them, with real ports.
    /// </param>
    internal (Uri Address, bool OnlyHere) ForAgents(IReadOnlyList<Uri> bound)
    {
        List<Uri> addresses = [.. bound.Skip(Listen.Count).Take(ListenForAgents.Count), .. bound.Take(Listen.Count)];
        if (addresses.Find(a => a.Scheme == Uri.UriSchemeHttps && !IsLoopback(a)) is { } address)
            return (new UriBuilder(address) { Host = HostOf(address) }.Uri, false);
        // One that proves itself comes first.
        return (addresses.Find(a => a.Scheme == Uri.UriSchemeHttps) ?? addresses[0], true);
    }

    string HostOf(Uri address) => Names.Count > 0 ? Names[0]
        : address.Host is "0.0.0.0" or "[::]" ? Environment.MachineName.ToLowerInvariant() : address.Host;

    internal bool UsesTls => Listen.Concat(ListenForAgents).Concat(ListenForPeople).Any(a => a.Scheme == Uri.UriSchemeHttps);

    internal bool UsesPostgreSql => Database is not null || DatabaseFile is not null;

    /// <param name="verify">Whether all of a state file is checked.</param>
    /// <exception cref="StartException">The database cannot be used.</exception>
    internal StateDatabase OpenState(bool verify = true)
    {
        try
        {
            if (!UsesPostgreSql)
            {
                if (File.Exists(Path.Combine(DataFolder, ServerFolder.StateMoved)))
                    throw new StartException(
                        $"The state of {DataFolder} was copied to PostgreSQL with `whistle state copy`, and {ServerFolder.State} there is "
                        + $"out of date. Name the database with {nameof(DatabaseFile)} (docs/state.md, Move to PostgreSQL).");
                var opening = new StateOpening { HasHistory = StateStages.HasHistory(DataFolder), Accept = AcceptState, Verify = verify };
                return new StateDatabase(Path.Combine(DataFolder, ServerFolder.State), opening);
            }

            return StateDatabase.PostgreSql(ConnectionString!);
        }
        catch (StateException e) when (!UsesPostgreSql)
        {
            throw new StartException(e.Message);
        }
        catch (Exception e) when (e is DbException or IOException or UnauthorizedAccessException)
        {
            throw new StartException($"The database cannot be used: {e.Message} The database and its user must exist, "
                + "and the user be allowed to make tables there.");
        }
        catch (ArgumentException)
        {
            // What it says may be a part of the secret.
            throw new StartException($"The connection string of the database cannot be read. {LikeThis}");
        }
    }

    /// <summary>Of the state, a secret; null where it is a file.</summary>
    internal string? ConnectionString => DatabaseFile is { } file ? SecretOf(file).Read() : Database;

    // A record would print the connection string.
    public override string ToString() => nameof(WhistleOptions);

    const string LikeThis = "Write it like Host=db.example.com;Database=whistle;Username=whistle;Password=… .";

    static SecretFile SecretOf(string file) => new(file, SecretForm.Line("the connection string"));

    // Only named here: a user without a home can still use --data.
    static string DefaultDataFolder =>
        Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify),
            "whistle");

    /// <summary>Every reason why a server cannot run so, in words that say how to fix it.</summary>
    public IReadOnlyList<OptionError> Errors()
    {
        var errors = new List<OptionError>();
        errors.AddRange(ListenErrors());
        errors.AddRange(RoleErrors());
        errors.AddRange(Tls.Errors());
        errors.AddRange(LogInErrors());
        errors.AddRange(Oidc.Errors());
        if (DatabaseFile is not null && SecretOf(DatabaseFile).Fault() is { } unread)
            errors.Add(new(nameof(DatabaseFile), unread));
        if (DatabaseFile is null && Database is not null && !StateDatabase.IsConnectionString(Database))
            errors.Add(new(nameof(Database), $"it is not a connection string. {LikeThis}"));
        if (Retention < TimeSpan.FromDays(1))
            errors.Add(
                new(nameof(Retention), $"{Retention} is less than a day, which late samples and forecasts need. Write it like 15d."));
        if (AgentInterval < AgentOptions.ShortestInterval || AgentInterval > AgentOptions.LongestInterval)
            errors.Add(new(nameof(AgentInterval), $"{AgentInterval.TotalSeconds} seconds are not between "
                + $"{AgentOptions.ShortestInterval.TotalSeconds} and {AgentOptions.LongestInterval.TotalSeconds}. Write it like 15s."));
        if (AgentPolicyFile != NodePolicy.DefaultFile && !File.Exists(AgentPolicyFile))
            errors.Add(new(nameof(AgentPolicyFile), $"the file {AgentPolicyFile} does not exist. "
                + $"Write the policy as root, or leave the key out: then {NodePolicy.DefaultFile} counts, "
                + "and without it nothing may be changed."));
        if (MaxSeriesPerTenant < 1)
            errors.Add(new(nameof(MaxSeriesPerTenant), $"{MaxSeriesPerTenant} is less than 1. Write it like 1000000."));
        if (MaxNewSeriesPerHour < 1)
            errors.Add(new(nameof(MaxNewSeriesPerHour), $"{MaxNewSeriesPerHour} is less than 1. "
                + $"Write it like 2000000, or leave the key out for twice {nameof(MaxSeriesPerTenant)}."));
        if (MaxStoredSeriesPerTenant < MaxSeriesPerTenant)
            errors.Add(new(nameof(MaxStoredSeriesPerTenant), $"{MaxStoredSeriesPerTenant} is less than {nameof(MaxSeriesPerTenant)}, "
                + $"which is {MaxSeriesPerTenant}. Write it like 5000000, or leave the key out for five times as many."));
        if (Enrolment.MaxClustersPerTenant is < 1 and var clusters)
            errors.Add(new(nameof(Enrolment.MaxClustersPerTenant), $"{clusters} is less than 1. Write it like 1000."));
        if (Enrolment.CredentialLife < EnrolmentOptions.ShortestLife || Enrolment.CredentialLife > EnrolmentOptions.LongestLife)
            errors.Add(new($"{nameof(Enrolment)}:{nameof(Enrolment.CredentialLife)}",
                $"{Enrolment.CredentialLife} is not between a day and ten years. Write it like 90d."));
        if (Searches.MaxSeries < 1)
            errors.Add(new("Queries:MaxSeriesInAnswer", $"{Searches.MaxSeries} is less than 1. Write it like 100000."));
        if (Searches.MaxTexts < 1)
            errors.Add(new("Queries:MaxTextsInAnswer", $"{Searches.MaxTexts} is less than 1. Write it like 500000."));
        errors.AddRange(Rules.Where(Misses).Select(
            p => new OptionError(nameof(Rules), $"{p} is neither a folder nor a file. Make it, or name another.")));
        errors.AddRange(Runbooks.Where(Misses).Select(
            p => new OptionError(nameof(Runbooks), $"{p} is neither a folder nor a file. Make it, or name another.")));
        errors.AddRange(IncidentErrors());
        errors.AddRange(BrakeErrors());
        errors.AddRange(ResourceErrors());
        errors.AddRange(Backup.Errors());
        errors.AddRange(Alerting.Errors());
        return errors;
    }

    IEnumerable<OptionError> RoleErrors()
    {
        if (Roles == ServerRoles.None)
            yield return new(nameof(Roles), "it is empty. Write it like gateway,web, or leave the key out for all.");
        if (Roles != ServerRoles.All && !UsesPostgreSql)
            yield return new(
                nameof(Roles), $"processes that share the work share their state in PostgreSQL, and neither {nameof(Database)} nor "
                + $"{nameof(DatabaseFile)} is set. Set one of them, or leave {nameof(Roles)} out.");
        if (Roles != ServerRoles.All && Kafka.Brokers is null)
            yield return new(
                nameof(Roles), $"processes that share the work read telemetry from Kafka, and {nameof(Kafka)}:{nameof(Kafka.Brokers)} is "
                + $"not set. Set it, or leave {nameof(Roles)} out.");
        if (Kafka.Brokers is not null && !UsesPostgreSql)
            yield return new(
                $"{nameof(Kafka)}:{nameof(Kafka.Brokers)}", "with Kafka the state is in PostgreSQL, and neither "
                + $"{nameof(Database)} nor {nameof(DatabaseFile)} is set. Set one of them.");
        if (Roles != ServerRoles.All && InfluxDb is null)
            yield return new(
                nameof(Roles), $"processes that share the work read telemetry from InfluxDB, and {nameof(InfluxDb)}:Url is not set. Set "
                + $"it, or leave {nameof(Roles)} out.");
        foreach (var error in Kafka.Errors())
            yield return new($"{nameof(Kafka)}:{error.Name}", error.Reason);
        foreach (var error in InfluxDb?.Errors() ?? [])
            yield return new(nameof(InfluxDb), error);
        List<OptionError> unread =
        [
            .. Kafka.ClientFiles.Select(f => (Key: $"{nameof(Kafka)}:{nameof(Kafka.ClientFiles)}:{f.Key}", File: f.Value))
                .Concat(InfluxTokenFiles.Select(f => (Key: f.Key, File: f.Value)))
                .Select(f => (f.Key, Fault: new SecretFile(f.File, SecretForm.Line("the secret")).Fault()))
                .Where(f => f.Fault is not null).Select(f => new OptionError(f.Key, f.Fault!)),
        ];
        foreach (var error in unread)
            yield return error;
        if (Kafka.Brokers is not null && unread.Count == 0 && Kafka.ClientFault() is { } fault)
            yield return new($"{nameof(Kafka)}:{nameof(Kafka.Client)}", fault);
    }

    IEnumerable<OptionError> ListenErrors()
    {
        if (Listen.Count == 0)
            yield return new(nameof(Listen), $"it is empty. Name an address, like {UsualAddress}.");
        var taken = new HashSet<string>();
        foreach (var (key, address) in Listen.Select(a => (nameof(Listen), a))
            .Concat(ListenForAgents.Select(a => (nameof(ListenForAgents), a)))
            .Concat(ListenForPeople.Select(a => (nameof(ListenForPeople), a))))
        {
            if (address is { Host: "localhost", Port: 0 })
                yield return new(key, $"{address.OriginalString} has no port, which a name needs. Write it like {UsualAddress}.");
            else if (Fault(address) is { } reason)
                yield return new(key, $"{address.OriginalString} {reason}");
            else if (address.Port != 0 && !taken.Add(address.Authority))
                yield return new(key, $"{address.OriginalString} is named twice. Take one away.");
        }

        // A browser and a certificate have others than ASCII's in another form (xn--…).
        var odd = Names.Where(n => !Ascii.IsValid(n) || Uri.CheckHostName(n) is UriHostNameType.Unknown or UriHostNameType.Basic);
        foreach (var name in odd)
        {
            yield return new(
                nameof(Names),
                $"\"{name}\" is not the name of a host. Write it like whistle.example.com, and letters beyond ASCII as xn--….");
        }

        foreach (var proxy in Proxies.Where(p => !IPAddress.TryParse(p, out _) && !IPNetwork.TryParse(p, out _)))
            yield return new(nameof(Proxies), $"\"{proxy}\" is neither an address nor a network. Write it like 10.0.0.7 or 10.0.0.0/24.");
    }

    static string? Fault(Uri address) =>
        address.Host != "localhost" && !IPAddress.TryParse(address.Host.Trim('[', ']'), out _)
            ? "names no address of this machine. Write it in digits, like https://0.0.0.0:9443; the name belongs into Names."
        : address.PathAndQuery != "/" || address.Fragment.Length > 0 ? "has a path. Write the address alone, like https://0.0.0.0:9443."
        : address.Scheme == Uri.UriSchemeHttp && !IsLoopback(address)
            ? "would show tokens and telemetry to the network. Write it with https, or listen on 127.0.0.1 and put a proxy in front."
        : null;

    IEnumerable<OptionError> IncidentErrors()
    {
        if (Incidents.ClearFor < TimeSpan.Zero)
            yield return new(
                $"{nameof(Incidents)}:{nameof(Incidents.ClearFor)}", $"{Incidents.ClearFor} cannot be negative. Write it like 5m.");
        if (Incidents.ReopenWithin < TimeSpan.Zero)
            yield return new(
                $"{nameof(Incidents)}:{nameof(Incidents.ReopenWithin)}", $"{Incidents.ReopenWithin} cannot be negative. Write it like 1h.");
    }

    IEnumerable<OptionError> BrakeErrors() =>
        from limit in new (string Name, TimeSpan Value)[]
        {
            (nameof(Brakes.LongestApproval), Brakes.LongestApproval), (nameof(Brakes.LongestPause), Brakes.LongestPause),
            (nameof(Brakes.LongestFreeze), Brakes.LongestFreeze), (nameof(Brakes.LongestAcknowledgement), Brakes.LongestAcknowledgement),
        }
        where limit.Value < BrakeLimits.Shortest || limit.Value > BrakeLimits.Longest
        select new OptionError(
            $"{nameof(Brakes)}:{limit.Name}", $"{limit.Value} is not between a minute and ten years. Write it like 24h.");

    IEnumerable<OptionError> LogInErrors()
    {
        foreach (var (name, value, least, most) in new (string, int, int, int)[]
        {
            (nameof(LogIn.WrongBeforeLock), LogIn.WrongBeforeLock, 3, 100),
            (nameof(LogIn.FailuresFromAddress), LogIn.FailuresFromAddress, 3, 10_000),
            (nameof(LogIn.HashesAtOnce), LogIn.HashesAtOnce, 1, 64), (nameof(LogIn.HashesWaiting), LogIn.HashesWaiting, 0, 1_000),
        })
        {
            if (value < least || value > most)
                yield return new($"{nameof(LogIn)}:{name}", $"{value} is not between {least} and {most}. Write it like {least}.");
        }

        foreach (var (name, value) in new (string, TimeSpan)[]
        {
            (nameof(LogIn.LockedFor), LogIn.LockedFor), (nameof(LogIn.FailureWindow), LogIn.FailureWindow),
        })
        {
            if (value < TimeSpan.FromMinutes(1) || value > TimeSpan.FromDays(1))
                yield return new($"{nameof(LogIn)}:{name}", $"{value} is not between a minute and a day. Write it like 15m.");
        }
    }

    IEnumerable<OptionError> ResourceErrors()
    {
        if (Disk.StateReserve < 1 << 20)
            yield return new(
                $"{nameof(Disk)}:{nameof(Disk.StateReserve)}",
                $"{Disk.StateReserve} bytes are less than 1MiB, which a few incidents need. Write it like 16MiB.");
        if (Disk.MinFree < 0)
            yield return new($"{nameof(Disk)}:{nameof(Disk.MinFree)}", $"{Disk.MinFree} cannot be negative. Write it like 512MiB.");
        if (Disk.KeepAtLeast < TimeSpan.FromDays(1))
            yield return new(
                $"{nameof(Disk)}:{nameof(Disk.KeepAtLeast)}",
                $"{Disk.KeepAtLeast} is less than a day, which late samples and forecasts need. Write it like 1d.");
        (string Name, long Bytes)[] shares =
        [
            (nameof(Memory.WriteBodies), Memory.WriteBodies), (nameof(Memory.PendingSamples), Memory.PendingSamples),
            (nameof(Memory.OtherBodies), Memory.OtherBodies), (nameof(Memory.Queries), Memory.Queries),
            (nameof(Memory.SeriesLabels), Memory.SeriesLabels),
        ];
        foreach (var (name, bytes) in shares.Where(s => s.Bytes < 1 << 20))
            yield return new(
                $"{nameof(Memory)}:{name}", $"{bytes} bytes are less than 1MiB: nothing would be accepted. Write it like 256MiB.");
    }

    static bool Misses(string path) => !Directory.Exists(path) && !File.Exists(path);

    static bool IsLoopback(Uri address) =>
        address.Host == "localhost" || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));
}
