using Microsoft.Extensions.Logging;

namespace Whistle.Alerting;

static partial class Log
{
    [LoggerMessage(1, LogLevel.Information, "Incident {Incident}: {Decision}")]
    public static partial void Decided(this ILogger logger, string incident, string decision);

    [LoggerMessage(2, LogLevel.Error, "Whistle cannot decide whom to notify of incident {Incident}; the next pass tries again")]
    public static partial void DecisionFailed(this ILogger logger, Exception exception, string incident);

    [LoggerMessage(3, LogLevel.Error, "A pass over the incidents failed; the next one follows")]
    public static partial void PassFailed(this ILogger logger, Exception exception);

    [LoggerMessage(4, LogLevel.Error, "{Channel} refuses {Action} {Key} for good: {Reason}")]
    public static partial void NotificationRefused(this ILogger logger, string channel, string action, string key, string reason);

    [LoggerMessage(5, LogLevel.Warning, "{Channel} did not take {Action} {Key} at attempt {Attempt} and is tried again: {Reason}")]
    public static partial void NotificationDelayed(
        this ILogger logger, string channel, string action, string key, int attempt, string reason);

    [LoggerMessage(6, LogLevel.Error, "Sending notification {Id} over {Channel} failed unexpectedly; it is tried again")]
    public static partial void SendFailed(this ILogger logger, Exception exception, string channel, long id);

    [LoggerMessage(7, LogLevel.Error, "The notifications that wait for {Channel} cannot be read from the state; it is tried again")]
    public static partial void DrainFailed(this ILogger logger, Exception exception, string channel);

    [LoggerMessage(8, LogLevel.Error, "{Reason}")]
    public static partial void ChannelUnknown(this ILogger logger, string reason);
}
