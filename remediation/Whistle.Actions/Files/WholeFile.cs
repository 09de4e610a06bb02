using System.Security.Cryptography;

namespace Whistle.Actions.Files;

/// <summary>
/// Writes a file for its owner alone, in such an order that under its name is all of it or what was there before, whenever the process ends
/// or the disk is full: a new file beside it, on the disk, then its name, on the disk.
/// </summary>
public static class WholeFile
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>False where the name is taken; then nothing is changed.</summary>
    /// <exception cref="IOException">It could not be written; nothing is changed.</exception>
    public static bool TryCreate(string path, ReadOnlySpan<byte> content) => Write(path, content, TryName);

    /// <exception cref="IOException">It could not be written; what was there stays.</exception>
    public static void Replace(string path, ReadOnlySpan<byte> content) => Write(path, content, static (fresh, name) =>
    {
        File.Move(fresh, name, overwrite: true);
        return true;
    });

    static bool Write(string path, ReadOnlySpan<byte> content, Func<string, string, bool> name)
    {
        var fresh = $"{path}.new-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
        try
        {
            Fill(fresh, content);
            var named = name(fresh, path);
            if (Native.IsKnown && Native.SyncFolder(Path.GetDirectoryName(path)!) is var error and not 0)
                throw new IOException($"{path} is not on the disk: {Native.Text(error)}.");
            return named;
        }
        finally
        {
            // There is none where it got its name.
            File.Delete(fresh);
        }
    }

    static void Fill(string fresh, ReadOnlySpan<byte> content)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        using var file = new FileStream(fresh, options);
        file.Write(content);
        file.Flush(flushToDisk: true);
    }

    static bool TryName(string fresh, string path)
    {
        var error = Native.IsKnown ? Native.RenameNew(fresh, path) : Native.NoCall;
        if (error is Native.Exists)
            return false;
        // A kernel or file system that does not know the call: two processes that start at the same instant are not told apart there.
        if (error is Native.Invalid or Native.NoCall)
            return !Path.Exists(path) && MoveNew(fresh, path);
        return error == 0 ? true : throw new IOException($"{path} cannot be made: {Native.Text(error)}.");
    }

    static bool MoveNew(string fresh, string path)
    {
        File.Move(fresh, path, overwrite: true);
        return true;
    }
}
