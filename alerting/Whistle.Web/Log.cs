using Microsoft.Extensions.Logging;

namespace Whistle.Web;

static partial class Log
{
    [LoggerMessage(LogLevel.Warning, "The pages are shown without a part that could not be read.")]
    public static partial void SnapshotIncomplete(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "A page is shown without a part that could not be read.")]
    public static partial void PageIncomplete(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Debug, "A viewer did not get the latest snapshot.")]
    public static partial void ViewerLost(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Error, "What a person asked for on a page failed.")]
    public static partial void ActFailed(this ILogger logger, Exception exception);

}
