using Microsoft.Extensions.Logging;

using Whistle.Agent.Buffering;
using Whistle.Telemetry;

namespace Whistle.Agent;

static partial class Log
{
    [LoggerMessage(LogLevel.Information, "Reports go to {Server} every {Interval} s as instance {Instance}; what cannot be sent waits in {Folder}.")]
    public static partial void AgentRuns(this ILogger log, Uri server, double interval, string instance, string folder);

    [LoggerMessage(LogLevel.Warning, "The collector {Collector} has no data on this host: {Reason}")]
    public static partial void CollectorHasNoData(this ILogger log, string collector, string reason);

    [LoggerMessage(LogLevel.Error, "The collector {Collector} failed; its series are unknown until it succeeds.")]
    public static partial void CollectorFailed(this ILogger log, string collector, Exception exception);

    [LoggerMessage(LogLevel.Error, "A report could not be made; the next one is tried at the next tick.")]
    public static partial void ReportFailed(this ILogger log, Exception exception);

    [LoggerMessage(LogLevel.Error, "The buffer {Folder} takes nothing, so the newest reports wait in memory: {Reason} Free space on that disk or mend its rights.")]
    public static partial void BufferDiskFails(this ILogger log, string folder, string reason);

    [LoggerMessage(LogLevel.Information, "The buffer {Folder} takes reports again.")]
    public static partial void BufferDiskRecovered(this ILogger log, string folder);

    [LoggerMessage(LogLevel.Warning, "The buffer file {Path} ended in {Bytes} bytes that are no whole report; they were cut off.")]
    public static partial void BufferTailCut(this ILogger log, string path, long bytes);

    [LoggerMessage(LogLevel.Warning, "{Closed}")]
    public static partial void FilesClosed(this ILogger log, string closed);

    [LoggerMessage(LogLevel.Warning, "The buffer's folder {Folder} cannot be made or closed to other users: {Reason}")]
    public static partial void BufferNotClosed(this ILogger log, string folder, string reason);

    [LoggerMessage(LogLevel.Warning, "The first reports are dropped because of {Reason}; whistle_agent_dropped_samples_total counts all of them.")]
    public static partial void ReportsDropped(this ILogger log, DropReason reason);

    [LoggerMessage(LogLevel.Error, "The server refused a report for good, so it is dropped: {Reason}")]
    public static partial void ReportRefused(this ILogger log, string reason);

    [LoggerMessage(LogLevel.Warning, "Reports wait ({Count}), next try in {Wait:0.0} s: {Reason}")]
    public static partial void SendingWaits(this ILogger log, int count, double wait, string reason);

    [LoggerMessage(LogLevel.Information, "The server takes reports again.")]
    public static partial void SendingRecovered(this ILogger log);

    [LoggerMessage(LogLevel.Information, "The command {Id} ({Action}) ended as {Outcome}: {Summary}")]
    public static partial void CommandEnded(this ILogger log, string id, string action, CommandOutcome outcome, string summary);

    [LoggerMessage(LogLevel.Warning, "Commands wait, next try in {Wait:0.0} s: {Reason}")]
    public static partial void CommandsWait(this ILogger log, double wait, string reason);

    [LoggerMessage(LogLevel.Error, "The server does not take the result of the command {Id}, so it is dropped: {Reason}")]
    public static partial void ResultRefused(this ILogger log, string id, string reason);

    [LoggerMessage(LogLevel.Error, "The record of a command cannot be kept in {Folder}: {Reason} Free space on that disk or mend its rights.")]
    public static partial void CommandRecordFails(this ILogger log, string folder, string reason);

    [LoggerMessage(LogLevel.Error, "The record of a command {Path} is damaged; should that command come again, it is answered as indeterminate.")]
    public static partial void CommandRecordDamaged(this ILogger log, string path);
}
