namespace Whistle.Alerting.Deciding;

/// <summary>When people are paged; what each means stands at the options of the same names.</summary>
/// <param name="HasChannel">False where nobody can be paged.</param>
sealed record PagingPolicy(
    TimeSpan CriticalDeadline, TimeSpan WarningDeadline, TimeSpan RecoveryPatience, TimeSpan JoinInterval, bool HasChannel);

/// <summary>What the pages and logs say if no notification channel is configured.</summary>
public static class NoChannel
{
    public const string Hint = "No notification channel is configured: nobody is paged.";

    public const string Help =
        "Set Alerting:PagerDuty or Alerting:Mail in appsettings.json and restart the server (docs/configuration.md).";
}
