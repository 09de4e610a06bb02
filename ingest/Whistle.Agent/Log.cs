using Microsoft.Extensions.Logging;

namespace Whistle.Agent;

static partial class Log
{
    [LoggerMessage(
        LogLevel.Information,
        "Reports go to {Server} every {Interval} s as instance {Instance}; what cannot be sent waits in {Folder}.")]
    public static partial void AgentRuns(this ILogger log, Uri server, double interval, string instance, string folder);

    [LoggerMessage(LogLevel.Error, "A report could not be made; the next tick tries again.")]
    public static partial void ReportFailed(this ILogger log, Exception exception);

    [LoggerMessage(LogLevel.Warning, "{Closed}")]
    public static partial void FilesClosed(this ILogger log, string closed);

    [LoggerMessage(LogLevel.Warning, "The buffer's folder {Folder} cannot be created or made private: {Reason}")]
    public static partial void BufferNotClosed(this ILogger log, string folder, string reason);

    [LoggerMessage(LogLevel.Error, "The server refused a report for good, so it is dropped: {Reason}")]
    public static partial void ReportRefused(this ILogger log, string reason);

    [LoggerMessage(LogLevel.Warning, "Reports wait ({Count}), next try in {Wait:0.0} s: {Reason}")]
    public static partial void SendingWaits(this ILogger log, int count, double wait, string reason);

    [LoggerMessage(LogLevel.Information, "The server accepts reports again.")]
    public static partial void SendingRecovered(this ILogger log);

    [LoggerMessage(LogLevel.Information, "The agent's credential in {File} was renewed.")]
    public static partial void CredentialRenewed(this ILogger log, string file);

    [LoggerMessage(
        LogLevel.Warning,
        "The server does not know the credential in {File}, as after a restore, and takes the one from before, which is in force again.")]
    public static partial void WentBackToPreviousCredential(this ILogger log, string file);

    [LoggerMessage(LogLevel.Warning, "The agent's credential is not renewed yet: {Reason}")]
    public static partial void NotRenewed(this ILogger log, string reason);
}
