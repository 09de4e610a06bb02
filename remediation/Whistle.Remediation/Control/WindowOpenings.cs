using System.Collections.Concurrent;

namespace Whistle.Remediation.Control;

/// <summary>
/// When a window is open on one day of UTC and when it opens next, worked out ahead by <see cref="Prepare"/>, outside of any transaction.
/// What cannot be worked out is closed, and says why. It depends on nothing but window and day.
/// </summary>
/// <param name="Starts">Of those that may be open on the day, and the first after it.</param>
sealed record WindowOpenings(IReadOnlyList<DateTimeOffset> Starts, TimeSpan Length, string? Problem)
{
    const int MostKept = 100_000;

    // For who asks a moment after the preparation.
    static readonly TimeSpan Reserve = TimeSpan.FromMinutes(10);

    static readonly ConcurrentDictionary<(MaintenanceWindow Window, DateTime Day), WindowOpenings> Kept = new();

    public static void Prepare(IEnumerable<MaintenanceWindow> windows, DateTimeOffset now)
    {
        foreach (var window in windows)
        {
            Of(window, now);
            Of(window, now + Reserve);
        }
    }

    public static WindowOpenings Of(MaintenanceWindow window, DateTimeOffset now)
    {
        if (Known(window, now) is { } known)
            return known;
        if (Kept.Count >= MostKept)
            Kept.Clear();
        return Kept[(window, now.UtcDateTime.Date)] = Evaluate(window, new DateTimeOffset(now.UtcDateTime.Date, TimeSpan.Zero));
    }

    /// <summary>Null where it was not worked out for this day; it is not now either.</summary>
    public static WindowOpenings? Known(MaintenanceWindow window, DateTimeOffset now) =>
        Kept.GetValueOrDefault((window, now.UtcDateTime.Date));

    public WindowView At(DateTimeOffset now)
    {
        var open = Starts.Where(s => s <= now && now < s + Length).Select(s => s + Length).Cast<DateTimeOffset?>().LastOrDefault();
        return new(open, Starts.Where(s => s > now).Cast<DateTimeOffset?>().FirstOrDefault(), Problem);
    }

    internal static WindowOpenings Evaluate(MaintenanceWindow window, DateTimeOffset day)
    {
        if (window.Mistake() is { } mistake)
            return new([], default, $"Maintenance window {window.Id} cannot be evaluated, so it counts as closed: "
                + $"{mistake} Remove it with `whistle windows remove {window.Id}`.");
        var (zone, rule) = (TimeZones.Find(window.TimeZone)!, Recurrence.Parse(window.Recurrence));
        List<DateTimeOffset> starts = [];
        // A zone is never a day from UTC.
        foreach (var local in RecurrenceDays.From(
            rule, window.Start, (day - window.Length).UtcDateTime.AddDays(-1), t => TimeZones.ToUtc(zone, t).UtcDateTime))
        {
            var start = TimeZones.ToUtc(zone, local);
            // What clocks put forward skip falls on what is there already.
            if (start + window.Length > day && (starts.Count == 0 || start > starts[^1]))
                starts.Add(start);
            if (start >= day.AddDays(1))
                break;
        }

        return new(starts, window.Length, null);
    }
}
