namespace Whistle.Backups;

/// <summary>A server holds DuckDB's lock on its hot database, whichever version it is of, and loses it with its life.</summary>
static class RunningServer
{
    /// <summary>Whether another process works on the data folder. Never ask it of one's own: closing the file would let go one's own lock.</summary>
    public static bool Uses(string dataFolder)
    {
        var file = Path.Combine(dataFolder, Backup.Telemetry, "hot.duckdb");
        if (!File.Exists(file))
            return false;
        try
        {
            // DuckDB locks as fcntl does; so does this, and .NET's own sharing does not.
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
