using Microsoft.Extensions.Logging;

namespace Whistle.Agent.Buffering;

static partial class Log
{
    [LoggerMessage(
        LogLevel.Error,
        "The buffer {Folder} cannot be written, so the newest reports wait in memory: "
        + "{Reason} Free space on that disk or fix its permissions.")]
    public static partial void BufferDiskFails(this ILogger log, string folder, string reason);

    [LoggerMessage(LogLevel.Information, "The buffer {Folder} can be written again.")]
    public static partial void BufferDiskRecovered(this ILogger log, string folder);

    [LoggerMessage(LogLevel.Warning, "The buffer file {Path} ended in {Bytes} bytes of an incomplete report; they were removed.")]
    public static partial void BufferTailCut(this ILogger log, string path, long bytes);

    [LoggerMessage(
        LogLevel.Warning,
        "The first reports are dropped because of {Reason}; whistle_agent_dropped_samples_total counts all of them.")]
    public static partial void ReportsDropped(this ILogger log, DropReason reason);
}
