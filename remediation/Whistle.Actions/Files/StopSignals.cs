using System.Runtime.InteropServices;

namespace Whistle.Actions.Files;

/// <summary>
/// Cancels when the process is told to stop (SIGTERM, Ctrl-C), however often, and leaves it all the time that it needs. System.CommandLine
/// by itself ends a process after two seconds, and fails where a second signal follows at once.
/// </summary>
public static class StopSignals
{
    static readonly CancellationTokenSource Stopping = new();

    // Never given back: a signal that comes while the process ends must not end it in another way.
    static PosixSignalRegistration[]? _registered;

    /// <summary>From here on, such a signal does nothing but cancel the token.</summary>
    public static CancellationToken Take()
    {
        _registered ??= [.. new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT }.Select(s => PosixSignalRegistration.Create(s, Stop))];
        return Stopping.Token;
    }

    static void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        Stopping.Cancel();
    }
}
