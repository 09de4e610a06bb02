using Microsoft.Extensions.Logging;

namespace Whistle.State;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "The state cannot be used; whatever needs it is retried. {Reason}")]
    public static partial void StateTroubled(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Reason}")]
    public static partial void RowDamaged(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The state can be written again.")]
    public static partial void StateRecovered(this ILogger logger);
}
