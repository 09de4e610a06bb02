using System.Runtime.InteropServices;
using System.Text;

using Microsoft.Win32.SafeHandles;

namespace Whistle.State.Files;

/// <summary>Files that are there whole or not at all, whenever the power goes.</summary>
public static partial class DurableFile
{
    public const string UnfinishedSuffix = ".tmp";

    /// <exception cref="IOException">The file is as it was.</exception>
    public static void Write(string file, string text)
    {
        var unfinished = file + UnfinishedSuffix;
        using (var stream = new FileStream(unfinished, FileMode.Create, FileAccess.Write))
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }

        File.Move(unfinished, file, overwrite: true);
        SyncFolder(Path.GetDirectoryName(file)!);
    }

    public static void Sync(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Makes renames in the folder durable. A file system that cannot is not an error: it has its own order.</summary>
    public static void SyncFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        // .NET opens no folders.
        using var handle = Open(folder, ReadOnly | CloseOnExec);
        if (!handle.IsInvalid)
            _ = Fsync(handle);
    }

    const int ReadOnly = 0;
    const int CloseOnExec = 0x80000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(SafeFileHandle handle);
}
