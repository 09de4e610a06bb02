using Microsoft.Extensions.Logging;

namespace Whistle.Agent;

/// <summary>
/// One line an event on standard error, as a journal wants it: the priority in front (systemd's <c>&lt;3&gt;</c>), no
/// time, because the journal adds its own.
/// </summary>
sealed class StderrLogger : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        var cause = exception is null ? "" : $" {exception.GetType().Name}: {exception.Message}";
        Console.Error.WriteLine($"{Prefix(logLevel)}{formatter(state, exception)}{cause}".ReplaceLineEndings(" "));
    }

    // On a terminal the number would only puzzle.
    static string Prefix(LogLevel level)
    {
        if (!Console.IsErrorRedirected)
            return level >= LogLevel.Warning ? $"{level}: " : "";
        return level switch
        {
            >= LogLevel.Error => "<3>",
            LogLevel.Warning => "<4>",
            _ => "<6>",
        };
    }
}
