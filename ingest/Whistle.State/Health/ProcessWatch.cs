using System.Globalization;
using System.Runtime.InteropServices;

namespace Whistle.State.Health;

/// <summary>
/// What this process may use of memory and handles, and what is left. Past a bound, new work is refused: where either runs out, it may do
/// so on any thread, and end the process. Thread-safe.
/// </summary>
public sealed partial class ProcessWatch(HealthBoard health)
{
    // What is under way takes more memory: see the shares of MemoryOptions.
    const double MostMemory = 0.7;
    const double MostHandles = 0.9;

    const string Handles = "/proc/self/fd";

    static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan CollectEvery = TimeSpan.FromSeconds(2);

    readonly Lock _looking = new();
    readonly long _memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    readonly long _handles = HandleLimit();
    long _lookedAt;
    long _collectedAt;
    volatile string? _shortage;

    /// <summary>Why new work is refused now; null where it is not.</summary>
    public string? Shortage
    {
        get
        {
            if (TimeProvider.System.GetElapsedTime(Volatile.Read(ref _lookedAt)) >= LookEvery && _looking.TryEnter())
            {
                try
                {
                    Look_NeedsLock();
                }
                finally
                {
                    _looking.Exit();
                }
            }

            return _shortage;
        }
    }

    /// <summary>The files and connections that the process may have open.</summary>
    public static long HandleLimit() => Limit("Max open files");

    /// <summary>The address space that it may have.</summary>
    public static long AddressSpaceLimit() => Limit("Max address space");

    /// <summary>The bytes that a file may have which it writes.</summary>
    public static long FileSizeLimit() => Limit("Max file size");

    void Look_NeedsLock()
    {
        Volatile.Write(ref _lookedAt, TimeProvider.System.GetTimestamp());
        var memory = MemoryShortage_NeedsLock();
        Report(
            "memory", memory,
            "Give the process more memory, or limit what it is asked for (Memory: in docs/configuration.md, MaxSeriesPerTenant).");
        var open = OpenHandles();
        var handles = open > MostHandles * _handles ? $"{open} of {_handles} files and connections are open." : null;
        Report("handles", handles, "Raise the limit (LimitNOFILE= of the unit, ulimit -n).");
        _shortage = memory ?? handles;
    }

    string? MemoryShortage_NeedsLock()
    {
        var bound = (long)(MostMemory * _memory);
        if (GC.GetTotalMemory(forceFullCollection: false) <= bound)
            return null;
        // What nobody needs counts until it is collected.
        if (TimeProvider.System.GetElapsedTime(_collectedAt) >= CollectEvery)
        {
            GC.Collect();
            _collectedAt = TimeProvider.System.GetTimestamp();
        }

        var used = GC.GetTotalMemory(forceFullCollection: false);
        return used > bound ? $"{used >> 20} of {_memory >> 20} MiB of memory are in use." : null;
    }

    void Report(string component, string? shortage, string advice)
    {
        if (shortage is null)
            health.Clear(component, "");
        else
            health.Report(component, "", HealthState.Failed, $"{shortage} New samples and queries are refused. {advice}");
    }

    // Listing them looks at each of them, which takes tens of milliseconds where there are thousands of connections.
    internal static long OpenHandles() => !OperatingSystem.IsLinux() ? 0
        : CountedHandles() is > 0 and var open ? open : Directory.GetFileSystemEntries(Handles).Length;

    // The size of this folder is how many there are: since Linux 6.2; 0 before. See proc_pid_fd(5).
    internal static unsafe long CountedHandles()
    {
        const int here = -100;
        const uint size = 0x200;
        const int offsetOfSize = 40;
        var found = stackalloc byte[256];
        return StatxCall(here, Handles, 0, size, found) == 0 ? *(long*)(found + offsetOfSize) : 0;
    }

    // The soft limit, which .NET raises to the hard one at its start.
    static long Limit(string name)
    {
        if (!OperatingSystem.IsLinux())
            return long.MaxValue;
        var line = File.ReadLines("/proc/self/limits").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.TryParse(
            line[name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture,
            out var limit) ? limit : long.MaxValue;
    }

    // Of the same layout on every architecture, which that of stat(2) is not.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int StatxCall(int folder, string path, int flags, uint mask, byte* found);
}
