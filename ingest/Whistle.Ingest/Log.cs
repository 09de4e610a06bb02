using Microsoft.Extensions.Logging;

namespace Whistle.Ingest;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "A batch of {Samples} samples was not stored; senders are told to try again. {Reason}")]
    public static partial void BatchFailed(this ILogger logger, int samples, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The store takes samples again.")]
    public static partial void StoreRecovered(this ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Maintenance of the store did not finish and is tried again: {Reason}")]
    public static partial void MaintenanceFailed(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Head filled from the store: {Series} series, {Samples} samples.")]
    public static partial void HeadFilled(this ILogger logger, int series, long samples);

    [LoggerMessage(Level = LogLevel.Information, Message = "Remote write from {Tenant}/{Cluster}/{Node} refused: {Reason}")]
    public static partial void WriteRefused(this ILogger logger, string tenant, string cluster, string? node, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The telemetry log stopped unexpectedly.")]
    public static partial void LogStopped(this ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The state cannot be used; what needs it is tried again. {Reason}")]
    public static partial void StateTroubled(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The state is written again.")]
    public static partial void StateRecovered(this ILogger logger);
}
