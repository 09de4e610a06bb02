using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Whistle.Printing;

/// <summary>
/// The server's log: a line for each entry, with its time in UTC. What telemetry or a stranger says begins no line of its own, and a
/// terminal obeys nothing of it.
/// </summary>
sealed class LineFormatter() : ConsoleFormatter(Format)
{
    public const string Format = "lines";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var text = logEntry.Formatter(logEntry.State, logEntry.Exception) + (logEntry.Exception is { } e ? $" {e}" : "");
        var at = TimeProvider.System.GetUtcNow().UtcDateTime;
        textWriter.WriteLine(
            $"{at:yyyy-MM-dd'T'HH:mm:ss'Z'} {Word(logEntry.LogLevel)}: {logEntry.Category}[{logEntry.EventId.Id}] "
            + Printable.Of(text.ReplaceLineEndings(" ")));
    }

    static string Word(LogLevel level) => level switch
    {
        LogLevel.Trace => "trce",
        LogLevel.Debug => "dbug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "fail",
        LogLevel.Critical => "crit",
        _ => throw new InvalidOperationException($"{level} is no level of an entry."),
    };
}
