using System.Collections.Concurrent;

namespace Whistle.Ingest;

/// <summary>
/// Nodes that have tried to send and were refused for the server's own sake. They live, though nothing new of them is known: their signals are
/// unknown, and they are not silent. Thread-safe.
/// </summary>
public sealed class RefusedSenders(TimeProvider time)
{
    // Twice the longest wait of an agent between two tries.
    static readonly TimeSpan Recent = TimeSpan.FromMinutes(1);

    readonly ConcurrentDictionary<(string Tenant, string Cluster, string Node), DateTimeOffset> _nodes = new();
    long _last;

    /// <summary>Whether anything was refused within the last minute.</summary>
    public bool Any => time.GetUtcNow().UtcTicks - Volatile.Read(ref _last) < Recent.Ticks;

    internal void Note(Sender sender)
    {
        var now = time.GetUtcNow();
        Volatile.Write(ref _last, now.UtcTicks);
        if (sender.Node is { } node)
            _nodes[(sender.Tenant, sender.Cluster, node)] = now;
    }

    /// <summary>Whether the node tried within the last minute.</summary>
    public bool Heard(EnrolledAgent agent) =>
        _nodes.TryGetValue((agent.Tenant, agent.Cluster, agent.Node), out var at) && time.GetUtcNow() - at < Recent;
}
