namespace Whistle.Alerting.Deciding;

/// <summary>PagerDuty's severities in their order. A label that says something else counts as warning, so that it is not lost.</summary>
static class Severity
{
    public const string Critical = "critical";
    public const string Error = "error";
    public const string Warning = "warning";
    public const string Info = "info";

    public static int Rank(string? severity) => severity switch
    {
        null or "none" => 0,
        Info => 1,
        Error => 3,
        Critical => 4,
        _ => 2,
    };

    public static string Name(int rank) => rank switch
    {
        4 => Critical,
        3 => Error,
        2 => Warning,
        _ => Info,
    };
}
