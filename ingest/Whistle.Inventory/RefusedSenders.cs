using System.Collections.Concurrent;

namespace Whistle.Inventory;

/// <summary>
/// Senders that have tried to send and were refused for the server's own sake. They live, though nothing new of them is known: their
/// signals are unknown, and they are not silent. Thread-safe.
/// </summary>
public sealed class RefusedSenders(TimeProvider time)
{
    // Twice the longest wait of an agent between two tries.
    static readonly TimeSpan Recent = TimeSpan.FromMinutes(1);

    readonly ConcurrentDictionary<(ClusterId Cluster, string? Node), DateTimeOffset> _tries = new();
    long _last;

    /// <summary>Whether anything was refused within the last minute.</summary>
    public bool Any => time.GetUtcNow().UtcTicks - Volatile.Read(ref _last) < Recent.Ticks;

    public void Note(Sender sender)
    {
        var now = time.GetUtcNow();
        Volatile.Write(ref _last, now.UtcTicks);
        _tries[(sender.ClusterId, sender.Node)] = now;
    }

    /// <summary>Whether a node's agent, or a cluster's collector where no node is named, tried within the last minute.</summary>
    public bool Heard(ClusterId cluster, string? node) =>
        _tries.TryGetValue((cluster, node), out var at) && time.GetUtcNow() - at < Recent;
}
