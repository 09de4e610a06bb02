using System.Globalization;
using System.IO.Hashing;
using System.Text;

namespace Whistle.State;

/// <summary>
/// The file beside a state file that remembers which state belongs there and how far it had come: SQLite takes a missing or shortened log,
/// or an older file, for what is true. It is overwritten in place after each commit and never flushed, so it is at most as new as the
/// state.
/// </summary>
/// <param name="Id">Of the state.</param>
/// <param name="Commits">So many were made at least.</param>
/// <param name="Base">So many are in the file itself, without its log.</param>
sealed record StateMark(string Id, long Commits, long Base)
{
    public const string Suffix = "-instance";

    /// <summary>The row of <c>seals</c> whose total counts the commits.</summary>
    public const string Scope = "commits";

    const string Head = "whistle state ";

    // One line of one length, within a sector: it is never written by halves.
    byte[] Line()
    {
        var text = string.Create(CultureInfo.InvariantCulture, $"{Head}{Id} {Commits:D19} {Base:D19} ");
        return Encoding.ASCII.GetBytes($"{text}{Hash(text)}\n");
    }

    /// <summary>Null where there is none.</summary>
    /// <exception cref="StateException">It is damaged.</exception>
    public static StateMark? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        var text = File.ReadAllText(path, Encoding.Latin1);
        var parts = text.TrimEnd('\n').Split(' ');
        if (parts is ["whistle", "state", var id, var commits, var inFile, var hash]
            && hash == Hash(text[..(text.Length - hash.Length - 1)])
            && long.TryParse(commits, NumberStyles.None, CultureInfo.InvariantCulture, out var c)
            && long.TryParse(inFile, NumberStyles.None, CultureInfo.InvariantCulture, out var b))
            return new(id, c, b);
        throw new StateException(
            text.Length == 0 ? "It is empty, as a start that accepts the state leaves it if it ends early." : "It is damaged.");
    }

    /// <summary>Makes the file whole.</summary>
    public void Create(string path)
    {
        var fresh = $"{path}.new";
        using (var stream = StateFiles.CreatePrivate(fresh))
        {
            stream.Write(Line());
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }

    public void Write(Microsoft.Win32.SafeHandles.SafeFileHandle file) => RandomAccess.Write(file, Line(), 0);

    static string Hash(string text) => Convert.ToHexStringLower(XxHash64.Hash(Encoding.Latin1.GetBytes(text)));
}

static class StateFiles
{
    /// <summary>Empties what is there.</summary>
    public static FileStream CreatePrivate(string path)
    {
        File.Delete(path);
        return OperatingSystem.IsWindows()
            ? new(path, FileMode.CreateNew, FileAccess.Write)
            : new(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            });
    }
}
