namespace Whistle;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "{What}")]
    public static partial void SecretSetAside(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{What}")]
    public static partial void FilesClosed(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Error, Message = "This machine's own agent does not run: {Reason}")]
    public static partial void AgentFailed(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "{What}")]
    public static partial void StateMigrated(this ILogger logger, string what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The state was accepted as it is, and the kill switch is on. {What}")]
    public static partial void StateAccepted(this ILogger logger, string what);
}
