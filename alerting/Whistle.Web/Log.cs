using Microsoft.Extensions.Logging;

namespace Whistle.Web;

static partial class Log
{
    [LoggerMessage(LogLevel.Warning, "A page is shown without the parts that need the store.")]
    public static partial void PageIncomplete(this ILogger logger, Exception exception);
}
