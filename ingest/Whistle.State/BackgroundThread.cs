using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Whistle.State;

/// <summary>Work that may take seconds, on a thread of its own that gives way to all others while processors are scarce.</summary>
public static partial class BackgroundThread
{
    // As nice(1) without a number; .NET's thread priorities do nothing on Linux.
    const int Niceness = 10;

    /// <remarks>
    /// Lowering a thread's priority cannot be undone without a privilege, and threads inherit it. So the work has a thread of its own, and
    /// a thread of normal priority waits for it: the awaiting code continues on that one, and may make new workers of the pool there.
    /// </remarks>
    public static Task<T> Run<T>(Func<T> work, CancellationToken cancellation) =>
        Task.Factory.StartNew(() => RunNice(work), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static T RunNice<T>(Func<T> work)
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

    // On Linux it applies to the calling thread alone.
    [LibraryImport("libc", EntryPoint = "nice")]
    private static partial int Nice(int more);
}
