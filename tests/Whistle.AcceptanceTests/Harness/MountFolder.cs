using System.Globalization;
using System.Text.RegularExpressions;

using Xunit;

[assembly: AssemblyFixture(typeof(Whistle.AcceptanceTests.LeftMounts))]

namespace Whistle.AcceptanceTests;

/// <summary>
/// A folder in which a test mounts. Its file <c>owner</c> holds the process of the test, its start, and every mount, each before it is
/// made: the next test run takes away what a process left that died.
/// </summary>
sealed class MountFolder : IDisposable
{
    readonly Stack<string> _mounts = new();

    MountFolder(string path) => FullPath = path;

    public string FullPath { get; }

    public static MountFolder Create()
    {
        Requirement.Root();
        var folder = new MountFolder(Directory.CreateTempSubdirectory(LeftMounts.Prefix).FullName);
        File.WriteAllText(LeftMounts.OwnerOf(folder.FullPath), $"{ProcessIdentity.Own}\n");
        return folder;
    }

    /// <summary>As <c>mount</c> has it; the last argument, where it is mounted, is made.</summary>
    public string Mount(params string[] arguments)
    {
        var target = arguments[^1];
        if (!Path.Exists(target))
            Directory.CreateDirectory(target);
        File.AppendAllText(LeftMounts.OwnerOf(FullPath), $"{target}\n");
        Shell.Run($"mount {string.Join(' ', arguments.Select(a => $"'{a}'"))}");
        _mounts.Push(target);
        return target;
    }

    /// <summary>A new ext4 of that size.</summary>
    public string MountExt4(int mebibytes, string target)
    {
        var image = Path.Combine(FullPath, "image");
        Shell.Run($"truncate -s {mebibytes}M '{image}' && mkfs.ext4 -q -F '{image}'");
        return Mount("-o", "loop", image, target);
    }

    public void Unmount()
    {
        while (_mounts.TryPop(out var mount))
            Shell.Run($"umount '{mount}' || umount -l '{mount}'");
    }

    public void Dispose()
    {
        Unmount();
        LeftMounts.Remove(FullPath);
    }
}

/// <summary>A process that is told from a later one of the same number by its start, in ticks since the boot.</summary>
readonly record struct ProcessIdentity(int Id, long Start)
{
    public static ProcessIdentity Own => Of(Environment.ProcessId)!.Value;

    public bool Lives => Of(Id) == this;

    public static ProcessIdentity? Of(int id)
    {
        try
        {
            // The name, in parentheses, may hold blanks and parentheses. The start is the 22nd field, the 20th after the name.
            var stat = File.ReadAllText($"/proc/{id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : new(id, long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (IOException)
        {
            return null;
        }
    }

    public static ProcessIdentity? Parse(string text) =>
        text.Split(' ') is [var id, var start] && int.TryParse(id, out var i) && long.TryParse(start, out var s) ? new(i, s) : null;

    public override string ToString() => $"{Id} {Start}";
}

/// <summary>At the start of a test run: unmounts and deletes what tests left whose process died, and nothing of one that runs.</summary>
public sealed partial class LeftMounts
{
    internal const string Prefix = "whistle-disk";

    // Before a folder says whose it is, or where an earlier release of these tests made it.
    static readonly TimeSpan Unclaimed = TimeSpan.FromDays(1);

    public LeftMounts()
    {
        if (Environment.UserName == "root" && OperatingSystem.IsLinux())
            CleanUp(Path.TrimEndingDirectorySeparator(Path.GetTempPath()));
    }

    internal static string OwnerOf(string folder) => Path.Combine(folder, "owner");

    internal static void CleanUp(string parent)
    {
        // Of root alone: anybody may make a folder there that names mounts.
        var folders = Shell.Run($"find '{parent}' -mindepth 1 -maxdepth 1 -type d -user 0 -name '{Prefix}*'");
        foreach (var folder in folders.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(IsLeft))
            Remove(folder);
    }

    /// <summary>Unmounts all that the folder names and all below it, then deletes it.</summary>
    /// <exception cref="InvalidOperationException">Something is still mounted below it, so nothing was deleted.</exception>
    internal static void Remove(string folder)
    {
        var named = Owner(folder).Skip(1).ToList();
        foreach (var mount in Mounted().Where(m => named.Contains(m) || IsBelow(folder, m)).Reverse())
            Shell.Run($"umount '{mount}' || umount -l '{mount}'");
        foreach (var device in LoopDevices(folder))
            Shell.Try($"losetup -d '{device}'");
        if (Mounted().FirstOrDefault(m => IsBelow(folder, m)) is { } left)
            throw new InvalidOperationException($"{left} is still mounted; unmount it, or the test run would delete what is in it.");
        Shell.Run($"rm -rf --one-file-system '{folder}'");
        foreach (var outside in named.Where(m => !IsBelow(folder, m) && Directory.Exists(m)))
            Shell.Try($"rmdir '{outside}'");
    }

    static bool IsLeft(string folder)
    {
        if (Owner(folder) is [var first, ..] && ProcessIdentity.Parse(first) is { } owner)
            return !owner.Lives;
        return TimeProvider.System.GetUtcNow() - Directory.GetLastWriteTimeUtc(folder) > Unclaimed;
    }

    static string[] Owner(string folder) => File.Exists(OwnerOf(folder)) ? File.ReadAllLines(OwnerOf(folder)) : [];

    static bool IsBelow(string folder, string path) => path.StartsWith(folder + "/", StringComparison.Ordinal);

    // In the order of mounting, so that what lies on another is later.
    static IEnumerable<string> Mounted() =>
        [.. File.ReadAllLines("/proc/self/mounts").Select(l => Octal().Replace(l.Split(' ')[1], Unescape))];

    static string Unescape(Match escape) => $"{(char)Convert.ToInt32(escape.Groups[1].Value, 8)}";

    static IEnumerable<string> LoopDevices(string folder) => Shell.Run("losetup --list --noheadings --output NAME,BACK-FILE")
        .Split('\n').Select(l => l.Split(' ', 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        .Where(l => l.Length == 2 && IsBelow(folder, l[1])).Select(l => l[0]);

    [GeneratedRegex(@"\\(\d{3})")]
    private static partial Regex Octal();
}
