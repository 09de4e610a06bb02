namespace Whistle.Actions.Files;

/// <summary>What a clean-up must not touch: a slip there would cost the node, or data that nobody can make again.</summary>
static class VitalFolders
{
    const int MostExpanded = 1000;

    // Neither one of these, nor anything below or above it, whatever the policy says.
    static readonly string[] Never =
    [
        "/bin", "/boot", "/dev", "/efi", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/ostree", "/proc", "/sbin",
        "/snap", "/sys", "/sysroot", "/usr", "/var/lib/containerd", "/var/lib/docker", "/var/lib/dpkg", "/var/lib/etcd", "/var/lib/kubelet",
        "/var/lib/rancher", "/var/lib/rpm", "/var/lib/whistle", "/var/lib/whistle-agent",
    ];

    // Likewise, but where the policy names the root among its vitalCleanRoots. A * is any one folder.
    static readonly string[] Unless =
    [
        "/home/*/.config", "/home/*/.local/share/whistle", "/opt/cni", "/opt/containerd", "/root/.config", "/root/.local/share/whistle",
        "/run", "/var/backups", "/var/db", "/var/lib", "/var/mail", "/var/run", "/var/snap", "/var/spool/cron", "/var/spool/mail",
        "/var/www",
    ];

    // Not one of these itself, nor anything above it; folders below it may be named.
    static readonly string[] Itself = ["/home", "/media", "/mnt", "/opt", "/root", "/run", "/srv", "/var", "/var/lib"];

    // Wherever they lie, a folder of such a name holds keys or a database. What lies among logs or caches only has their name.
    static readonly string[] Keys = [".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh"];

    static readonly string[] Databases =
    [
        "cassandra", "ceph", "clickhouse", "cockroach", "consul", "couchdb", "elasticsearch", "etcd", "grafana", "influxdb", "kafka",
        "longhorn", "mariadb", "minio", "mongo", "mongodb", "mysql", "neo4j", "opensearch", "pgdata", "pgsql", "postgres", "postgresql",
        "prometheus", "rabbitmq", "redis", "vault", "zookeeper",
    ];

    static readonly string[] OnlyNamed = ["/tmp", "/var/cache", "/var/log", "/var/tmp"];

    /// <summary>Why a root cannot be cleaned, or null.</summary>
    /// <param name="root">As the policy names it.</param>
    /// <param name="others">The agent's own files and folders, which are never cleaned.</param>
    /// <param name="named">The policy's <c>vitalCleanRoots</c>.</param>
    public static string? Refusal(string root, IReadOnlyList<string> others, IReadOnlyList<string> named)
    {
        if (!root.StartsWith('/'))
            return $"{root} is not an absolute path. Write it from / on.";
        if (root.Split('/').Any(part => part is "." or ".."))
            return $"{root} contains . or .. as a folder. Write the path that it stands for.";
        if (root.Contains('\0'))
            return "A root contains the character 0.";
        // Names are compared as on a file system that makes no difference between small and capital letters, for some make none.
        var parts = Parts(root);
        if (Never.Concat(others).FirstOrDefault(vital => Touches(parts, Parts(vital))) is { } never)
            return $"{root} is, holds or lies in {never}, which is never cleaned. Name another folder.";
        if (Itself.FirstOrDefault(vital => StartsWith(Parts(vital), parts)) is { } itself)
            return $"{root} is or holds {itself}, which is never cleaned as a whole. Name a folder below it.";
        if (named.Contains(root))
            return null;
        if (Unless.FirstOrDefault(vital => Touches(parts, Parts(vital))) is { } unless)
            return $"{root} is, holds or lies in {unless}, where data lies that nobody can make again. {Remedy}";
        var onlyNamed = OnlyNamed.Any(folder => StartsWith(parts, Parts(folder)));
        if (parts.FirstOrDefault(p => Keys.Contains(p, StringComparer.OrdinalIgnoreCase)
            || (!onlyNamed && Databases.Contains(p, StringComparer.OrdinalIgnoreCase))) is { } part)
            return $"{root} lies in a folder {part}, as keys and databases do. {Remedy}";
        // Somebody's home holds their keys.
        return parts is ["home", _] ? $"{root} is somebody's home with all their keys. {Remedy}" : null;
    }

    /// <summary>
    /// Why an open root cannot be cleaned that is, holds or lies in a vital folder under another name (a link, a bind mount), or null.
    /// </summary>
    public static string? Alias(string root, FileStat stat, IReadOnlyList<string> others, IReadOnlyList<string> named)
    {
        var mounts = MountTable.Read();
        var place = mounts.Locate(root, stat);
        string[] within = [.. Never, .. others, .. named.Contains(root) ? [] : Unless.Concat(
            Keys.SelectMany(k => new[] { $"/root/{k}", $"/home/*/{k}" }))];
        foreach (var vital in within.SelectMany(Expand).Concat(Itself).Append("/"))
        {
            if (Native.RealPath(vital) is not { } real || Native.StatFollowing(real, out var its) != 0)
                continue;
            var same = its.Identity == stat.Identity;
            if (place is { } here && mounts.Locate(real, its) is { } there)
                same |= there.IsWithin(here) || (here.IsWithin(there) && vital != "/" && !Itself.Contains(vital));
            if (same)
                return Alias(root, vital);
        }

        // A file system that is mounted within a vital folder is on a device of its own.
        return place is { } mine
            && mounts.Within(within).FirstOrDefault(m => m.Place.IsWithin(mine) || mine.IsWithin(m.Place)) is { MountPoint: { } mounted }
            ? Alias(root, mounted) : null;
    }

    public static bool IsWithin(string path, string folder)
    {
        folder = folder.TrimEnd('/');
        return path.TrimEnd('/').StartsWith(folder, StringComparison.Ordinal)
            && (path.TrimEnd('/').Length == folder.Length || path[folder.Length] == '/');
    }

    /// <summary>Whether a path is the folder or lies in it, where <c>*</c> is any one folder.</summary>
    public static bool LiesIn(string path, string folder) => StartsWith(Parts(path), Parts(folder));

    const string Remedy = "Name another folder, or, if it must be cleaned, name this root in vitalCleanRoots too.";

    static string Alias(string root, string vital) => $"{root} is, holds or lies in {vital} under another name, which is never cleaned.";

    static string[] Parts(string path) => path.Split('/', StringSplitOptions.RemoveEmptyEntries);

    static bool Touches(string[] one, string[] other) => StartsWith(one, other) || StartsWith(other, one);

    static bool StartsWith(string[] path, string[] folder) =>
        path.Length >= folder.Length && folder.Zip(path).All(
            p => p.First == "*" || p.Second == "*" || string.Equals(p.First, p.Second, StringComparison.OrdinalIgnoreCase));

    static IEnumerable<string> Expand(string folder)
    {
        var at = folder.IndexOf("/*/", StringComparison.Ordinal);
        if (at < 0)
            return [folder];
        try
        {
            return [.. Directory.EnumerateDirectories(folder[..at]).Take(MostExpanded).Select(d => d + folder[(at + 2)..])];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
