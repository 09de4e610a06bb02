using System.Diagnostics;

namespace Whistle.AcceptanceTests;

/// <summary>A real ext4 file system in a file, mounted through a loop device.</summary>
sealed class LoopDisk : IDisposable
{
    readonly string _base = Directory.CreateTempSubdirectory("whistle-disk").FullName;
    bool _mounted;

    LoopDisk(int mebibytes)
    {
        Folder = Path.Combine(_base, "mnt");
        Directory.CreateDirectory(Folder);
        Run("truncate", "-s", $"{mebibytes}M", Image);
        Run("mkfs.ext4", "-q", "-F", Image);
        Run("mount", "-o", "loop", Image, Folder);
        _mounted = true;
    }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    public DriveInfo Drive => new(Folder);

    string Image => Path.Combine(_base, "image");

    string Ballast => Path.Combine(Folder, "ballast");

    public static LoopDisk Mount(int mebibytes)
    {
        Requirement.Root();
        return new LoopDisk(mebibytes);
    }

    /// <summary>Writes real bytes until nothing more fits.</summary>
    public void Fill()
    {
        var bytes = new byte[4096];
        using var file = new FileStream(Ballast, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            while (true)
                file.Write(bytes);
        }
        catch (IOException)
        {
            // That was the aim.
        }
    }

    public void Free() => File.Delete(Ballast);

    public void Unmount()
    {
        if (_mounted)
            Run("umount", Folder);
        _mounted = false;
    }

    public void Dispose()
    {
        Unmount();
        Directory.Delete(_base, recursive: true);
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed: {error}");
    }
}
