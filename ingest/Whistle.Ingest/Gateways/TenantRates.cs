using System.Collections.Concurrent;

namespace Whistle.Ingest.Gateways;

/// <summary>
/// A bucket of samples a tenant, ten seconds deep. A request is let in while the bucket is not overdrawn and pays when it is known
/// how much it brought, so that one large request passes and the next one waits.
/// </summary>
sealed class TenantRates(double samplesPerSecond, TimeProvider time)
{
    const double DepthSeconds = 10;

    readonly ConcurrentDictionary<string, Bucket> _buckets = new();

    /// <summary>How long until the tenant may send again; null where it may now.</summary>
    public TimeSpan? MustWait(string tenant)
    {
        var level = Of(tenant).Take(0, samplesPerSecond, time);
        return level >= 0 ? null : TimeSpan.FromSeconds(-level / samplesPerSecond);
    }

    public void Count(string tenant, int samples) => Of(tenant).Take(samples, samplesPerSecond, time);

    Bucket Of(string tenant) => _buckets.GetOrAdd(tenant, _ => new Bucket(samplesPerSecond * DepthSeconds, time.GetTimestamp()));

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
