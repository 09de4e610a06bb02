using System.Globalization;
using System.Text;

using Microsoft.Win32.SafeHandles;

using Whistle.Actions.Files;

namespace Whistle.Data;

/// <summary>
/// One process at a time works on a data folder: a server for as long as it lives, or a command that needs a stopped one for as long as it
/// takes. It holds the lock of a file in the folder. The file stays; the lock goes with the process, however that ends.
/// </summary>
sealed class ServerLock : IDisposable
{
    public const string FileName = "server.lock";

    /// <summary>What a server says of itself in the file.</summary>
    public const string Server = "whistle serve";

    const int LongestText = 200;

    // Of Windows and of macOS: another process has it.
    const int SharingViolation = unchecked((int)0x80070020);
    const int WouldBlockOnMac = 35;

    // A further try means that somebody exchanged the file in that moment.
    const int MostTries = 100;

    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    readonly string _folder;
    readonly string _real;
    readonly uint _owner;
    readonly string _by;
    SafeFileHandle _file;

    ServerLock(string folder, string real, uint owner, string by)
    {
        (_folder, _real, _owner, _by) = (folder, real, owner, by);
        _file = Open();
    }

    string Path => System.IO.Path.Combine(_real, FileName);

    /// <summary>For a server. Makes the folder where there is none; nothing else is read or written before.</summary>
    /// <param name="tell">Called once with what the server waits for, where a command has the lock.</param>
    /// <exception cref="StartException">Another server has it, or somebody else could have put something there.</exception>
    public static ServerLock TakeForServer(string folder, Action<string>? tell = null) => ServerFolder.Trusted(folder, () =>
    {
        for (var isTold = false; ; isTold = true)
        {
            try
            {
                return new ServerLock(folder, ServerFolder.Make(folder), User, Server);
            }
            // A command ends by itself. After a refusal the supervisor would not start the server again.
            catch (FolderInUseException e) when (!e.IsServer)
            {
                if (!isTold)
                    tell?.Invoke($"{e.By} works on {folder}; the server starts when that has ended.");
                using var pause = new ManualResetEventSlim();
                pause.Wait(Pause);
            }
        }
    });

    /// <summary>For a command that needs a stopped server, on a folder that is there. Root may take it in anybody's.</summary>
    /// <param name="by">The command, such as <c>whistle data repair</c>.</param>
    /// <exception cref="FolderInUseException">Another process works on it.</exception>
    /// <exception cref="IOException">It cannot be locked.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    public static ServerLock Take(string folder, string by)
    {
        // The owner of the folder counts, not that of a link to it.
        var real = Native.IsKnown ? Native.RealPath(folder) ?? folder : folder;
        var held = new ServerLock(folder, real, PrivateFolder.OwnerForRoot(real) ?? User, by);
        try
        {
            if (RunningServer.Uses(held._real))
                throw new FolderInUseException(folder, "");
            return held;
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>A server of a version without this lock has the store's alone. The state may also be open to who enrols an agent.</summary>
    /// <exception cref="FolderInUseException">There is one.</exception>
    public bool RefuseOlderServer() => RunningServer.HasStore(_real) ? throw new FolderInUseException(_folder, "") : true;

    /// <summary>
    /// Makes and locks the file again where somebody deleted it under the running server. A server that starts in between is refused by the
    /// locks of the databases.
    /// </summary>
    /// <returns>What was wrong, in sentences; null where the name still stands for the locked file.</returns>
    /// <exception cref="FolderInUseException">Another process has the new one.</exception>
    /// <exception cref="IOException">It cannot be made or locked.</exception>
    public string? Renew()
    {
        if (IsNamed(_file))
            return null;
        var again = Open();
        _file.Dispose();
        _file = again;
        return $"{Path} was deleted or replaced while the server runs, and was made and locked again: "
            + "by it other processes know that this one uses the folder. Delete no single files of a data folder.";
    }

    public void Dispose()
    {
        if (Native.IsKnown && !_file.IsClosed)
            Native.Unlock((int)_file.DangerousGetHandle());
        _file.Dispose();
    }

    static uint User => Native.IsKnown ? Native.EffectiveUser : 0;

    SafeFileHandle Open()
    {
        if (!Native.IsKnown)
            return OpenElsewhere();
        for (var tries = 0; tries < MostTries; tries++)
        {
            if (PrivateFolder.FaultOfFile(Path, _owner) is { } fault)
                throw new UntrustedFolderException(fault);
            var file = OpenFile();
            try
            {
                switch (Native.Lock((int)file.DangerousGetHandle()))
                {
                    case 0:
                        break;
                    case Native.WouldBlock:
                        throw new FolderInUseException(_folder, Read(file));
                    case var error:
                        throw new IOException(
                            $"{Path} cannot be locked: {Native.Text(error)}. Put the data folder on a file system that has locks.");
                }

                // Who had the lock may have given the folder, or the file, another name just before it let go.
                if (IsNamed(file))
                    return Written(file);
            }
            catch
            {
                file.Dispose();
                throw;
            }

            file.Dispose();
        }

        throw new IOException($"{Path} was exchanged again and again while it was locked. See what does that.");
    }

    SafeFileHandle OpenFile()
    {
        var error = Native.OpenOrMake(Path, out var opened, out var isMade);
        if (error is Native.NoAccess or Native.NotPermitted)
            throw new UnauthorizedAccessException(
                $"{Path} cannot be opened: {Native.Text(error)}. Run this as the user that runs the server.");
        if (error != 0)
            throw new IOException(
                $"{Path} cannot be made or opened: {Native.Text(error)}. See that the folder is there and its file system can be written.");
        var file = new SafeFileHandle(opened, ownsHandle: true);
        // What root makes in the folder of the server's user is that user's to open.
        if (!isMade || _owner == User || Native.Give(opened, _owner) is not (not 0 and var refused))
            return file;
        File.Delete(Path);
        file.Dispose();
        throw new UnauthorizedAccessException(
            $"{Path} cannot be given to the user who owns the folder: {Native.Text(refused)}. Run this as that user.");
    }

    SafeFileHandle OpenElsewhere()
    {
        try
        {
            return Written(File.OpenHandle(Path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when (e.HResult is SharingViolation or WouldBlockOnMac)
        {
            throw new FolderInUseException(_folder, "");
        }
    }

    bool IsNamed(SafeFileHandle file)
    {
        if (!Native.IsKnown)
            return true;
        var error = Native.Stat(Path, out var named);
        if (error is not (0 or Native.NoEntry))
            throw new IOException($"{Path} cannot be looked at: {Native.Text(error)}.");
        return error == 0 && Native.Stat((int)file.DangerousGetHandle(), out var held) == 0 && named.Identity == held.Identity;
    }

    // For messages alone: on a full disk the lock counts as much.
    SafeFileHandle Written(SafeFileHandle file)
    {
        try
        {
            var text = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId} {_by}\n"));
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, text, 0);
        }
        catch (IOException)
        {
        }

        return file;
    }

    static string Read(SafeFileHandle file)
    {
        try
        {
            var bytes = new byte[LongestText];
            var text = Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, 0));
            return text.Split('\n')[0].Trim();
        }
        catch (IOException)
        {
            return "";
        }
    }
}
