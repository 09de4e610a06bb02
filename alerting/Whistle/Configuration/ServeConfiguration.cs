using Whistle.Actions.Files;
using Whistle.Alerting;
using Whistle.Alerting.Configuration;
using Whistle.Data;
using Whistle.Detectors.Http;
using Whistle.Incidents;
using Whistle.Ingest;
using Whistle.Ingest.Kafka;
using Whistle.Inventory;
using Whistle.Inventory.People;
using Whistle.Oidc;
using Whistle.Remediation.Control;
using Whistle.State.Memory;
using Whistle.Tls;

namespace Whistle.Configuration;

/// <summary>
/// What a server is to run with, from its file, the environment and the command line: each counts more than the one before.
/// </summary>
/// <param name="File">The file that was read; null where there is none.</param>
/// <param name="Errors">All that is wrong, each with where it stands and how to fix it; the options are of use only without any.</param>
sealed record ServeConfiguration(WhistleOptions Options, string? File, IReadOnlyList<string> Errors)
{
    public const string DefaultFileName = "appsettings.json";

    static readonly WhistleOptions Defaults = new();

    /// <param name="file">The file that the command line names; null for the usual one in the data folder, where it exists.</param>
    public static ServeConfiguration Load(string? file, IReadOnlyDictionary<string, string> environment, SettingsLayer commandLine)
    {
        var errors = new List<string>();
        var variables = EnvironmentSettings.Read(environment, errors.Add);
        var folder = new Settings([variables, commandLine], []).Section("").Path(nameof(WhistleOptions.DataFolder)) ?? Defaults.DataFolder;
        var usual = Path.Combine(folder, DefaultFileName);
        var path = file is not null ? Path.GetFullPath(file) : Path.Exists(usual) ? usual : null;
        if (file is null && path is not null && !IsPlainFile(path))
        {
            errors.Add(
                $"{path}: is not a plain file, so the settings cannot be read. Take it away, or put a file of settings in its place.");
            return new(Defaults, path, errors);
        }

        // Half a file would only lead to errors that are none.
        if ((path is null ? [] : SettingsFile.Read(path, errors.Add)) is not { } inFile)
            return new(Defaults, path, errors);
        if (file is null && inFile.Remove(nameof(WhistleOptions.DataFolder), out var moved))
            errors.Add($"{moved.Origin}: a file in the data folder cannot name the data folder. "
                + "Use --data or WHISTLE_DATA, or keep the file elsewhere and name it with --config.");
        var settings = new Settings([inFile, variables, commandLine], errors);
        var options = Read(settings.Section(""));
        foreach (var error in options.Errors())
            settings.Fail(error);
        settings.FailUnknown();
        return new(options, path, errors);
    }

    static bool IsPlainFile(string path) =>
        !Directory.Exists(path) && (!Native.IsKnown || Native.StatFollowing(path, out var stat) != 0 || stat.IsFile);

    static WhistleOptions Read(SettingsSection top) => WithInflux(top, WithDatabase(top, Defaults with
    {
        DataFolder = top.Path(nameof(WhistleOptions.DataFolder)) ?? Defaults.DataFolder,
        Listen = top.Addresses(nameof(WhistleOptions.Listen)) ?? Defaults.Listen,
        ListenForAgents = top.Addresses(nameof(WhistleOptions.ListenForAgents)) ?? Defaults.ListenForAgents,
        ListenForPeople = top.Addresses(nameof(WhistleOptions.ListenForPeople)) ?? Defaults.ListenForPeople,
        Names = top.Texts(nameof(WhistleOptions.Names)) ?? Defaults.Names,
        Proxies = top.Texts(nameof(WhistleOptions.Proxies)) ?? Defaults.Proxies,
        Tls = TlsOptions.Read(top.Section(nameof(WhistleOptions.Tls))),
        LogIn = ReadLogIn(top.Section(nameof(WhistleOptions.LogIn)), Defaults.LogIn),
        Oidc = OidcOptions.Read(top.Section(nameof(WhistleOptions.Oidc))),
        Rules = top.Paths(nameof(WhistleOptions.Rules)) ?? Defaults.Rules,
        Runbooks = top.Paths(nameof(WhistleOptions.Runbooks)) ?? Defaults.Runbooks,
        Retention = top.Duration(nameof(WhistleOptions.Retention)) ?? Defaults.Retention,
        MaxSeriesPerTenant = top.Number(nameof(WhistleOptions.MaxSeriesPerTenant)) ?? Defaults.MaxSeriesPerTenant,
        MaxNewSeriesPerHour = top.Number(nameof(WhistleOptions.MaxNewSeriesPerHour)),
        MaxStoredSeriesPerTenant = top.Number(nameof(WhistleOptions.MaxStoredSeriesPerTenant)),
        Roles = top.Flags<ServerRoles>(nameof(WhistleOptions.Roles)) ?? Defaults.Roles,
        Kafka = ReadKafka(top.Section(nameof(WhistleOptions.Kafka)), Defaults.Kafka),
        Enrolment = new()
        {
            CredentialLife = top.Section(nameof(WhistleOptions.Enrolment)).Duration(nameof(EnrolmentOptions.CredentialLife))
                ?? Defaults.Enrolment.CredentialLife,
            MaxClustersPerTenant = top.Number(nameof(EnrolmentOptions.MaxClustersPerTenant)) ?? Defaults.Enrolment.MaxClustersPerTenant,
            Known = top.Section("Tenants").Choice<KnownTenants>(nameof(EnrolmentOptions.Known)) ?? Defaults.Enrolment.Known,
        },
        Searches = ReadSearches(top.Section(nameof(WhistleOptions.Queries)), Defaults.Searches),
        Agent = top.Truth(nameof(WhistleOptions.Agent)) ?? Defaults.Agent,
        AgentInterval = top.Duration(nameof(WhistleOptions.AgentInterval)) ?? Defaults.AgentInterval,
        AgentPolicyFile = top.Path(nameof(WhistleOptions.AgentPolicyFile)) ?? Defaults.AgentPolicyFile,
        Disk = ReadDisk(top.Section(nameof(WhistleOptions.Disk)), Defaults.Disk),
        Backup = BackupOptions.Read(top.Section(nameof(WhistleOptions.Backup))),
        Memory = ReadMemory(top.Section(nameof(WhistleOptions.Memory)), Defaults.Memory),
        Incidents = ReadIncidents(top.Section(nameof(WhistleOptions.Incidents)), Defaults.Incidents),
        Brakes = ReadBrakes(top.Section(nameof(WhistleOptions.Brakes)), Defaults.Brakes),
        Alerting = AlertingOptions.Read(top.Section(nameof(WhistleOptions.Alerting))),
    }));

    static WhistleOptions WithDatabase(SettingsSection top, WhistleOptions options)
    {
        var (database, file) = top.Secret(nameof(WhistleOptions.Database), nameof(WhistleOptions.DatabaseFile));
        return options with { Database = database, DatabaseFile = file };
    }

    static KafkaOptions ReadKafka(SettingsSection section, KafkaOptions defaults) => new()
    {
        Brokers = section.Text(nameof(KafkaOptions.Brokers)),
        Topic = section.Text(nameof(KafkaOptions.Topic)) ?? defaults.Topic,
        DeadLetterTopic = section.Text(nameof(KafkaOptions.DeadLetterTopic)) ?? defaults.DeadLetterTopic,
        Group = section.Text(nameof(KafkaOptions.Group)) ?? defaults.Group,
        MaxMessageBytes = section.Number(nameof(KafkaOptions.MaxMessageBytes)) ?? defaults.MaxMessageBytes,
        DeliveryTimeout = section.Duration(nameof(KafkaOptions.DeliveryTimeout)) ?? defaults.DeliveryTimeout,
        SessionTimeout = section.Duration(nameof(KafkaOptions.SessionTimeout)) ?? defaults.SessionTimeout,
        Client = section.Free(nameof(KafkaOptions.Client)),
        ClientFiles = section.FreePaths(nameof(KafkaOptions.ClientFiles)),
        ReadSecret = file => new SecretFile(file, SecretForm.Line("the secret")).Read(),
    };

    static WhistleOptions WithInflux(SettingsSection top, WhistleOptions options)
    {
        var (influx, files) = InfluxSettings.Read(top.Section(nameof(WhistleOptions.InfluxDb)), options.Retention);
        return options with { InfluxDb = influx, InfluxTokenFiles = files };
    }

    static SearchOptions ReadSearches(SettingsSection section, SearchOptions defaults) => defaults with
    {
        MaxSeries = section.Number("MaxSeriesInAnswer") ?? defaults.MaxSeries,
        MaxTexts = section.Number("MaxTextsInAnswer") ?? defaults.MaxTexts,
    };

    static LogInOptions ReadLogIn(SettingsSection section, LogInOptions defaults) => new()
    {
        RequireSecondFactor = section.Truth(nameof(LogInOptions.RequireSecondFactor)) ?? defaults.RequireSecondFactor,
        WrongBeforeLock = section.Number(nameof(LogInOptions.WrongBeforeLock)) ?? defaults.WrongBeforeLock,
        LockedFor = section.Duration(nameof(LogInOptions.LockedFor)) ?? defaults.LockedFor,
        FailuresFromAddress = section.Number(nameof(LogInOptions.FailuresFromAddress)) ?? defaults.FailuresFromAddress,
        FailureWindow = section.Duration(nameof(LogInOptions.FailureWindow)) ?? defaults.FailureWindow,
        HashesAtOnce = section.Number(nameof(LogInOptions.HashesAtOnce)) ?? defaults.HashesAtOnce,
        HashesWaiting = section.Number(nameof(LogInOptions.HashesWaiting)) ?? defaults.HashesWaiting,
    };

    static DiskOptions ReadDisk(SettingsSection section, DiskOptions defaults) => new()
    {
        MinFree = section.Size(nameof(DiskOptions.MinFree)) ?? defaults.MinFree,
        StateReserve = section.Size(nameof(DiskOptions.StateReserve)) ?? defaults.StateReserve,
        DropOldest = section.Truth(nameof(DiskOptions.DropOldest)) ?? defaults.DropOldest,
        KeepAtLeast = section.Duration(nameof(DiskOptions.KeepAtLeast)) ?? defaults.KeepAtLeast,
    };

    static MemoryOptions ReadMemory(SettingsSection section, MemoryOptions defaults) => new()
    {
        WriteBodies = section.Size(nameof(MemoryOptions.WriteBodies)) ?? defaults.WriteBodies,
        PendingSamples = section.Size(nameof(MemoryOptions.PendingSamples)) ?? defaults.PendingSamples,
        OtherBodies = section.Size(nameof(MemoryOptions.OtherBodies)) ?? defaults.OtherBodies,
        Queries = section.Size(nameof(MemoryOptions.Queries)) ?? defaults.Queries,
        SeriesLabels = section.Size(nameof(MemoryOptions.SeriesLabels)) ?? defaults.SeriesLabels,
    };

    static IncidentOptions ReadIncidents(SettingsSection section, IncidentOptions defaults) => new()
    {
        ClearFor = section.Duration(nameof(IncidentOptions.ClearFor)) ?? defaults.ClearFor,
        ReopenWithin = section.Duration(nameof(IncidentOptions.ReopenWithin)) ?? defaults.ReopenWithin,
    };

    static BrakeLimits ReadBrakes(SettingsSection section, BrakeLimits defaults) => new()
    {
        LongestApproval = section.Duration(nameof(BrakeLimits.LongestApproval)) ?? defaults.LongestApproval,
        LongestPause = section.Duration(nameof(BrakeLimits.LongestPause)) ?? defaults.LongestPause,
        LongestFreeze = section.Duration(nameof(BrakeLimits.LongestFreeze)) ?? defaults.LongestFreeze,
        LongestAcknowledgement = section.Duration(nameof(BrakeLimits.LongestAcknowledgement)) ?? defaults.LongestAcknowledgement,
    };
}
