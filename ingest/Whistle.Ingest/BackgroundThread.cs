using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Whistle.Ingest;

/// <summary>Work that may take seconds, on a thread of its own that gives way to all others while processors are scarce.</summary>
public static partial class BackgroundThread
{
    // As nice(1) without a number; .NET's thread priorities do nothing on Linux.
    const int Niceness = 10;

    /// <remarks>
    /// A niceness cannot be taken back without a privilege, and goes over to the threads that a thread makes. So the work has a thread that does nothing else, and one of the
    /// usual priority waits for it: on that one whoever awaits goes on, and makes new workers of the pool.
    /// </remarks>
    public static Task<T> Run<T>(Func<T> work, CancellationToken cancellation) =>
        Task.Factory.StartNew(() => Aside(work), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static T Aside<T>(Func<T> work)
    {
        var (result, failure) = (default(T)!, default(ExceptionDispatchInfo));
        var thread = new Thread(() =>
        {
            try
            {
                if (OperatingSystem.IsLinux())
                    _ = Nice(Niceness);
                result = work();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        {
            IsBackground = true,
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    // On Linux it is the calling thread's alone.
    [LibraryImport("libc", EntryPoint = "nice")]
    private static partial int Nice(int more);
}
