using System.Runtime.InteropServices;
using System.Text;

using Whistle.Actions.Contract;
using Whistle.Actions.Secrets;

namespace Whistle.Actions.Diagnostics;

/// <summary>
/// The mounts with their space and inodes. A network file system is only named: its server may not answer, and asking would wait for it.
/// </summary>
static unsafe partial class DiskPart
{
    const int MostMounts = 300;
    const int Device = 0, MountedOn = 1, Type = 2, Options = 3;

    static readonly string[] OverNetwork = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs", "lustre", "afs"];

    // Nothing is stored in them.
    static readonly string[] OfKernel =
    [
        "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "configfs",
        "fusectl", "hugetlbfs", "autofs", "binfmt_misc", "nsfs", "rpc_pipefs", "efivarfs", "selinuxfs",
    ];

    static readonly string[] HarmlessOptions =
    [
        "errors", "data", "commit", "barrier", "stripe", "size", "mode", "uid", "gid", "fmask", "dmask", "umask", "nr_inodes", "inode64",
        "logbufs", "logbsize", "sunit", "swidth", "subvolid", "subvol", "compress", "discard", "space_cache", "vers", "rsize", "wsize",
        "hard", "soft", "timeo", "retrans", "proto", "sec", "local_lock", "cache", "codepage", "iocharset", "xino", "index",
    ];

    public static string Read(string proc, CancellationToken cancellation)
    {
        var text = new StringBuilder("DEVICE ON TYPE SIZE AVAILABLE USED% INODES INODES_FREE OPTIONS\n");
        var first = Path.Join(proc, "1/mounts");
        var mounts = ProcText.Lines(File.Exists(first) ? first : Path.Join(proc, "mounts")).Select(l => l.Split(' '))
            .Where(f => f.Length > Options && !OfKernel.Contains(f[Type])).DistinctBy(f => f[MountedOn]).ToList();
        foreach (var mount in mounts.Take(MostMounts))
        {
            if (cancellation.IsCancellationRequested)
                break;
            text.Append(mount[Device]).Append(' ').Append(mount[MountedOn]).Append(' ').Append(mount[Type]).Append(' ')
                .Append(Space(mount)).Append(' ').Append(Shown(mount[Options])).Append('\n');
        }

        if (mounts.Count > MostMounts)
            text.Append($"… {mounts.Count - MostMounts} more\n");
        return text.ToString();
    }

    // A file system takes secrets among its options too: password= of cifs, secret= of ceph.
    static string Shown(string options) => string.Join(',', options.Split(',').Select(o =>
        o.IndexOf('=') is >= 0 and var at && !HarmlessOptions.Contains(o[..at]) ? $"{o[..at]}={Redaction.Gone}" : o));

    static string Space(string[] mount)
    {
        if (OverNetwork.Contains(mount[Type]) || mount[Type].StartsWith("fuse", StringComparison.Ordinal))
            return "not-asked - - - -";
        StatVfs stat;
        if (StatVfsCall(Unescape(mount[MountedOn]), &stat) != 0)
            return "unknown - - - -";
        var size = (long)(stat.Blocks * stat.FragmentSize);
        var used = stat.Blocks == 0 ? 0 : 100 - 100.0 * stat.Free / stat.Blocks;
        return $"{Compact(size)} {Compact((long)(stat.Available * stat.FragmentSize))} {used:0.0} {stat.Files} {stat.FilesFree}";
    }

    static string Compact(long bytes) => Bytes.Text(bytes).Replace(" ", "", StringComparison.Ordinal);

    // As the kernel escapes it.
    static string Unescape(string path) =>
        path.Replace(@"\040", " ", StringComparison.Ordinal).Replace(@"\011", "\t", StringComparison.Ordinal)
            .Replace(@"\012", "\n", StringComparison.Ordinal).Replace(@"\134", @"\", StringComparison.Ordinal);

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    struct StatVfs
    {
        [FieldOffset(8)]
        public ulong FragmentSize;
        [FieldOffset(16)]
        public ulong Blocks;
        [FieldOffset(24)]
        public ulong Free;
        [FieldOffset(32)]
        public ulong Available;
        [FieldOffset(40)]
        public ulong Files;
        [FieldOffset(48)]
        public ulong FilesFree;
    }

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatVfsCall(string path, StatVfs* stat);
}
