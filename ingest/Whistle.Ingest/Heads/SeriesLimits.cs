using System.Collections.Concurrent;

using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>How many series one tenant may have; past any of these, new ones are refused and known ones go on.</summary>
/// <param name="MaxActive">Heard of within the last hour or so.</param>
/// <param name="MaxNewPerHour">Let in within an hour; null for twice the active ones.</param>
/// <param name="MaxStored">Kept in the store, within retention; null for five times the active ones.</param>
/// <param name="MaxLabelBytes">What the labels of the active ones take in memory.</param>
public sealed record SeriesLimitOptions(int MaxActive, int? MaxNewPerHour = null, int? MaxStored = null, long MaxLabelBytes = long.MaxValue)
{
    internal const int NewTimes = 2;
    internal const int StoredTimes = 5;

    // A fleet that starts from nothing is all new, and may be renamed within that hour.
    internal int NewPerHour => MaxNewPerHour ?? Times(NewTimes);

    internal int Stored => MaxStored ?? Times(StoredTimes);

    /// <summary>With what a tenant has of its own.</summary>
    internal SeriesLimitOptions With(TenantLimits own) => own is { Series: null, NewSeries: null, StoredSeries: null } ? this : this with
    {
        MaxActive = own.Series ?? MaxActive,
        MaxNewPerHour = own.NewSeries ?? MaxNewPerHour,
        MaxStored = own.StoredSeries ?? MaxStored,
    };

    int Times(int factor) => (int)Math.Min(int.MaxValue, (long)factor * MaxActive);
}

/// <summary>Why a new series was not let in.</summary>
/// <param name="Reason">As the metric of dropped samples names it.</param>
/// <param name="Tenant">Whose limit it is.</param>
/// <param name="Setting">The key of the limit, or what the tenant's own is called.</param>
/// <param name="Limit">Its value.</param>
/// <param name="What">What there are that many of.</param>
sealed record LimitReached(string Reason, string Tenant, string Setting, long Limit, string What)
{
    public const string Active = "series_limit";
    public const string New = "new_series_limit";
    public const string Stored = "stored_series_limit";

    /// <summary>All that is no fault of the data.</summary>
    public static readonly string[] Reasons = [Active, New, Stored];

    public override string ToString() =>
        $"the tenant {Tenant} has {Limit} {What}, as many as {Setting} allows. "
        + "Drop labels with many values at the sender, or raise the limit";
}

/// <summary>
/// Decides whether a tenant may have one more series. What the server itself records is not asked about. After a start, the count of stored
/// series is too low until the store has been read.
/// </summary>
public sealed class SeriesLimits
{
    static readonly TimeSpan RenewAfter = TimeSpan.FromDays(1);

    // Where a tenant is refused, what retention drops in between is to count sooner.
    static readonly TimeSpan RenewRefusedAfter = TimeSpan.FromHours(1);

    // A limit counts as reached for as long after the last series that it kept out.
    static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    // There are as many tenants as somebody enrolled; most are far from their limits and tell nothing.
    const double Noteworthy = 0.5;

    const string Component = "series-limits";
    const string ActiveSeries = "series";

    readonly SeriesLimitOptions _options;
    readonly TimeProvider _time;
    readonly Func<string, TenantLimits> _own;
    readonly NewSeries _new;
    readonly StoredSeries _stored = new();
    readonly ConcurrentDictionary<(string Tenant, string Reason), (LimitReached Reached, DateTimeOffset At)> _refused = new();
    HashSet<(string, string)> _reported = [];
    DateTimeOffset _renewedAt = DateTimeOffset.MinValue;

    public static StateSchema Tables => NewSeries.Tables;

    /// <param name="state">Remembers over a restart how many series were new; null where nothing is to survive.</param>
    /// <param name="own">What a tenant has of its own; asked for each new series.</param>
    public SeriesLimits(
        SeriesLimitOptions options, TimeProvider time, StateDatabase? state = null, Func<string, TenantLimits>? own = null)
    {
        (_options, _time, _own) = (options, time, own ?? (_ => TenantLimits.None));
        _new = new NewSeries(options.NewPerHour, time, state);
    }

    /// <summary>Whether so many active ones are fewer than there may be.</summary>
    internal bool HaveRoom(string tenant, int active, long labelBytes) =>
        active < Of(tenant).MaxActive && labelBytes < _options.MaxLabelBytes;

    /// <summary>Null where one more series may come in; it is counted then.</summary>
    /// <exception cref="StoreException">It cannot be counted.</exception>
    internal LimitReached? Admit(Labels labels, int active, long labelBytes)
    {
        var tenant = labels[Sender.TenantLabel];
        var (own, limits) = (_own(tenant), Of(tenant));
        if (_stored.Of(tenant) >= limits.Stored)
            return Refuse(new(
                LimitReached.Stored, tenant,
                Setting(
                    own.StoredSeries, "stored-series", "MaxStoredSeriesPerTenant", own.Series, _options.MaxStored,
                    SeriesLimitOptions.StoredTimes),
                limits.Stored,
                "series stored (by a close estimate)"));
        if (active >= limits.MaxActive)
            return Active(labels);
        if (labelBytes >= _options.MaxLabelBytes)
            return Refuse(new(LimitReached.Active, tenant, "Memory:SeriesLabels", _options.MaxLabelBytes, "bytes of labels"));
        if (!_new.TryAdd(tenant, limits.NewPerHour))
            return Refuse(new(
                LimitReached.New, tenant,
                Setting(
                    own.NewSeries, "new-series", "MaxNewSeriesPerHour", own.Series, _options.MaxNewPerHour, SeriesLimitOptions.NewTimes),
                limits.NewPerHour,
                "new series within an hour"));
        _stored.Add(tenant, labels);
        return null;
    }

    internal LimitReached Labels(Labels labels, long most) =>
        Refuse(new(LimitReached.Active, labels[Sender.TenantLabel], "Memory:SeriesLabels", (int)(most >> 20), "MiB of labels"));

    internal LimitReached Active(Labels labels)
    {
        var tenant = labels[Sender.TenantLabel];
        return Refuse(new(
            LimitReached.Active, tenant, Setting(_own(tenant).Series, "series", "MaxSeriesPerTenant"), Of(tenant).MaxActive, ActiveSeries));
    }

    /// <summary>What was admitted came in by another request at the same time, or not at all.</summary>
    internal void Withdraw(Labels labels) => _new.Withdraw(labels[Sender.TenantLabel]);

    internal long Stored(string tenant) => _stored.Of(tenant);

    /// <summary>Counts stored series again where that is due.</summary>
    /// <exception cref="StoreException">The store does not answer; the counts stay as they are.</exception>
    internal void Renew(ITelemetryStore store, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        if (now - _renewedAt < (IsAnyRefused(LimitReached.Stored) ? RenewRefusedAfter : RenewAfter))
            return;
        _stored.Renew(each => store.StoredSeries(each, cancellation));
        _renewedAt = now;
    }

    /// <summary>Tells who is at a limit, or on the way there.</summary>
    internal void Report(Head head, IngestMetrics metrics, HealthBoard health)
    {
        foreach (var (key, (reached, at)) in _refused)
        {
            if (_time.GetUtcNow() - at < Remembered && !IsRaised(reached))
                health.Report(Component, $"{key.Tenant} {key.Reason}", HealthState.Degraded, $"New series are refused: {reached}.");
            else if (_refused.TryRemove(key, out _))
                health.Clear(Component, $"{key.Tenant} {key.Reason}");
        }

        var reported = Used(head).Where(u => u.Ratio >= Noteworthy).ToList();
        foreach (var (tenant, limit, ratio) in reported)
            metrics.SeriesLimitUsed.WithLabels(tenant, limit).Set(ratio);
        foreach (var (tenant, limit) in _reported.Except(reported.Select(t => (t.Tenant, t.Limit))))
            metrics.SeriesLimitUsed.RemoveLabelled(tenant, limit);
        _reported = [.. reported.Select(t => (t.Tenant, t.Limit))];
    }

    IEnumerable<(string Tenant, string Limit, double Ratio)> Used(Head head)
    {
        foreach (var (tenant, count) in head.SeriesPerTenant())
            yield return (tenant, LimitReached.Active, (double)count / Of(tenant).MaxActive);
        foreach (var tenant in _new.Tenants)
            yield return (tenant, LimitReached.New, (double)_new.Count(tenant) / Of(tenant).NewPerHour);
        foreach (var tenant in _stored.Tenants)
            yield return (tenant, LimitReached.Stored, (double)_stored.Of(tenant) / Of(tenant).Stored);
    }

    SeriesLimitOptions Of(string tenant) => _options.With(_own(tenant));

    // Where neither the tenant nor the server has one, it follows from how many may be active.
    static string Setting(
        int? own, string name, string setting, int? ownActive = null, int? servers = null, int times = 1) =>
        own is not null ? $"its own limit ({name})"
        : ownActive is not null && servers is null && times > 1 ? $"its own limit ({name}, which is {times} times series unless set)"
        : setting;

    // Whether the tenant may have more by now.
    bool IsRaised(LimitReached reached) => Of(reached.Tenant) is var now && reached.Reason switch
    {
        LimitReached.Stored => now.Stored > reached.Limit,
        LimitReached.New => now.NewPerHour > reached.Limit,
        _ => reached.What == ActiveSeries && now.MaxActive > reached.Limit,
    };

    bool IsAnyRefused(string reason) => _refused.Keys.Any(k => k.Reason == reason);

    LimitReached Refuse(LimitReached reached)
    {
        _refused[(reached.Tenant, reached.Reason)] = (reached, _time.GetUtcNow());
        return reached;
    }
}
