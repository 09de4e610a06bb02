using Microsoft.Extensions.Logging;

namespace Whistle.Agent.Reporting;

static partial class Log
{
    [LoggerMessage(LogLevel.Warning, "The collector {Collector} has no data on this host: {Reason}")]
    public static partial void SourceHasNoData(this ILogger log, string collector, string reason);

    [LoggerMessage(LogLevel.Error, "The collector {Collector} failed; its series are unknown until it succeeds.")]
    public static partial void SourceFailed(this ILogger log, string collector, Exception exception);
}
