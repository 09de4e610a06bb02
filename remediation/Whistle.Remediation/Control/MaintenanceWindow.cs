using System.Text.Json.Serialization;

using Whistle.Inventory;
using Whistle.Inventory.Access;

namespace Whistle.Remediation.Control;

/// <summary>When a customer lets nodes be taken down. An empty name matches all.</summary>
/// <param name="Recurrence">An iCalendar rule (RFC 5545), such as <c>FREQ=WEEKLY;BYDAY=SA,SU</c>.</param>
/// <param name="Start">The first one, in the time zone's own time.</param>
/// <param name="TimeZone">An IANA name, such as <c>Europe/Berlin</c>.</param>
public sealed record MaintenanceWindow(
    long Id, string Tenant, string Cluster, string Recurrence, DateTime Start, TimeSpan Length, string TimeZone, string Author,
    DateTimeOffset SetAt)
{
    const int FirstYear = 2000;
    const int LastYear = 2200;

    [JsonIgnore]
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));

    /// <summary>Why what is stored of it cannot be read.</summary>
    public string? Unreadable { get; init; }

    internal bool Covers(ClusterId cluster) =>
        (Tenant.Length == 0 || Tenant == cluster.Tenant) && (Cluster.Length == 0 || Cluster == cluster.Cluster);

    /// <summary>What is wrong with it; null where nothing is.</summary>
    internal string? Mistake()
    {
        if (Unreadable is not null)
            return Unreadable;
        if (Length < TimeSpan.FromMinutes(5) || Length > TimeSpan.FromDays(7))
            return "for: a window lasts from 5m to 7d.";
        if (Start.Year is < FirstYear or > LastYear)
            return $"start: {Start:yyyy-MM-dd} is not in the years {FirstYear} to {LastYear}.";
        if (TimeZones.Find(TimeZone) is null)
            return TimeZones.Mistake(TimeZone);
        try
        {
            Control.Recurrence.Parse(Recurrence);
            return null;
        }
        catch (FormatException e)
        {
            return $"recurrence: {e.Message}. Write it as iCalendar does, such as FREQ=WEEKLY;BYDAY=SA,SU.";
        }
    }

    /// <summary>As <see cref="Mistake"/>, and whether it opens from now on.</summary>
    internal string? MistakeWhenAdded(DateTimeOffset now)
    {
        if (Mistake() is { } mistake)
            return mistake;
        if (WindowOpenings.Evaluate(this, new(Start, TimeSpan.Zero)).Starts.Count == 0)
            return $"recurrence: {Recurrence} never comes to pass within {Control.Recurrence.MostYears} years.";
        // The same days as when it is asked whether it is open.
        return WindowOpenings.Evaluate(this, new(now.UtcDateTime.Date, TimeSpan.Zero)).At(now) is { OpenUntil: null, NextAt: null }
            ? $"recurrence: all openings of {Recurrence} from {Start:yyyy-MM-dd'T'HH:mm} on are over, "
                + "so the window would never open again. Let it start later, or raise or leave out COUNT or UNTIL."
            : null;
    }

    internal WindowView At(DateTimeOffset now) => WindowOpenings.Of(this, now).At(now);
}

/// <summary>The windows of a cluster at one time.</summary>
/// <param name="OpenUntil">Null while none is open.</param>
/// <param name="NextAt">Null where none is coming.</param>
/// <param name="Problem">Of a window that cannot be evaluated, and so counts as closed.</param>
sealed record WindowView(DateTimeOffset? OpenUntil, DateTimeOffset? NextAt, string? Problem = null)
{
    public static readonly WindowView None = new(null, null);

    internal static WindowView Of(IEnumerable<MaintenanceWindow> windows, ClusterId cluster, DateTimeOffset now) =>
        Together(windows.Where(w => w.Covers(cluster)).Select(w => w.At(now)));

    /// <summary>As far as it was worked out before; nothing is worked out now, so that a transaction may ask.</summary>
    internal static WindowView OfKnown(IEnumerable<MaintenanceWindow> windows, ClusterId cluster, DateTimeOffset now) =>
        Together(windows.Where(w => w.Covers(cluster)).Select(w => WindowOpenings.Known(w, now)?.At(now)
            ?? None with { Problem = $"Maintenance window {w.Id} has just been set; it counts from the next pass on." }));

    static WindowView Together(IEnumerable<WindowView> views)
    {
        var all = None;
        foreach (var view in views)
            all = new(Later(all.OpenUntil, view.OpenUntil), Sooner(all.NextAt, view.NextAt), all.Problem ?? view.Problem);
        return all;
    }

    static DateTimeOffset? Later(DateTimeOffset? a, DateTimeOffset? b) => a is null || b > a ? b : a;

    static DateTimeOffset? Sooner(DateTimeOffset? a, DateTimeOffset? b) => a is null || b < a ? b : a;
}

/// <summary>While it lasts, nothing that disturbs a node begins, window or not. An empty name matches all.</summary>
public sealed record ChangeFreeze(
    long Id, string Tenant, string Cluster, string Reason, string Author, DateTimeOffset From, DateTimeOffset Until)
{
    [JsonIgnore]
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));

    /// <summary>Why what is stored of it cannot be read: it holds until it is ended.</summary>
    public string? Unreadable { get; init; }

    internal bool Covers(ClusterId cluster, DateTimeOffset now) =>
        From <= now && now < Until
            && (Tenant.Length == 0 || Tenant == cluster.Tenant) && (Cluster.Length == 0 || Cluster == cluster.Cluster);
}
