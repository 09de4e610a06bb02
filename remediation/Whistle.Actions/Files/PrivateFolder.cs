using System.Runtime.Versioning;

namespace Whistle.Actions.Files;

/// <summary>
/// Somebody else could have put something into a folder that must be this program's own. The message says what, and the command that ends
/// it.
/// </summary>
public sealed class UntrustedFolderException : IOException
{
    public UntrustedFolderException()
    {
    }

    public UntrustedFolderException(string message)
        : base(message)
    {
    }

    public UntrustedFolderException(string message, Exception inner)
        : base(message, inner)
    {
    }
}

/// <summary>
/// A folder of which this program believes what it finds there, because nobody else could have put it there. What lies open for others to
/// write, or is theirs, is refused; what they could only read, as older versions left it, is closed.
/// </summary>
/// <param name="secrets">Names below it that are refused, not closed, where others can read them: no version left them so.</param>
/// <param name="linkable">A name right below it whose files may have further names, as a copy by hard links makes them; they are never
/// written to.</param>
public sealed class PrivateFolder(string folder, IReadOnlyList<string> secrets, string? linkable = null)
{
    const int ForOthers = 0x3F;
    const int MostNamed = 5;
    const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    readonly string _folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
    readonly uint _user = Native.IsKnown ? Native.EffectiveUser : PathTrust.Root;

    /// <summary>For root, the owner of a folder; null for everybody else, and where it is not known.</summary>
    public static uint? OwnerForRoot(string folder) =>
        Native.IsKnown && Native.EffectiveUser == PathTrust.Root
            && Native.Stat(Path.GetFullPath(folder), out var stat) == 0 ? stat.Owner : null;

    /// <summary>Makes it where there is none, looks at it and all that lies in it, and closes what stands open.</summary>
    /// <returns>What was closed, in a sentence; null where nothing was.</returns>
    /// <exception cref="UntrustedFolderException">It, a folder above it, or something in it is not to be trusted.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public string? Prepare()
    {
        if (!Native.IsKnown)
        {
            Directory.CreateDirectory(_folder);
            return null;
        }

        var real = Make();
        List<string> closed = [];
        var left = new Stack<string>([real]);
        while (left.TryPop(out var path))
        {
            if (Look(path, real, closed) is { IsFolder: true })
                Entries(path).ForEach(left.Push);
        }

        return closed.Count == 0 ? null
            : "Closed to other users, who could read it: "
                + $"{string.Join(", ", closed.Take(MostNamed))}"
                + $"{(closed.Count > MostNamed ? $" and {closed.Count - MostNamed} more" : "")}.";
    }

    /// <summary>Makes the folder where there is none, and looks at it and all above it, not at what lies in it.</summary>
    /// <returns>Its path without links.</returns>
    /// <exception cref="UntrustedFolderException">It or a folder above it is not to be trusted.</exception>
    /// <exception cref="IOException">It cannot be made.</exception>
    public string Make()
    {
        if (!Native.IsKnown)
            return Directory.CreateDirectory(_folder).FullName;
        Refuse(PathTrust.FaultOnTheWay(_folder, _user, followLast: true, out var real));
        Directory.CreateDirectory(real, Owner);
        Refuse(Native.Stat(real, out var stat) == 0 ? FaultOfKind(real, stat) ?? PathTrust.Fault(real, stat, _user) : null);
        return real;
    }

    /// <summary>Why a file in a trusted folder, which need not be there, is not to be trusted; null where it is.</summary>
    public static string? FaultOfFile(string path, uint user) =>
        Native.Stat(path, out var stat) != 0 ? null
            : FaultOfKind(path, stat)
            ?? (stat.IsFolder ? $"{path} is a folder, where a file belongs. Look at what it holds; then use: rm -r {path}" : null)
            ?? PathTrust.Fault(path, stat, user) ?? (stat.Links > 1 ? FurtherNames(path, stat) : null);

    [SupportedOSPlatform("linux")]
    FileStat? Look(string path, string real, List<string> closed)
    {
        // What goes while it is looked at (a log, a temporary file) is no fault.
        if (Native.Stat(path, out var stat) is var error and not 0)
            return error == Native.NoEntry ? null : throw new UntrustedFolderException(
                $"{path} cannot be looked at: {Native.Text(error)}.");
        Refuse(FaultOfKind(path, stat) ?? PathTrust.Fault(path, stat, _user) ?? FaultOfNames(path, real, stat));
        if ((stat.Mode & ForOthers) == 0)
            return stat;
        if (secrets.Contains(Path.GetRelativePath(real, path)))
            Refuse($"{path} can be read by others ({PathTrust.Octal(stat)}), who may know the secret by now. "
                + $"Delete it to have a new one made, or use: chmod 600 {path}");
        // What root put there for this user is root's to close.
        if (stat.Owner != _user)
            return stat;
        File.SetUnixFileMode(path, (UnixFileMode)(stat.Mode & (int)Owner));
        closed.Add($"{path} ({PathTrust.Octal(stat)})");
        return stat;
    }

    // What this user cannot read (lost+found) it cannot be misled by.
    static List<string> Entries(string path)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(path)];
        }
        catch (Exception e) when (e is UnauthorizedAccessException or DirectoryNotFoundException)
        {
            return [];
        }
    }

    static string? FaultOfKind(string path, FileStat stat) =>
        stat.IsLink ? $"{path} is a link, which is not followed here. Look at where it leads; then use: rm {path}"
        : !stat.IsFile && !stat.IsFolder ? $"{path} is neither a file nor a folder. Use: rm {path}"
        : null;

    string? FaultOfNames(string path, string real, FileStat stat) =>
        stat.IsFile && stat.Links > 1
            && !(linkable is not null && path.StartsWith(Path.Join(real, linkable) + "/", StringComparison.Ordinal))
            ? FurtherNames(path, stat)
            : null;

    static string FurtherNames(string path, FileStat stat) =>
        $"{path} has {stat.Links} names, so it may be read and written under another one. "
        + $"Use: cp -p {path} {path}.copy; mv {path}.copy {path}";

    static void Refuse(string? fault)
    {
        if (fault is not null)
            throw new UntrustedFolderException(fault);
    }
}
