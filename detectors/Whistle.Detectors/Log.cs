using Microsoft.Extensions.Logging;

namespace Whistle.Detectors;

static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Loaded {Rules} rules in {Groups} groups")]
    public static partial void RulesLoaded(this ILogger logger, int rules, int groups);

    [LoggerMessage(2, LogLevel.Error, "The rule files were not loaded; the previous rules stay in force: {Reason}")]
    public static partial void RulesRefused(this ILogger logger, string reason);

    [LoggerMessage(3, LogLevel.Warning, "Rule {Rule} failed: {Reason}")]
    public static partial void RuleFailed(this ILogger logger, Exception exception, string rule, string reason);

    [LoggerMessage(4, LogLevel.Information, "Signal {Name}{Labels}: {From} to {To} {Reason}")]
    public static partial void SignalChanged(this ILogger logger, string name, string labels, string from, string to, string reason);

    [LoggerMessage(5, LogLevel.Error, "The state of group {Group} was not saved; the next evaluation tries again")]
    public static partial void SaveFailed(this ILogger logger, Exception exception, string group);

    [LoggerMessage(6, LogLevel.Error, "A pass over the rules failed; the next one follows")]
    public static partial void PassFailed(this ILogger logger, Exception exception);

    [LoggerMessage(7, LogLevel.Error, "The presence of nodes could not be written")]
    public static partial void PresenceFailed(this ILogger logger, Exception exception);

    [LoggerMessage(20, LogLevel.Error, "{Method} {Path} failed")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string method, string path);

    [LoggerMessage(21, LogLevel.Error, "{Reference}: {Method} {Path} and others of this minute cannot be answered")]
    public static partial void RequestFaulted(this ILogger logger, Exception exception, string reference, string method, string path);
}
