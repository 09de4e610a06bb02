using Whistle.Actions.Files;

namespace Whistle.Actions.Disk;

static class MountPoint
{
    /// <summary>Opens a folder that the caller must close; the refusal is null where it could.</summary>
    public static int Open(string path, out FileStat stat, out string? refusal)
    {
        stat = default;
        refusal = !path.StartsWith('/') || path.Contains('\0') || path.Split('/').Any(p => p is "." or "..")
            ? $"{FileName.Escape(System.Text.Encoding.UTF8.GetBytes(path))} is not an absolute path without . and .. folders."
            : null;
        if (refusal is not null)
            return -1;
        var error = Native.OpenFolder(path, out var folder);
        if (error == 0)
            error = Native.Stat(folder, out stat);
        if (error == 0)
            return folder;
        Native.Close(folder);
        refusal = error switch
        {
            Native.NoEntry => $"{path} does not exist on this node.",
            Native.NotAFolder or Native.IsALink => $"{path} is not a folder, or a link is part of its path. Name the folder itself.",
            _ => $"{path} cannot be opened: {Native.Text(error)}.",
        };
        return -1;
    }
}
