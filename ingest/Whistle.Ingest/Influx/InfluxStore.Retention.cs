using System.Globalization;

using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

public sealed partial class InfluxStore
{
    // Deleting marks files of all that is older, whether there is any or not.
    static readonly TimeSpan DeletePause = TimeSpan.FromHours(1);
    static readonly TimeSpan CheckPause = TimeSpan.FromMinutes(10);

    readonly Dictionary<(string Tenant, int Target), DateTimeOffset> _deletedAt = [];
    DateTimeOffset _checkedAt;

    /// <summary>
    /// Buckets drop what is past retention. What a tenant does not keep as long is deleted, once an hour; in 1.x from all policies of the
    /// database.
    /// </summary>
    public void Maintain(IReadOnlyDictionary<string, TimeSpan> own)
    {
        var now = _time.GetUtcNow();
        if (now - _checkedAt >= CheckPause || _targets.Any(t => !t.IsWell))
        {
            Check();
            _checkedAt = now;
        }

        StoreException? failure = null;
        foreach (var (tenant, kept) in own.Where(o => o.Key.Length > 0 && o.Value < Retention))
        {
            foreach (var target in _map.For([new LabelMatcher(Sender.TenantLabel, MatchOperator.Equal, tenant)]))
            {
                if (_deletedAt.TryGetValue((tenant, target), out var last) && now - last < DeletePause)
                    continue;
                // Whether it is done or fails: a server that is slow at it works on it still.
                _deletedAt[(tenant, target)] = now;
                try
                {
                    Delete(_targets[target].Connection, tenant, (now - kept).ToUnixTimeMilliseconds());
                }
                catch (StoreException e)
                {
                    failure ??= new($"A tenant's telemetry could not be dropped after its retention: {e.Message}", e);
                }
            }
        }

        if (failure is not null)
            throw failure;
    }

    static void Delete(InfluxConnection connection, string tenant, long before) => connection.Query(
        string.Create(
            CultureInfo.InvariantCulture, $"DELETE WHERE {InfluxQl.Equal(Sender.TenantLabel, tenant)} AND time < {before}ms"),
        _ => { });
}
