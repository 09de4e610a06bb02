namespace Whistle.Actions.Files;

/// <summary>Where a path lies on its device, so that a folder is known under each of its names.</summary>
readonly record struct DevicePath(string Device, string Path)
{
    public bool IsWithin(DevicePath other) => Device == other.Device && VitalFolders.IsWithin(Path, other.Path);
}

/// <summary>The mounts of this process, as <c>/proc/self/mountinfo</c> lists them.</summary>
sealed class MountTable
{
    const int Id = 0, Device = 2, RootOnDevice = 3, MountPoint = 4;

    readonly Dictionary<ulong, string[]> _mounts = [];

    /// <exception cref="IOException">It cannot be read.</exception>
    public static MountTable Read()
    {
        var table = new MountTable();
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            if (line.Split(' ', MountPoint + 2) is { Length: > MountPoint } fields && ulong.TryParse(fields[Id], out var id))
                table._mounts[id] = fields;
        }

        return table;
    }

    /// <summary>Null where the kernel does not tell the mount of a name.</summary>
    /// <param name="path">Absolute and without links.</param>
    public DevicePath? Locate(string path, FileStat stat)
    {
        if (!_mounts.TryGetValue(stat.Mount, out var mount))
            return null;
        var escaped = Escape(path);
        if (!VitalFolders.IsWithin(escaped, mount[MountPoint]))
            return null;
        return new DevicePath(mount[Device], mount[RootOnDevice].TrimEnd('/') + escaped[mount[MountPoint].TrimEnd('/').Length..]);
    }

    /// <summary>What is mounted in folders, and where that lies on its device.</summary>
    public IEnumerable<(string MountPoint, DevicePath Place)> Within(IReadOnlyList<string> folders) => _mounts.Values
        .Where(m => folders.Any(f => VitalFolders.LiesIn(m[MountPoint], Escape(f))))
        .Select(m => (m[MountPoint], new DevicePath(m[Device], m[RootOnDevice])));

    // As the kernel does it.
    static string Escape(string path) =>
        path.Replace(@"\", @"\134", StringComparison.Ordinal).Replace(" ", @"\040", StringComparison.Ordinal)
            .Replace("\t", @"\011", StringComparison.Ordinal).Replace("\n", @"\012", StringComparison.Ordinal);
}
