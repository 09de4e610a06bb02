using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;

using Microsoft.Win32.SafeHandles;

namespace Whistle.State.Files;

/// <summary>
/// What a file system has left for users other than root. Where it does not count inodes, <paramref name="Inodes"/> is 0.
/// </summary>
public readonly partial record struct DiskSpace(long Total, long Free, long Inodes, long FreeInodes)
{
    /// <exception cref="IOException">The folder cannot be asked.</exception>
    public static unsafe DiskSpace Of(string folder)
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            var drive = new DriveInfo(folder);
            return new(drive.TotalSize, drive.AvailableFreeSpace, 0, 0);
        }

        StatVfs stat;
        if (StatVfsCall(folder, &stat) != 0)
            throw new IOException($"Cannot read the free space of {folder}: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
        return new(
            (long)(stat.Blocks * stat.FragmentSize), (long)(stat.BlocksAvailable * stat.FragmentSize), (long)stat.Files,
            (long)stat.FilesAvailable);
    }

    /// <summary>
    /// Gives the file blocks up to the length without making it longer, so that it can grow into them on a disk that is full. False where
    /// the file system has no room, or does not do this.
    /// </summary>
    internal static bool TryReserve(string file, long length)
    {
        if (!OperatingSystem.IsLinux())
            return false;
        const int keepSize = 1;
        using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        return FallocateCall(handle, keepSize, 0, length) == 0;
    }

    /// <summary>
    /// Gives blocks to all of a file, up to the length, that this process has open and that must not be closed here: closing one handle
    /// drops all locks that the process has on the file. False where it is not open, the file system has no room, or does not do this.
    /// </summary>
    internal static bool TryReserveOpen(string file, long length)
    {
        if (!OperatingSystem.IsLinux())
            return false;
        // The links of /proc lead to paths without any.
        if (RealPathCall(file, 0) is not { } full)
            return false;
        foreach (var link in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            if (new FileInfo(link).LinkTarget != full)
                continue;
            using var borrowed = new SafeFileHandle(int.Parse(Path.GetFileName(link), CultureInfo.InvariantCulture), ownsHandle: false);
            return FallocateCall(borrowed, 0, 0, length) == 0;
        }

        return false;
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

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int StatVfsCall(string path, StatVfs* stat);

    [LibraryImport("libc", EntryPoint = "realpath", StringMarshalling = StringMarshalling.Utf8)]
    private static partial string? RealPathCall(string path, nint into);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FallocateCall(SafeFileHandle file, int mode, long offset, long length);
}
