namespace Whistle.Actions.Files;

/// <summary>
/// Who may change what a path leads to. Root may, and one user beside it; a fault names anybody else who could, with the command that ends
/// it. Where nobody else may change the names on the way, nothing can be exchanged between this look and the use either.
/// </summary>
static class PathTrust
{
    public const uint Root = 0;

    const int GroupOrWorldWritable = 0x12;
    const int Sticky = 0x200;
    const int MostLinks = 40;

    /// <summary>
    /// Looks at every folder from the root to what the path names, and at every link on the way. What is not there yet is no fault, and
    /// neither is what the path names: that is the caller's to look at.
    /// </summary>
    /// <param name="user">Trusted beside root.</param>
    /// <param name="followLast">Whether the last name may be a link too.</param>
    /// <param name="real">The path without links.</param>
    public static string? FaultOnTheWay(string path, uint user, bool followLast, out string real)
    {
        real = "/";
        if (Look(real, out var root) is { } hidden)
            return hidden;
        var fault = FaultOfParent(real, root, user);
        var left = new Stack<string>();
        Push(left, path);
        for (var links = 0; fault is null && left.TryPop(out var part);)
        {
            if (part == "..")
                real = Path.GetDirectoryName(real) ?? "/";
            else
                fault = Step(Path.Join(real, part), user, followLast, left, ref real, ref links);
        }

        return fault;
    }

    /// <summary>Why others than the trusted may change the file or folder itself, or null.</summary>
    public static string? Fault(string path, FileStat stat, uint user) =>
        !IsTrusted(stat.Owner, user)
            ? $"{path} belongs to uid {stat.Owner}, who may change it. Look at what it holds; then use: chown {Name(user)} {path}"
        : (stat.Mode & GroupOrWorldWritable) != 0
            ? $"{path} can be written by others ({Octal(stat)}). Look at what it holds; then use: chmod go-w {path}"
        : null;

    /// <summary>Why others than the trusted may decide what a file holds, links on the way included; null where it is not there.</summary>
    public static string? FaultOfFile(string path, uint user) =>
        FaultOnTheWay(path, user, followLast: true, out var real)
            ?? (Native.Stat(real, out var stat) == 0 ? Fault(real, stat, user) : null);

    public static string Octal(FileStat stat) => Convert.ToString(stat.Mode & 0xFFF, 8).PadLeft(4, '0');

    static string? FaultOfParent(string path, FileStat stat, uint user)
    {
        if (!IsTrusted(stat.Owner, user))
            return $"The folder {path} belongs to uid {stat.Owner}, who may exchange what lies below it. "
                + $"Choose another place, or use: chown {Name(user)} {path}";
        // In a sticky folder, as /tmp, only the owner of a name can exchange it, and every owner on the way is looked at.
        return (stat.Mode & GroupOrWorldWritable) != 0 && (stat.Mode & Sticky) == 0
            ? $"The folder {path} can be written by others ({Octal(stat)}), who may exchange what lies below it. "
                + $"Choose another place, or use: chmod go-w {path}"
            : null;
    }

    static string? Step(string next, uint user, bool followLast, Stack<string> left, ref string real, ref int links)
    {
        if (Look(next, out var stat) is { } hidden)
            return hidden;
        var isLast = left.Count == 0;
        if (stat.IsLink && (!isLast || followLast))
            return Follow(next, stat, user, left, ref real, ref links);
        real = next;
        return isLast ? null : FaultOfParent(next, stat, user);
    }

    static string? Follow(string path, FileStat link, uint user, Stack<string> left, ref string real, ref int links)
    {
        if (!IsTrusted(link.Owner, user))
            return $"{path} is a link that belongs to uid {link.Owner}, who may point it elsewhere. "
                + $"Look at where it leads; then use: chown -h {Name(user)} {path}";
        if (++links > MostLinks || new FileInfo(path).LinkTarget is not { Length: > 0 } target)
            return $"{path} is a link that leads nowhere. Use: rm {path}";
        if (target[0] == '/')
            real = "/";
        Push(left, target);
        return null;
    }

    static string? Look(string path, out FileStat stat)
    {
        var error = Native.Stat(path, out stat);
        return error is 0 or Native.NoEntry or Native.NotAFolder
            ? null : $"{path} cannot be looked at: {Native.Text(error)}. Let the user that runs this enter the folders above it.";
    }

    static void Push(Stack<string> left, string path)
    {
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(p => p != ".").Reverse())
            left.Push(part);
    }

    static bool IsTrusted(uint owner, uint user) => owner == Root || owner == user;

    static string Name(uint user) => user == Root ? "root" : $"{user}";
}
