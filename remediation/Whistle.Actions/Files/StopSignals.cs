using System.Runtime.InteropServices;

namespace Whistle.Actions.Files;

/// <summary>
/// Cancels when the process is told to stop (SIGTERM, Ctrl-C), however often, and leaves it all the time that it needs. System.CommandLine
/// by itself ends a process after two seconds, and fails where a second signal follows at once.
/// </summary>
public sealed class StopSignals : IDisposable
{
    readonly CancellationTokenSource _stopping = new();
    readonly PosixSignalRegistration[] _registered;

    public StopSignals() => _registered = [.. new[] { PosixSignal.SIGTERM, PosixSignal.SIGINT }.Select(s => PosixSignalRegistration.Create(s, Stop))];

    public CancellationToken Token => _stopping.Token;

    public void Dispose()
    {
        foreach (var registration in _registered)
            registration.Dispose();
        _stopping.Dispose();
    }

    void Stop(PosixSignalContext context)
    {
        context.Cancel = true;
        _stopping.Cancel();
    }
}
