using Microsoft.Extensions.Logging;

using Whistle.Inventory;

namespace Whistle.Remediation;

static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Loaded {Count} runbooks")]
    public static partial void RunbooksLoaded(this ILogger logger, int count);

    [LoggerMessage(2, LogLevel.Error, "The runbooks are not loaded, those before stay in force: {Reason}")]
    public static partial void RunbooksRefused(this ILogger logger, string reason);

    [LoggerMessage(3, LogLevel.Information, "Run {Run} of {Runbook} on {Node} is {State}: {What}")]
    public static partial void RunChanged(this ILogger logger, string run, string runbook, string node, string state, string what);

    [LoggerMessage(4, LogLevel.Warning, "Run {Run} changed during the pass; the next pass evaluates it again")]
    public static partial void RunNotApplied(this ILogger logger, string run);

    [LoggerMessage(5, LogLevel.Error, "Run {Run} could not be advanced, it is tried again at the next pass")]
    public static partial void RunFailed(this ILogger logger, Exception exception, string run);

    [LoggerMessage(6, LogLevel.Error, "A pass over the runs failed, the next one follows")]
    public static partial void PassFailed(this ILogger logger, Exception exception);

    [LoggerMessage(7, LogLevel.Warning, "Run {Run} waits: its incident is damaged or missing, or this release cannot read its runbook")]
    public static partial void RunUnreadable(this ILogger logger, string run);

    [LoggerMessage(
        8, LogLevel.Warning,
        "The ladder of incident {Incident} stops: there is no runbook {Rung} any more. Load it again, or take it out of the ladder")]
    public static partial void RungMissing(this ILogger logger, string incident, string rung);

    [LoggerMessage(
        9, LogLevel.Warning, "What is known of the cluster {Cluster} could not be renewed and grows old; it is tried again in 15 s")]
    public static partial void ClusterNotRead(this ILogger logger, Exception exception, ClusterId cluster);

    [LoggerMessage(20, LogLevel.Warning, "{Reason}")]
    public static partial void BrakeUnreadable(this ILogger logger, string reason);

    [LoggerMessage(10, LogLevel.Error, "The state is damaged: {Reason}")]
    public static partial void StateDamaged(this ILogger logger, string reason);
}
