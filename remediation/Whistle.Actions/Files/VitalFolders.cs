namespace Whistle.Actions.Files;

/// <summary>What no policy can open to a clean-up: a slip there would cost the node.</summary>
static class VitalFolders
{
    // Neither one of these, nor anything below or above it.
    static readonly string[] Whole =
    [
        "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr", "/var/lib/containerd",
        "/var/lib/docker", "/var/lib/dpkg", "/var/lib/etcd", "/var/lib/kubelet", "/var/lib/rancher", "/var/lib/rpm", "/var/lib/whistle-agent",
    ];

    // Not one of these itself, nor anything above it; folders below it may be named.
    static readonly string[] Itself = ["/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/var", "/var/lib"];

    /// <summary>Why a root cannot be cleaned, or null.</summary>
    public static string? Refusal(string root, IReadOnlyList<string> others)
    {
        if (!root.StartsWith('/'))
            return $"{root} is no absolute path. Write it from / on.";
        if (root.Split('/').Any(part => part is "." or ".."))
            return $"{root} contains . or .. as a folder. Write the path that it stands for.";
        if (root.Contains('\0'))
            return "A root contains the character 0.";
        if (Whole.Concat(others).FirstOrDefault(vital => IsWithin(root, vital) || IsWithin(vital, root)) is { } whole)
            return $"{root} is, holds or lies in {whole}, which is never cleaned. Name another folder.";
        if (Itself.FirstOrDefault(vital => IsWithin(vital, root)) is { } itself)
            return $"{root} is or holds {itself}, which is never cleaned as a whole. Name a folder below it.";
        return null;
    }

    /// <summary>Why an open root cannot be cleaned that is, holds or lies in a vital folder under another name (a link, a bind mount), or null.</summary>
    public static string? Alias(string root, FileStat stat, IReadOnlyList<string> others)
    {
        var mounts = MountTable.Read();
        var place = mounts.Locate(root, stat);
        foreach (var vital in Whole.Concat(others).Concat(Itself).Append("/"))
        {
            if (Native.RealPath(vital) is not { } real || Native.StatFollowing(real, out var its) != 0)
                continue;
            var same = its.Identity == stat.Identity;
            if (place is { } here && mounts.Locate(real, its) is { } there)
                same |= there.IsWithin(here) || (here.IsWithin(there) && vital != "/" && !Itself.Contains(vital));
            if (same)
                return $"{root} is, holds or lies in {vital} under another name, which is never cleaned.";
        }

        return null;
    }

    public static bool IsWithin(string path, string folder)
    {
        folder = folder.TrimEnd('/');
        return path.TrimEnd('/').StartsWith(folder, StringComparison.Ordinal)
            && (path.TrimEnd('/').Length == folder.Length || path[folder.Length] == '/');
    }
}
