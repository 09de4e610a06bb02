using Microsoft.Extensions.Logging;

using Whistle.Actions.Protocol;

namespace Whistle.Agent.Running;

static partial class Log
{
    [LoggerMessage(LogLevel.Information, "The command {Id} ({Action}) ended as {Outcome}: {Summary}")]
    public static partial void CommandEnded(this ILogger log, string id, string action, CommandOutcome outcome, string summary);

    [LoggerMessage(LogLevel.Warning, "Commands wait, next try in {Wait:0.0} s: {Reason}")]
    public static partial void CommandsWait(this ILogger log, double wait, string reason);

    [LoggerMessage(LogLevel.Error, "The server rejects the result of the command {Id}, so it is dropped: {Reason}")]
    public static partial void ResultRefused(this ILogger log, string id, string reason);

    [LoggerMessage(
        LogLevel.Information,
        "The server was restored from a backup (generation {Generation}); all {Count} commands remembered here were reported to it.")]
    public static partial void JournalReported(this ILogger log, string generation, int count);

    [LoggerMessage(
        LogLevel.Error,
        "The record of a command cannot be kept in {Folder}: {Reason} Free space on that disk or fix its permissions.")]
    public static partial void CommandRecordFails(this ILogger log, string folder, string reason);

    [LoggerMessage(
        LogLevel.Error,
        "The record of a command {Path} is damaged; if that command comes again, it is reported as indeterminate.")]
    public static partial void CommandRecordDamaged(this ILogger log, string path);
}
