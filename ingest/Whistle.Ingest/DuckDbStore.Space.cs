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
            if (_sealed.Count == 0 || _sealed.Min is var hour && (hour + 1) * Hour > before.ToUnixTimeMilliseconds())
                return null;
            File.Delete(SealedFile(hour));
            File.Delete(SealedSeriesFile(hour));
            _sealed.Remove(hour);
            return DateTimeOffset.FromUnixTimeMilliseconds(hour * Hour);
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
