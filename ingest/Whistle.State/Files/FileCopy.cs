using System.Security.Cryptography;

namespace Whistle.State.Files;

/// <summary>A file on the disk.</summary>
/// <param name="Path">Relative to the folder that it is in, with slashes.</param>
/// <param name="Sha256">In hexadecimal.</param>
public sealed record FileSum(string Path, long Size, string Sha256);

/// <summary>Copies that are for their owner alone, on the disk when they are made, and read again to see that they are the same.</summary>
public static class FileCopy
{
    const int BufferSize = 1 << 20;

    /// <summary>Copies a file that nobody changes.</summary>
    /// <param name="name">Relative to the folder; its own folder exists.</param>
    /// <exception cref="StoreException">The copy is not what was read.</exception>
    public static FileSum Make(string source, string folder, string name)
    {
        var target = Path.Combine(folder, name);
        string read;
        using (var from = Reading(source))
        using (var to = new FileStream(target, New()))
        using (var sums = IncrementalHash.CreateHash(HashAlgorithmName.SHA256))
        {
            var buffer = new byte[BufferSize];
            for (int count; (count = from.Read(buffer)) > 0;)
            {
                sums.AppendData(buffer, 0, count);
                to.Write(buffer, 0, count);
            }

            to.Flush(flushToDisk: true);
            read = Convert.ToHexStringLower(sums.GetHashAndReset());
        }

        var copy = Describe(folder, name);
        return copy.Sha256 == read && Checksum(source) == read
            ? copy
            : throw new StoreException(
                $"{source} and its copy {target} differ, or a disk returns different bytes each time it is read. Check both disks.");
    }

    public static FileSum Describe(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return new(name.Replace(Path.DirectorySeparatorChar, '/'), new FileInfo(path).Length, Checksum(path));
    }

    public static void WriteNew(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = new FileStream(path, New());
        file.Write(bytes);
        file.Flush(flushToDisk: true);
    }

    public static void MakeFolder(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>For a file that another library has written: flushed, and for its owner alone.</summary>
    public static void Settle(string path)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using var stream = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }

    static FileStreamOptions New()
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return options;
    }

    static FileStream Reading(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, BufferSize);

    static string Checksum(string path)
    {
        using var stream = Reading(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
