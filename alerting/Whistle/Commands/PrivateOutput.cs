using Microsoft.Win32.SafeHandles;

using Whistle.Actions.Files;

namespace Whistle.Commands;

/// <summary>Standard output where it is a file: a shell made it, with the shell's mode, before anything here ran.</summary>
static class PrivateOutput
{
    const int StandardOutput = 1;
    const int ForOthers = 0x3F;

    /// <summary>To be called before a secret is written, so that <c>whistle agents add … > file</c> is for its owner alone.</summary>
    public static void Close()
    {
        if (!Native.IsKnown || Native.Stat(StandardOutput, out var stat) != 0 || !stat.IsFile || (stat.Mode & ForOthers) == 0)
            return;
        using var output = new SafeFileHandle(StandardOutput, ownsHandle: false);
        try
        {
            File.SetUnixFileMode(output, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CommandException("The secret is not written, because the file that it goes to can be read by others and not be "
                + $"closed: {e.Message} Write it to a file of your own.");
        }
    }

    /// <summary>Whether others can read what is written.</summary>
    public static bool IsOpen =>
        Native.IsKnown && Native.Stat(StandardOutput, out var stat) == 0 && stat.IsFile && (stat.Mode & ForOthers) != 0;
}
