using Whistle.Data;
using Whistle.Detectors;
using Whistle.Incidents;
using Whistle.Ingest;
using Whistle.Remediation;

namespace Whistle.Hosting;

/// <summary>What each stage takes of the server's options.</summary>
static class StageOptions
{
    public static IngestStageOptions ForIngest(this WhistleOptions options) => new()
    {
        Store = new(Path.Combine(options.DataFolder, ServerFolder.Telemetry), options.Retention, options.StoreMemory),
        SeriesLimits = new(
            options.MaxSeriesPerTenant, options.MaxNewSeriesPerHour, options.MaxStoredSeriesPerTenant, options.Memory.SeriesLabels),
        Log = options.Log,
        Gateway = options.Gateway,
        Kafka = options.Kafka,
        Influx = options.InfluxDb,
        IsGateway = options.Has(ServerRoles.Gateway),
        IsDetect = options.Has(ServerRoles.Detect),
        Disk = options.Disk,
        // A state in PostgreSQL may be older than this folder.
        IsBesideState = !options.UsesPostgreSql,
        RunTimers = options.RunTimers,
    };

    public static DetectorsStageOptions ForDetectors(this WhistleOptions options) => new()
    {
        RuleFiles = options.Rules,
        Queries = options.Queries,
        Searches = options.Searches,
        IsAlone = options.Kafka.Brokers is null,
        IsDetect = options.Has(ServerRoles.Detect),
        RunTimers = options.RunTimers,
    };

    public static IncidentsStageOptions ForIncidents(this WhistleOptions options) =>
        new() { Incidents = options.Incidents, RunTimers = options.RunTimers && options.Has(ServerRoles.Remediate) };

    /// <param name="owner">A name of this server's own, for the runs that it works on.</param>
    public static RemediationStageOptions ForRemediation(this WhistleOptions options, string owner) =>
        new()
        {
            RunbookFiles = options.Runbooks,
            Brakes = options.Brakes,
            Owner = owner,
            DrivesRuns = options.Has(ServerRoles.Remediate),
            RunTimers = options.RunTimers && (options.Has(ServerRoles.Remediate) || options.Has(ServerRoles.Gateway)),
        };

    public static bool Has(this WhistleOptions options, ServerRoles role) => options.Roles.HasFlag(role);
}
