using System.Runtime.InteropServices;

namespace Whistle.Actions.Files;

/// <summary>
/// Lets a write beyond the limit of file size (<c>ulimit -f</c>) fail like any other, with a reason. The signal that comes with it would
/// otherwise end the process without one.
/// </summary>
public static class FileSizeSignal
{
    // SIGXFSZ, on Linux and macOS.
    const PosixSignal Signal = (PosixSignal)25;

    static PosixSignalRegistration? _held;

    /// <summary>
    /// To be called before anything is written; calling it again does nothing. Programs that this one starts have the signal as it was.
    /// </summary>
    public static void Ignore()
    {
        if (!OperatingSystem.IsWindows())
            _held ??= PosixSignalRegistration.Create(Signal, context => context.Cancel = true);
    }
}
