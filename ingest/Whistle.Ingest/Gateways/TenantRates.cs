using System.Collections.Concurrent;

namespace Whistle.Ingest.Gateways;

/// <summary>
/// A bucket of samples, or of bytes, a tenant, ten seconds deep. A request is let in while the bucket is not overdrawn and pays when it
/// is known how much it brought, so that one large request passes and the next one waits.
/// </summary>
/// <param name="perSecond">What a tenant may send; null where that is not limited.</param>
sealed class TenantRates(Func<string, double?> perSecond, TimeProvider time)
{
    const double DepthSeconds = 10;

    readonly ConcurrentDictionary<string, Bucket> _buckets = new();

    /// <summary>How long until the tenant may send again; null where it may now.</summary>
    public TimeSpan? MustWait(string tenant)
    {
        if (perSecond(tenant) is not { } rate)
            return null;
        var level = Of(tenant, rate).Take(0, rate, time);
        return level >= 0 ? null : TimeSpan.FromSeconds(-level / rate);
    }

    public void Count(string tenant, long amount)
    {
        if (perSecond(tenant) is { } rate)
            Of(tenant, rate).Take(amount, rate, time);
    }

    Bucket Of(string tenant, double rate) => _buckets.GetOrAdd(tenant, _ => new Bucket(rate * DepthSeconds, time.GetTimestamp()));

    sealed class Bucket(double level, long filledAt)
    {
        readonly Lock _lock = new();
        double _level = level;
        long _filledAt = filledAt;

        public double Take(double samples, double perSecond, TimeProvider time)
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                _level = Math.Min(perSecond * DepthSeconds, _level + time.GetElapsedTime(_filledAt, now).TotalSeconds * perSecond);
                _filledAt = now;
                return _level -= samples;
            }
        }
    }
}
