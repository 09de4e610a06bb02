using System.ComponentModel;
using System.Runtime.InteropServices;

using Whistle.Actions.Files;

namespace Whistle.Actions.Contract;

/// <summary>How well the kernel's clock is kept. Errors in seconds.</summary>
/// <param name="Offset">Null where the time service steers the clock without telling the kernel the offset, as chrony does.</param>
sealed unsafe partial record ClockReading(bool Synchronised, double? Offset, double MaximumError, double EstimatedError)
{
    public const string HowToFix =
        "The clock of this node is not synchronised, so nothing can be said by it. "
        + "Restart the time service (unit.restart), wait until clock.check says synchronised, then ask again.";

    // TIME_ERROR, STA_PLL, STA_UNSYNC and STA_NANO of linux/timex.h.
    const int StateError = 5;
    const int SteeredByKernel = 0x1;
    const int Unsynchronised = 0x40;
    const int Nanoseconds = 0x2000;

    /// <summary>By <c>adjtimex(2)</c> in its reading mode, which needs no rights.</summary>
    /// <exception cref="Win32Exception">The call failed; the message is the system's.</exception>
    public static ClockReading Read()
    {
        Native.RequireLinux();
        var timex = default(Timex);
        var state = AdjTimexCall(&timex);
        if (state < 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        return From(state, timex.Status, timex.Offset, timex.MaxError, timex.EstimatedError);
    }

    /// <param name="maximumError">In microseconds, as <paramref name="estimatedError"/>.</param>
    public static ClockReading From(int state, int status, long offset, long maximumError, long estimatedError) => new(
        state != StateError && (status & Unsynchronised) == 0,
        (status & SteeredByKernel) == 0 ? null : offset / ((status & Nanoseconds) != 0 ? 1e9 : 1e6),
        maximumError / 1e6, estimatedError / 1e6);

    [StructLayout(LayoutKind.Explicit, Size = 208)]
    struct Timex
    {
        [FieldOffset(8)]
        public long Offset;
        [FieldOffset(24)]
        public long MaxError;
        [FieldOffset(32)]
        public long EstimatedError;
        [FieldOffset(40)]
        public int Status;
    }

    [LibraryImport("libc", EntryPoint = "adjtimex", SetLastError = true)]
    private static partial int AdjTimexCall(Timex* timex);
}
