using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using System.Text;

using Microsoft.Win32.SafeHandles;

namespace Whistle.Actions.Files;

/// <summary>What a name stands for. Times in seconds since 1970 UTC, sizes in bytes.</summary>
/// <param name="Mount">Tells bind mounts of one device apart. Kernels before 5.8 tell it of open folders only and leave it 0 for
/// names.</param>
/// <param name="Fixed">Immutable or append-only, so that not even root can remove it, or a name from it.</param>
readonly record struct FileStat(
    ushort Mode, uint Links, uint Owner, ulong Device, ulong Mount, ulong Inode, long Length, long Allocated, long Modified, long Changed,
    bool Fixed)
{
    const int TypeMask = 0xF000;

    public bool IsFolder => (Mode & TypeMask) == 0x4000;

    public bool IsFile => (Mode & TypeMask) == 0x8000;

    public bool IsLink => (Mode & TypeMask) == 0xA000;

    public (ulong, ulong) Identity => (Device, Inode);

    public bool SameMount(FileStat other) => Device == other.Device && (Mount == other.Mount || Mount == 0 || other.Mount == 0);

    public bool SameFolder(FileStat other) => IsFolder && SameMount(other) && Inode == other.Inode;
}

/// <summary>
/// Calls relative to an open folder, so that nothing that happens to the path above it matters. 64-bit Linux on x86 and ARM. Each answers 0
/// or an errno; names are bytes that end in 0.
/// </summary>
static unsafe partial class Native
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int NoProcess = 3;
    public const int WouldBlock = 11;
    public const int NoAccess = 13;
    public const int Exists = 17;
    public const int NotAFolder = 20;
    public const int Invalid = 22;
    public const int ReadOnly = 30;
    public const int NoCall = 38;
    public const int IsALink = 40;

    const int CurrentFolder = -100;
    const int NoFollow = 0x100;
    const int NoAutomount = 0x800;
    const int EmptyPath = 0x1000;
    const int DoNotSync = 0x4000;
    const uint BasicAndMount = 0x7ff | 0x1000;
    const uint HasMount = 0x1000;
    const nint DoNotReplace = 1;
    const nint ExchangeNames = 2;
    const int LockExclusive = 2;
    const int LockNothing = 8;
    const int LockNonBlocking = 4;
    const int ReadWrite = 2;
    const int Create = 0x40;
    const int Exclusive = 0x80;
    const int OwnerMayReadAndWrite = 0x180;
    const int CloseOnExec = 0x80000;
    const int NonBlocking = 0x800;
    const int WriteOnly = 1;
    const int PathOnly = 0x200000;
    const int WriteAccess = 2;
    const int PunchHoleKeepSize = 3;
    const int Interrupted = 4;
    const ulong ImmutableOrAppend = 0x30;

    static readonly bool IsArm = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    static readonly int FolderOnly = IsArm ? 0x4000 : 0x10000;
    static readonly int DoNotFollow = IsArm ? 0x8000 : 0x20000;
    static readonly nint GetDents = IsArm ? 61 : 217;
    static readonly nint Rename = IsArm ? 276 : 316;

    /// <summary>Whether this is Linux on a processor whose calls are known here.</summary>
    [SupportedOSPlatformGuard("linux")]
    public static bool IsKnown { get; } =
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64;

    /// <exception cref="PlatformNotSupportedException">This is no Linux on a processor whose calls are known here.</exception>
    public static void RequireLinux()
    {
        if (!IsKnown)
            throw new PlatformNotSupportedException("This action is for 64-bit Linux on x86 and ARM only.");
    }

    public static string Text(int error) => new Win32Exception(error).Message;

    /// <summary>Never follows a link.</summary>
    public static int Stat(int folder, byte* name, out FileStat stat) => Stat(folder, name, NoFollow | NoAutomount, out stat);

    public static int Stat(int file, out FileStat stat)
    {
        byte empty = 0;
        var error = Stat(file, &empty, EmptyPath | NoAutomount, out stat);
        if (error == 0 && stat.Mount == 0)
            stat = stat with { Mount = MountOf(file) };
        return error;
    }

    /// <summary>Of the name itself, not of what a link leads to.</summary>
    public static int Stat(string path, out FileStat stat)
    {
        fixed (byte* name = Terminated(path))
            return Stat(CurrentFolder, name, out stat);
    }

    /// <summary>The mount that something open lies on, as every kernel since 3.15 tells it; 0 where it does not.</summary>
    public static ulong MountOf(int file)
    {
        const string key = "mnt_id:";
        try
        {
            var line = File.ReadLines($"/proc/self/fdinfo/{file}").FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal));
            return ulong.TryParse(line.AsSpan(line is null ? 0 : key.Length), out var mount) ? mount : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    /// <summary>Follows links, as those of <c>/proc/*/fd</c>, and does not wait for the server of a network file system.</summary>
    public static int StatFollowing(string path, out FileStat stat) => StatFollowing(Terminated(path), out stat);

    /// <inheritdoc cref="StatFollowing(string, out FileStat)"/>
    public static int StatFollowing(byte[] terminated, out FileStat stat)
    {
        fixed (byte* name = terminated)
            return Stat(CurrentFolder, name, DoNotSync | NoAutomount, out stat);
    }

    /// <summary>The path without links that a path leads to, or null where it leads nowhere.</summary>
    public static string? RealPath(string path)
    {
        fixed (byte* name = Terminated(path))
        {
            if (Open(CurrentFolder, name, PathOnly | CloseOnExec, out var opened) != 0)
                return null;
            var real = new FileInfo($"/proc/self/fd/{opened}").LinkTarget;
            Close(opened);
            return real;
        }
    }

    /// <summary>Opens a folder that is no link, for reading.</summary>
    public static int OpenFolder(int folder, byte* name, out int opened) =>
        Open(folder, name, FolderOnly | DoNotFollow | CloseOnExec, out opened);

    /// <summary>Opens whatever is no link, for reading, without waiting for the other end of a pipe.</summary>
    public static int OpenFile(string path, out int opened)
    {
        fixed (byte* name = Terminated(path))
            return Open(CurrentFolder, name, DoNotFollow | CloseOnExec | NonBlocking, out opened);
    }

    /// <inheritdoc cref="OpenFile(string, out int)"/>
    public static int OpenFile(int folder, byte* name, bool write, out int opened) =>
        Open(folder, name, DoNotFollow | CloseOnExec | NonBlocking | (write ? WriteOnly : 0), out opened);

    /// <summary>Opens a folder a second time, to be read from its start.</summary>
    public static int Reopen(int folder, out int opened)
    {
        fixed (byte* itself = ".\0"u8)
            return OpenFolder(folder, itself, out opened);
    }

    /// <summary>False where the file cannot be read or is shorter.</summary>
    public static bool ReadStart(int folder, byte[] terminated, Span<byte> start)
    {
        fixed (byte* name = terminated)
        {
            if (OpenFile(folder, name, write: false, out var opened) != 0)
                return false;
            using var file = new SafeFileHandle(opened, ownsHandle: true);
            try
            {
                return RandomAccess.Read(file, start, 0) == start.Length;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                return false;
            }
        }
    }

    /// <summary>
    /// Opens an absolute path name by name; a link at any place fails with <see cref="IsALink"/> or <see cref="NotAFolder"/>.
    /// </summary>
    public static int OpenFolder(string path, out int opened)
    {
        fixed (byte* root = "/\0"u8)
        {
            if (OpenFolder(CurrentFolder, root, out opened) is var error and not 0)
                return error;
        }

        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var above = opened;
            int error;
            fixed (byte* name = Terminated(part))
                error = OpenFolder(above, name, out opened);
            Close(above);
            if (error != 0)
                return error;
        }

        return 0;
    }

    /// <summary>Entries as the kernel lays them out; the length is 0 at the folder's end.</summary>
    public static int ReadFolder(int folder, Span<byte> buffer, out int length)
    {
        fixed (byte* start = buffer)
        {
            var result = SystemCall(GetDents, folder, start, buffer.Length);
            length = (int)Math.Max(0, result);
            return result < 0 ? Marshal.GetLastPInvokeError() : 0;
        }
    }

    public static int Seek(int folder, long position) => LseekCall(folder, position, 0) < 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Removes a name that is not a folder; a link itself, not what it points to.</summary>
    public static int Unlink(int folder, byte* name) => UnlinkCall(folder, name, 0) != 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Why no name could be removed from a folder (its rights, a read-only file system, immutable), or 0.</summary>
    public static int MayWrite(int folder)
    {
        fixed (byte* itself = ".\0"u8)
            return AccessCall(folder, itself, WriteAccess, 0) != 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Gives the blocks of a file back where the file system can, whoever still holds it open.</summary>
    // Only whole blocks are given back, and no block is larger than a mebibyte.
    public static void FreeBlocks(int file, long length) => _ = AllocateCall(file, PunchHoleKeepSize, 0, length + (1 << 20));

    /// <summary>Makes the names in a folder durable.</summary>
    public static int SyncFolder(string path)
    {
        fixed (byte* name = Terminated(path))
        {
            if (Open(CurrentFolder, name, FolderOnly | CloseOnExec, out var opened) is var error and not 0)
                return error;
            var result = SyncCall(opened) != 0 ? Marshal.GetLastPInvokeError() : 0;
            Close(opened);
            return result;
        }
    }

    /// <summary>Opens a file that is no link for reading and writing; one that is made is for its owner alone.</summary>
    public static int OpenOrMake(string path, out int opened, out bool isMade)
    {
        fixed (byte* name = Terminated(path))
        {
            const int flags = ReadWrite | CloseOnExec | NonBlocking;
            int error;
            do
            {
                isMade = false;
                error = Open(CurrentFolder, name, flags | DoNotFollow, out opened);
                if (error == NoEntry)
                    (error, isMade) = (Make(name, flags | Create | Exclusive, out opened), true);
            }
            while (error == Exists);
            return error;
        }
    }

    /// <summary>Releases the lock at once, even while a child process that is being started still has the file open.</summary>
    public static void Unlock(int file) => LockCall(file, LockNothing);

    /// <summary>
    /// Takes the lock of an open file, which goes with the last process that has it open; <see cref="WouldBlock"/> where another has it.
    /// </summary>
    public static int Lock(int file)
    {
        while (LockCall(file, LockExclusive | LockNonBlocking) != 0)
        {
            if (Marshal.GetLastPInvokeError() is var error and not Interrupted)
                return error;
        }

        return 0;
    }

    /// <summary>Gives an open file to another user.</summary>
    public static int Give(int file, uint user) => OwnerCall(file, user, uint.MaxValue) != 0 ? Marshal.GetLastPInvokeError() : 0;

    /// <summary>Exchanges two names in one step. Not every file system can.</summary>
    public static int Exchange(string one, string other)
    {
        fixed (byte* a = Terminated(one), b = Terminated(other))
            return RenameCall(Rename, CurrentFolder, a, CurrentFolder, b, ExchangeNames) != 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>
    /// Gives a file its name unless the name is taken (<see cref="Exists"/>). Some file systems cannot: <see cref="Invalid"/>.
    /// </summary>
    public static int RenameNew(string from, string to)
    {
        fixed (byte* old = Terminated(from), name = Terminated(to))
            return RenameCall(Rename, CurrentFolder, old, CurrentFolder, name, DoNotReplace) != 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    public static uint EffectiveUser => UserCall();

    /// <summary>The bits of a mode that no new file of this process has; answers those before.</summary>
    public static uint SetUmask(uint mask) => UmaskCall(mask);

    public static void Close(int file)
    {
        if (file >= 0)
            _ = CloseCall(file);
    }

    static byte[] Terminated(string path) => Encoding.UTF8.GetBytes(path + "\0");

    static int Open(int folder, byte* name, int flags, out int opened)
    {
        while (true)
        {
            opened = OpenCall(folder, name, flags);
            if (opened >= 0)
                return 0;
            if (Marshal.GetLastPInvokeError() is var error and not Interrupted)
                return error;
        }
    }

    static int Make(byte* name, int flags, out int opened)
    {
        opened = MakeCall(CurrentFolder, name, flags, OwnerMayReadAndWrite);
        return opened >= 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    static int Stat(int folder, byte* name, int flags, out FileStat stat)
    {
        StatX raw;
        stat = default;
        if (StatCall(folder, name, flags, BasicAndMount, &raw) != 0)
            return Marshal.GetLastPInvokeError();
        stat = new FileStat(
            raw.Mode, raw.Links, raw.Owner, (ulong)raw.DeviceMajor << 32 | raw.DeviceMinor, (raw.Mask & HasMount) != 0 ? raw.Mount : 0,
            raw.Inode, (long)raw.Size, (long)raw.Blocks * 512, raw.Modified, raw.Changed, (raw.Attributes & ImmutableOrAppend) != 0);
        return 0;
    }

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    struct StatX
    {
        [FieldOffset(0)]
        public uint Mask;
        [FieldOffset(8)]
        public ulong Attributes;
        [FieldOffset(16)]
        public uint Links;
        [FieldOffset(20)]
        public uint Owner;
        [FieldOffset(28)]
        public ushort Mode;
        [FieldOffset(32)]
        public ulong Inode;
        [FieldOffset(40)]
        public ulong Size;
        [FieldOffset(48)]
        public ulong Blocks;
        [FieldOffset(96)]
        public long Changed;
        [FieldOffset(112)]
        public long Modified;
        [FieldOffset(136)]
        public uint DeviceMajor;
        [FieldOffset(140)]
        public uint DeviceMinor;
        [FieldOffset(144)]
        public ulong Mount;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true)]
    private static partial int StatCall(int folder, byte* name, int flags, uint mask, StatX* stat);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenCall(int folder, byte* name, int flags);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int MakeCall(int folder, byte* name, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int LockCall(int file, int operation);

    [LibraryImport("libc", EntryPoint = "fchown", SetLastError = true)]
    private static partial int OwnerCall(int file, uint user, uint group);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkCall(int folder, byte* name, int flags);

    [LibraryImport("libc", EntryPoint = "faccessat", SetLastError = true)]
    private static partial int AccessCall(int folder, byte* name, int mode, int flags);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int AllocateCall(int file, int mode, long offset, long length);

    // The C library has no portable name for reading a folder in bulk.
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint file, byte* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint RenameCall(nint number, nint fromFolder, byte* from, nint toFolder, byte* to, nint flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int SyncCall(int file);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint UserCall();

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial uint UmaskCall(uint mask);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long LseekCall(int file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseCall(int file);
}
