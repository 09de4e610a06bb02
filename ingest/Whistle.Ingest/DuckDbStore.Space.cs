namespace Whistle.Ingest;

public sealed partial class DuckDbStore
{
    /// <summary>Gives up the oldest sealed hour, unless it reaches beyond the instant.</summary>
    /// <returns>When that hour began; null where there is none to give up.</returns>
    /// <exception cref="StoreException">Its files cannot be deleted.</exception>
    internal DateTimeOffset? DropOldest(DateTimeOffset before)
    {
        _layout.EnterWriteLock();
        try
        {
            if (_sealed.All.FirstOrDefault() is not { } hour || (hour.Hour + 1) * Hour > before.ToUnixTimeMilliseconds())
                return null;
            _sealed.Delete(hour);
            // With the room that it has just made.
            Connected(connection => HotFile.Execute(connection, $"DELETE FROM hours WHERE hour = {hour.Hour}"));
            return DateTimeOffset.FromUnixTimeMilliseconds(hour.Hour * Hour);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StoreException($"The oldest hour could not be dropped from {SealedFolder}: {e.Message}", e);
        }
        finally
        {
            _layout.ExitWriteLock();
        }
    }
}
