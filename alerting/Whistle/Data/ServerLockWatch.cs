using Whistle.State.Health;

namespace Whistle.Data;

/// <summary>Checks that the server's lock is still the folder's.</summary>
sealed class ServerLockWatch(ServerLock held, HealthBoard health, ILogger<ServerLockWatch> logger)
{
    public const string Component = "data-folder";
    const string Subject = "lock";

    const string BackAgain =
        "The lock of the data folder could not be seen for a while, and is there again: the folder was moved, or its rights were taken. "
            + "See that no other process used it.";

    bool _isLost;
    string? _reported;

    public void Look()
    {
        try
        {
            var renewed = held.Renew();
            if (renewed is not null)
                logger.LockRenewed(renewed);
            // It stays on the board until the server is started again, so that somebody sees it.
            _reported = renewed ?? (_isLost ? _reported ?? BackAgain : _reported);
            if (_reported is not null && (renewed is not null || _isLost))
                health.Report(Component, Subject, HealthState.Degraded, _reported);
            _isLost = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var reason = e is FolderInUseException other
                ? $"The lock of the data folder was deleted or moved while this server runs, and {other.By} has it now: "
                    + "two processes work on one folder. Stop one of them."
                : $"The lock of the data folder is gone, so that others cannot see that this server runs: {e.Message}";
            if (!_isLost)
                logger.LockLost(reason);
            _isLost = true;
            health.Report(Component, Subject, HealthState.Failed, reason);
        }
    }
}
