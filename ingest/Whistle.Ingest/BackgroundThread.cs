using System.Runtime.InteropServices;

namespace Whistle.Ingest;

/// <summary>Work that may take seconds, on a thread of its own that gives way to all others while processors are scarce.</summary>
public static partial class BackgroundThread
{
    // As nice(1) without a number; .NET's thread priorities do nothing on Linux.
    const int Niceness = 10;

    public static Task<T> Run<T>(Func<T> work, CancellationToken cancellation) => Task.Factory.StartNew(
        () =>
        {
            // Never taken back, which would need a privilege: the thread ends with its work.
            if (OperatingSystem.IsLinux())
                _ = Nice(Niceness);
            return work();
        },
        cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    // On Linux it is the calling thread's alone.
    [LibraryImport("libc", EntryPoint = "nice")]
    private static partial int Nice(int more);
}
