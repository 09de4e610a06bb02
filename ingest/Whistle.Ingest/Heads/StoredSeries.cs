using System.Collections.Concurrent;

using Whistle.Ingest.Stores;
using Whistle.Telemetry;

namespace Whistle.Ingest.Heads;

/// <summary>
/// About how many series each tenant has in the store. A sketch cannot forget what retention drops, so all are made again from the store
/// from time to time.
/// </summary>
sealed class StoredSeries
{
    ConcurrentDictionary<string, SeriesSketch> _now = new();
    volatile ConcurrentDictionary<string, SeriesSketch>? _next;

    public long Of(string tenant) => Volatile.Read(ref _now).TryGetValue(tenant, out var sketch) ? sketch.Count : 0;

    public IEnumerable<string> Tenants => Volatile.Read(ref _now).Keys;

    public void Add(string tenant, Labels labels)
    {
        var key = SeriesKey.Of(labels);
        // The next first: if it comes into use in between, it has this series too.
        if (_next is { } next)
            Add(next, tenant, key);
        Add(Volatile.Read(ref _now), tenant, key);
    }

    /// <param name="read">Gives tenant and <see cref="SeriesKey.Of(Labels)"/> of every stored series; may give one twice.</param>
    public void Renew(Action<Action<string, ulong>> read)
    {
        var next = new ConcurrentDictionary<string, SeriesSketch>();
        _next = next;
        try
        {
            read((tenant, key) => Add(next, tenant, key));
            Volatile.Write(ref _now, next);
        }
        finally
        {
            _next = null;
        }
    }

    static void Add(ConcurrentDictionary<string, SeriesSketch> sketches, string tenant, ulong key) =>
        sketches.GetOrAdd(tenant, static _ => new SeriesSketch()).Add(key);
}
