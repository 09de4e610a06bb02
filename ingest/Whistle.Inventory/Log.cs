using Microsoft.Extensions.Logging;

namespace Whistle.Inventory;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "An entry of the audit could not be written: {Reason}")]
    public static partial void AuditNotWritten(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "The audit is not what was written: {Reason}")]
    public static partial void AuditDamaged(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The audit is whole. Its head is {Entries}:{Hash}.")]
    public static partial void AuditVerified(this ILogger logger, long entries, string hash);
}
