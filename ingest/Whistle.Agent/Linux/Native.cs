using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text;

namespace Whistle.Agent.Linux;

/// <summary>Space and inodes of a file system; sizes in bytes.</summary>
readonly record struct Usage(double Size, double Free, double Available, double Files, double FilesFree);

readonly record struct SystemName(string System, string Node, string Release, string Version, string Machine, string Domain);

/// <summary>The calls of the C library that .NET does not offer. The layouts are those of 64-bit Linux, glibc and musl.</summary>
static partial class Native
{
    const int NameLength = 65;

    /// <summary>May hang for as long as the file system does (a lost NFS server).</summary>
    /// <exception cref="Win32Exception">The call failed; the message is the system's.</exception>
    public static unsafe Usage FileSystemUsage(string path)
    {
        RequireLinux();
        StatVfs stat;
        if (StatVfsCall(path, &stat) != 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        double block = stat.FragmentSize;
        return new Usage(stat.Blocks * block, stat.BlocksFree * block, stat.BlocksAvailable * block, stat.Files, stat.FilesFree);
    }

    /// <summary>The clock's state (TIME_OK…TIME_ERROR).</summary>
    /// <exception cref="Win32Exception">The call failed; the message is the system's.</exception>
    public static unsafe int ReadClock(out Timex clock)
    {
        RequireLinux();
        // Modes = 0 reads and changes nothing; it needs no rights.
        var timex = default(Timex);
        var state = AdjTimexCall(&timex);
        if (state < 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        clock = timex;
        return state;
    }

    /// <exception cref="Win32Exception">The call failed; the message is the system's.</exception>
    public static unsafe SystemName SystemName()
    {
        RequireLinux();
        var names = stackalloc byte[6 * NameLength];
        if (UnameCall(names) != 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        return new SystemName(Name(0), Name(1), Name(2), Name(3), Name(4), Name(5));

        string Name(int index)
        {
            var field = new ReadOnlySpan<byte>(names + index * NameLength, NameLength);
            return Encoding.UTF8.GetString(field[..Math.Max(0, field.IndexOf((byte)0))]);
        }
    }

    /// <summary>Makes the names of new and deleted files in the folder durable. Elsewhere than on Linux it does nothing.</summary>
    public static void SyncFolder(string path)
    {
        if (!OperatingSystem.IsLinux())
            return;
        var folder = OpenCall(path, 0);
        if (folder < 0)
            throw new IOException($"Cannot open the folder {path}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        var result = FsyncCall(folder);
        var error = Marshal.GetLastPInvokeError();
        _ = CloseCall(folder);
        if (result != 0)
            throw new IOException($"Cannot sync the folder {path}: {new Win32Exception(error).Message}");
    }

    static void RequireLinux()
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
            throw new NoDataException("This reads 64-bit Linux only.");
    }

    [StructLayout(LayoutKind.Sequential)]
    unsafe struct StatVfs
    {
        public ulong BlockSize;
        public ulong FragmentSize;
        public ulong Blocks;
        public ulong BlocksFree;
        public ulong BlocksAvailable;
        public ulong Files;
        public ulong FilesFree;
        public ulong FilesAvailable;
        public ulong Id;
        public ulong Flags;
        public ulong LongestName;
        public fixed int Spare[6];
    }

    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct Timex
    {
        public int Modes;
        public long Offset;
        public long Frequency;
        public long MaxError;
        public long EstimatedError;
        public int Status;
        public long Constant;
        public long Precision;
        public long Tolerance;
        public long Seconds;
        public long Microseconds;
        public long Tick;
        public fixed long PulsePerSecond[4];
        public fixed long PulseCounts[4];
        public int Tai;
        public fixed int Spare[11];
    }

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int StatVfsCall(string path, StatVfs* stat);

    [LibraryImport("libc", EntryPoint = "adjtimex", SetLastError = true)]
    private static unsafe partial int AdjTimexCall(Timex* timex);

    [LibraryImport("libc", EntryPoint = "uname", SetLastError = true)]
    private static unsafe partial int UnameCall(byte* names);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenCall(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FsyncCall(int file);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseCall(int file);
}
