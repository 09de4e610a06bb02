using System.Net;

using Whistle.Inventory;

namespace Whistle;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{What}")]
    public static partial void SecretSetAside(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{What}")]
    public static partial void FilesClosed(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{What}")]
    public static partial void LockRenewed(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Error, Message = "{What}")]
    public static partial void LockLost(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "{File} in {Folder} is not as it should be, so the command line may need --server to find this server: {Reason}")]
    public static partial void ListeningNotWritten(this ILogger logger, string file, string folder, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "This machine's own agent does not run: {Reason}")]
    public static partial void AgentFailed(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The backup in {Folder} is whole: {Files} files, {Bytes} bytes.")]
    public static partial void BackupMade(this ILogger logger, string folder, int files, long bytes);

    [LoggerMessage(Level = LogLevel.Error, Message = "There is no backup in {Folder}: {Reason}")]
    public static partial void BackupFailed(this ILogger logger, string folder, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{What}")]
    public static partial void StateMigrated(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The state was accepted as it is, and the kill switch is on. {What}")]
    public static partial void StateAccepted(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Information, Message = "The certificate {Subject} is in use, until {EndsAt:u}.")]
    public static partial void CertificateReplaced(this ILogger logger, string subject, DateTimeOffset endsAt);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Node} enrolled itself from {Address}.")]
    public static partial void NodeJoined(this ILogger logger, NodeId node, IPAddress? address);

    [LoggerMessage(Level = LogLevel.Information, Message = "The agent of {Node} renewed its credential.")]
    public static partial void CredentialRenewed(this ILogger logger, NodeId node);

    [LoggerMessage(Level = LogLevel.Error, Message = "The certificate cannot be used, and the one from before stays: {Reason}")]
    public static partial void CertificateBroken(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A log-in at {Provider} did not succeed.")]
    public static partial void OidcFailed(this ILogger logger, string provider, Exception? exception);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Somebody logged out here, and their session at {Provider} stays open: it cannot be "
        + "asked to end it. Check Oidc:Authority and the network.")]
    public static partial void OidcLogOutFailed(this ILogger logger, string provider, Exception exception);

    [LoggerMessage(Level = LogLevel.Information, Message = "The job {Job} is done after {Seconds:0.0} s.")]
    public static partial void JobDone(this ILogger logger, string job, double seconds);

    [LoggerMessage(Level = LogLevel.Error, Message = "The job {Job} failed.")]
    public static partial void JobFailed(this ILogger logger, Exception exception, string job);

    [LoggerMessage(Level = LogLevel.Information, Message = "The job {Job} was stopped before it was done: the server ends.")]
    public static partial void JobStopped(this ILogger logger, string job);

    [LoggerMessage(Level = LogLevel.Information, Message = "The job {Job} was due, and is left out: another run of it has not ended.")]
    public static partial void JobLeftOut(this ILogger logger, string job);

    [LoggerMessage(Level = LogLevel.Error, Message = "Jobs are not scheduled; it is tried again.")]
    public static partial void SchedulerFailed(this ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string method, string path);
}
