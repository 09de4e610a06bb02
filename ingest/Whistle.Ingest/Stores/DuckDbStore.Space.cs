using DuckDB.NET.Data;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

public sealed partial class DuckDbStore
{
    // Readers are done within this, or the next look tries again.
    static readonly TimeSpan DropPatience = TimeSpan.FromMilliseconds(200);

    /// <summary>Gives up the oldest sealed hour, unless it reaches beyond the instant. Waits for nobody longer than a moment.</summary>
    /// <param name="bytes">What its files held, once they are deleted: also where an exception follows.</param>
    /// <returns>When that hour began; null where there is none to give up, or the store is being maintained or read.</returns>
    /// <exception cref="StoreException">It cannot be dropped.</exception>
    internal DateTimeOffset? DropOldest(DateTimeOffset before, out long bytes)
    {
        bytes = 0;
        if (!_maintaining.TryEnter())
            return null;
        var isAlone = false;
        try
        {
            isAlone = _layout.TryEnterWriteLock(DropPatience);
            if (!isAlone)
                return null;
            if (_sealed.All.FirstOrDefault() is not { } oldest || (oldest.Hour + 1) * Hour > before.ToUnixTimeMilliseconds())
                return null;
            // The files first, as where an hour is expired: they make the room that the catalogue needs.
            _sealed.Delete(oldest);
            bytes = oldest.Files.Sum(f => f.Bytes);
            Connected(connection => HotFile.Execute(connection, $"DELETE FROM hours WHERE hour = {oldest.Hour}"));
            return DateTimeOffset.FromUnixTimeMilliseconds(oldest.Hour * Hour);
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"The oldest hour could not be dropped from {SealedFolder}: {e.Message.TrimEnd()}", e);
        }
        finally
        {
            if (isAlone)
                _layout.ExitWriteLock();
            _maintaining.Exit();
        }
    }
}
