using DuckDB.NET.Data;

namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    /// <summary>Gives up the oldest sealed hour, unless it reaches beyond the instant.</summary>
    /// <returns>When that hour began; null where there is none to give up, or the store is being maintained.</returns>
    /// <exception cref="StoreException">It cannot be dropped.</exception>
    internal DateTimeOffset? DropOldest(DateTimeOffset before)
    {
        if (!_maintaining.TryEnter())
            return null;
        _layout.EnterWriteLock();
        try
        {
            if (_sealed.All.FirstOrDefault() is not { } oldest || (oldest.Hour + 1) * Hour > before.ToUnixTimeMilliseconds())
                return null;
            // The files first, as where an hour is expired: they make the room that the catalogue needs.
            _sealed.Delete(oldest);
            Connected(connection => HotFile.Execute(connection, $"DELETE FROM hours WHERE hour = {oldest.Hour}"));
            return DateTimeOffset.FromUnixTimeMilliseconds(oldest.Hour * Hour);
        }
        catch (Exception e) when (e is DuckDBException or IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"The oldest hour could not be dropped from {SealedFolder}: {e.Message.TrimEnd()}", e);
        }
        finally
        {
            _layout.ExitWriteLock();
            _maintaining.Exit();
        }
    }
}
