using System.Collections.Concurrent;

using Ical.Net.CalendarComponents;
using Ical.Net.DataTypes;

namespace Whistle.Remediation.Control;

/// <summary>When a customer lets nodes be taken down. An empty name matches all.</summary>
/// <param name="Recurrence">An iCalendar rule (RFC 5545), such as <c>FREQ=WEEKLY;BYDAY=SA,SU</c>.</param>
/// <param name="Start">The first one, in the time zone's own time.</param>
/// <param name="TimeZone">An IANA name, such as <c>Europe/Berlin</c>.</param>
public sealed record MaintenanceWindow(
    long Id, string Tenant, string Cluster, string Recurrence, DateTime Start, TimeSpan Length, string TimeZone, string Author, DateTimeOffset SetAt)
{
    static readonly ConcurrentDictionary<MaintenanceWindow, (DateTimeOffset From, DateTimeOffset Until, WindowView View)> Known = new();

    internal bool Holds(string tenant, string cluster) => (Tenant.Length == 0 || Tenant == tenant) && (Cluster.Length == 0 || Cluster == cluster);

    /// <summary>What is wrong with it; null where nothing is.</summary>
    internal string? Mistake()
    {
        if (Length < TimeSpan.FromMinutes(5) || Length > TimeSpan.FromDays(7))
            return "for: a window lasts from 5m to 7d.";
        try
        {
            return At(new DateTimeOffset(Start, TimeSpan.Zero)).NextAt is null && At(new DateTimeOffset(Start, TimeSpan.Zero)).OpenUntil is null
                ? $"recurrence: {Recurrence} never comes to pass." : null;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidOperationException)
        {
            return $"recurrence or time zone: {e.Message} Write the recurrence as iCalendar does, such as FREQ=WEEKLY;BYDAY=SA,SU, and the zone such as Europe/Berlin.";
        }
    }

    internal WindowView At(DateTimeOffset now)
    {
        if (Known.TryGetValue(this, out var known) && known.From <= now && now < known.Until)
            return known.View;
        var view = Evaluate(now);
        if (Known.Count > 10_000)
            Known.Clear();
        Known[this] = (now, view.OpenUntil ?? view.NextAt ?? now, view);
        return view;
    }

    WindowView Evaluate(DateTimeOffset now)
    {
        var calendar = new CalendarEvent
        {
            Start = new CalDateTime(DateTime.SpecifyKind(Start, DateTimeKind.Unspecified), TimeZone),
            Duration = Duration.FromTimeSpanExact(Length),
            RecurrenceRule = new RecurrenceRule(Recurrence),
        };
        DateTimeOffset? open = null;
        foreach (var occurrence in calendar.GetOccurrences(new CalDateTime((now - Length).UtcDateTime)).Take(1000))
        {
            var start = new DateTimeOffset(occurrence.Period.StartTime.AsUtc, TimeSpan.Zero);
            if (start > now)
                return new(open, start);
            if (start + Length > now)
                open = start + Length;
        }

        return new(open, null);
    }
}

/// <summary>The windows of a cluster at one time.</summary>
/// <param name="OpenUntil">Null while none is open.</param>
/// <param name="NextAt">Null where none is coming.</param>
public sealed record WindowView(DateTimeOffset? OpenUntil, DateTimeOffset? NextAt)
{
    public static readonly WindowView None = new(null, null);

    internal static WindowView Of(IEnumerable<MaintenanceWindow> windows, string tenant, string cluster, DateTimeOffset now)
    {
        var view = None;
        foreach (var at in windows.Where(w => w.Holds(tenant, cluster)).Select(w => w.At(now)))
            view = new(Later(view.OpenUntil, at.OpenUntil), Sooner(view.NextAt, at.NextAt));
        return view;
    }

    static DateTimeOffset? Later(DateTimeOffset? a, DateTimeOffset? b) => a is null || b > a ? b : a;

    static DateTimeOffset? Sooner(DateTimeOffset? a, DateTimeOffset? b) => a is null || b < a ? b : a;
}

/// <summary>Nothing that disturbs a node begins meanwhile, window or not. An empty name matches all.</summary>
public sealed record ChangeFreeze(long Id, string Tenant, string Cluster, string Reason, string Author, DateTimeOffset From, DateTimeOffset Until)
{
    internal bool Holds(string tenant, string cluster, DateTimeOffset now) =>
        From <= now && now < Until && (Tenant.Length == 0 || Tenant == tenant) && (Cluster.Length == 0 || Cluster == cluster);
}
