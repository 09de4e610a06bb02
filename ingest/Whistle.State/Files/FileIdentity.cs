using System.Runtime.InteropServices;
using System.Text;

namespace Whistle.State.Files;

/// <summary>Which file a path leads to now. A file that replaces it has another identity, whatever its content.</summary>
/// <param name="Born">In seconds since 1970 UTC; 0 where the file system does not say. An inode number may be used again after its file was
/// deleted.</param>
public readonly partial record struct FileIdentity(ulong Device, ulong Inode, long Born)
{
    const int CurrentFolder = -100;
    const uint InodeAndBirth = 0x900;
    const uint HasBirth = 0x800;

    /// <summary>Null where there is no such file, or the platform does not say.</summary>
    public static unsafe FileIdentity? Of(string path)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        StatX stat;
        fixed (byte* name = Encoding.UTF8.GetBytes(path + "\0"))
        {
            if (StatCall(CurrentFolder, name, 0, InodeAndBirth, &stat) != 0)
                return null;
        }

        return new((ulong)stat.DeviceMajor << 32 | stat.DeviceMinor, stat.Inode, (stat.Mask & HasBirth) != 0 ? stat.Born : 0);
    }

    // The layout is the same on all of 64-bit Linux.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    struct StatX
    {
        [FieldOffset(0)]
        public uint Mask;
        [FieldOffset(32)]
        public ulong Inode;
        [FieldOffset(80)]
        public long Born;
        [FieldOffset(136)]
        public uint DeviceMajor;
        [FieldOffset(140)]
        public uint DeviceMinor;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static unsafe partial int StatCall(int folder, byte* name, int flags, uint mask, StatX* stat);
}
