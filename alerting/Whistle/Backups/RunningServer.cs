namespace Whistle.Backups;

/// <summary>
/// A server holds DuckDB's lock on its hot database and SQLite's on its state, whichever version it is of, and loses them with its life. One of the files
/// may have been deleted while it runs.
/// </summary>
static class RunningServer
{
    /// <summary>Whether another process works on the data folder. Never ask it of one's own: closing the files would let go one's own locks.</summary>
    public static bool Uses(string dataFolder) =>
        IsLocked(Path.Combine(dataFolder, Backup.Telemetry, "hot.duckdb")) || IsLocked(Path.Combine(dataFolder, WhistleApp.StateFileName));

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
            throw new BackupException($"{file} cannot be opened: {e.Message} Run this as the user that runs the server.", e);
        }
    }
}
