namespace Whistle.Remediation.Control;

/// <summary>How long what people set may last: what somebody forgets ends by itself.</summary>
public sealed record BrakeLimits
{
    public TimeSpan LongestApproval { get; init; } = TimeSpan.FromHours(24);

    public TimeSpan LongestPause { get; init; } = TimeSpan.FromDays(30);

    public TimeSpan LongestFreeze { get; init; } = TimeSpan.FromDays(366);

    public TimeSpan LongestAcknowledgement { get; init; } = TimeSpan.FromDays(7);

    /// <summary>What may be set as a limit.</summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1);

    public static readonly TimeSpan Longest = TimeSpan.FromDays(3660);

    public string? RefuseApproval(TimeSpan duration) => Refuse("An approval", duration, LongestApproval, nameof(LongestApproval));

    public string? RefusePause(TimeSpan duration) => Refuse("A pause", duration, LongestPause, nameof(LongestPause));

    public string? RefuseFreeze(TimeSpan duration) => Refuse("A change freeze", duration, LongestFreeze, nameof(LongestFreeze));

    public string? RefuseAcknowledgement(TimeSpan duration) =>
        Refuse("An acknowledgement", duration, LongestAcknowledgement, nameof(LongestAcknowledgement));

    static string? Refuse(string what, TimeSpan duration, TimeSpan most, string key) => duration <= most ? null
        : $"for: {what} lasts at most {Words(most)} here. Ask for less, or set Brakes:{key} to more and restart the server.";

    static string Words(TimeSpan duration) =>
        duration.TotalDays >= 2 && duration.Ticks % TimeSpan.TicksPerDay == 0 ? $"{duration.TotalDays:0}d"
            : duration.Ticks % TimeSpan.TicksPerHour == 0 ? $"{duration.TotalHours:0}h" : $"{duration.TotalMinutes:0.#}m";
}
