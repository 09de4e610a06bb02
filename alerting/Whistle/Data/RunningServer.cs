namespace Whistle.Data;

/// <summary>
/// Finds a server of a version before <see cref="ServerLock"/>, or one whose lock file was deleted, by DuckDB's lock on its hot database
/// and SQLite's on its state.
/// </summary>
static class RunningServer
{
    /// <summary>
    /// Whether another process works on the data folder. Never ask it of one's own: closing the files would let go one's own locks.
    /// </summary>
    public static bool Uses(string dataFolder) => HasStore(dataFolder) || IsLocked(Path.Combine(dataFolder, ServerFolder.State));

    /// <summary>Whether another process has the hot database open, as servers alone do for long.</summary>
    public static bool HasStore(string dataFolder) => IsLocked(Path.Combine(dataFolder, ServerFolder.Telemetry, "hot.duckdb"));

    static bool IsLocked(string file)
    {
        if (!File.Exists(file))
            return false;
        try
        {
            // Both lock as fcntl does; so does this, and .NET's own sharing does not.
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            if (!OperatingSystem.IsMacOS())
                stream.Lock(0, 0);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new UnauthorizedAccessException($"{file} cannot be opened: {e.Message} Run this as the user that runs the server.", e);
        }
    }
}
