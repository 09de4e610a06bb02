namespace Whistle.Web.Charts;

/// <summary>How far back charts show.</summary>
public sealed record ChartRange(string Name, string Words, TimeSpan Length, TimeSpan Tick)
{
    const int Points = 240;

    public static readonly IReadOnlyList<ChartRange> All =
    [
        new("1h", "last hour", TimeSpan.FromHours(1), TimeSpan.FromMinutes(15)),
        new("6h", "last 6 hours", TimeSpan.FromHours(6), TimeSpan.FromHours(2)),
        new("24h", "last 24 hours", TimeSpan.FromHours(24), TimeSpan.FromHours(6)),
        new("7d", "last 7 days", TimeSpan.FromDays(7), TimeSpan.FromDays(1)),
    ];

    public static readonly ChartRange Default = All[1];

    /// <summary>Milliseconds between two points of a chart.</summary>
    public long Step => (long)Length.TotalMilliseconds / Points;

    /// <summary>What cannot be read is as if it was not given: an old bookmark still opens.</summary>
    public static ChartRange Of(string? name) => All.FirstOrDefault(r => r.Name == name) ?? Default;
}
