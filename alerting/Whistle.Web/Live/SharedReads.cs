using System.Collections.Concurrent;

namespace Whistle.Web.Live;

/// <summary>
/// What only some pages show (an incident's timeline, a node's charts), read once a version for all who look at it. What nobody asked for
/// lately is forgotten.
/// </summary>
sealed class SharedReads<TKey, TValue>
    where TKey : notnull
{
    const int Most = 256;

    readonly ConcurrentDictionary<TKey, (long Version, Lazy<Task<TValue>> Value)> _held = new();

    public async Task<TValue> GetAsync(TKey key, long version, Func<Task<TValue>> read)
    {
        var entry = _held.AddOrUpdate(
            key, _ => (version, new(read)),
            (_, held) => held.Version == version && !held.Value.Value.IsFaulted ? held : (version, new(read)));
        var value = await entry.Value.Value;
        if (_held.Count > Most)
            Forget(version);
        return value;
    }

    void Forget(long version)
    {
        foreach (var (key, held) in _held)
        {
            if (held.Version < version)
                _held.TryRemove(key, out _);
        }
    }
}
