using System.Runtime.InteropServices;

namespace Whistle.Actions.Files;

/// <summary>
/// A write beyond the size that the process's files may have (<c>ulimit -f</c>) fails as any other, with a reason; by itself, the signal that comes with it ends
/// the process without one.
/// </summary>
public static class FileSizeSignal
{
    // SIGXFSZ, on Linux and macOS.
    const PosixSignal Signal = (PosixSignal)25;

    static PosixSignalRegistration? _held;

    /// <summary>To be called before anything is written; calling it again does nothing. Programs that this one starts have the signal as it was.</summary>
    public static void Ignore()
    {
        if (!OperatingSystem.IsWindows())
            _held ??= PosixSignalRegistration.Create(Signal, context => context.Cancel = true);
    }
}
