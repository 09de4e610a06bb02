using Microsoft.Extensions.Logging;

namespace Whistle.Incidents;

static partial class Log
{
    [LoggerMessage(8, LogLevel.Information, "Incident {Incident} is {State}: {What}")]
    public static partial void IncidentChanged(this ILogger logger, string incident, IncidentState state, string what);

    [LoggerMessage(9, LogLevel.Error, "Incidents could not be reconciled with the signals, the next pass follows")]
    public static partial void ReconcileFailed(this ILogger logger, Exception exception);
}
