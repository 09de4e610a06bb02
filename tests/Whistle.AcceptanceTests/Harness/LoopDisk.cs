namespace Whistle.AcceptanceTests;

/// <summary>A real ext4 file system in a file, mounted through a loop device.</summary>
sealed class LoopDisk : IDisposable
{
    readonly MountFolder _base = MountFolder.Create();

    LoopDisk(int mebibytes) => Folder = _base.MountExt4(mebibytes, Path.Combine(_base.FullPath, "mnt"));

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    public DriveInfo Drive => new(Folder);

    string Ballast => Path.Combine(Folder, "ballast");

    string Logfile => Path.Combine(Folder, "log");

    /// <summary>Share of the size that holds something, 0 to 1.</summary>
    public double Used => 1 - (double)Drive.TotalFreeSpace / Drive.TotalSize;

    public static LoopDisk Mount(int mebibytes)
    {
        Requirement.LoopDevice();
        return new LoopDisk(mebibytes);
    }

    /// <summary>Writes real bytes until nothing more fits.</summary>
    public void Fill()
    {
        while (Write(1 << 20))
        {
        }
    }

    /// <summary>Writes real bytes until the share of the size that is used is reached.</summary>
    public void FillTo(double used) => Write((long)((used - Used) * Drive.TotalSize));

    /// <summary>False where not all of it fitted.</summary>
    public bool Write(long bytes) => Append(Ballast, bytes);

    public void Log(long bytes) => Append(Logfile, bytes);

    public void Rotate() => File.Delete(Logfile);

    public void Free() => File.Delete(Ballast);

    public void Unmount() => _base.Unmount();

    public void Dispose() => _base.Dispose();

    public static bool Append(string path, long count)
    {
        var bytes = new byte[4096];
        try
        {
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
            for (; count > 0; count -= bytes.Length)
                file.Write(bytes, 0, (int)Math.Min(count, bytes.Length));
            // A full disk may show only here.
            file.Flush(flushToDisk: true);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
