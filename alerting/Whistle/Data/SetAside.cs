using Whistle.State.Health;

namespace Whistle.Data;

/// <summary>A secret of the data folder was damaged, and is set aside.</summary>
static class SetAside
{
    // It stays on the board until the server is started again, so that somebody sees it.
    public static void Report(string subject, string what, HealthBoard health, ILogger logger)
    {
        logger.SecretSetAside(what);
        health.Report(ServerLockWatch.Component, subject, HealthState.Degraded, what);
    }
}
