using System.Net;
using System.Net.Sockets;

namespace Whistle.Inventory.People;

/// <summary>
/// How many log-ins may fail from one address: <see cref="Most"/> within <see cref="Window"/>. One network of IPv6 that a customer of a
/// provider gets is one address. One that is under way counts as a failure until it succeeds.
/// </summary>
public sealed class LogInBound(TimeProvider time)
{
    public const int Most = 30;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(10);

    // Beyond it the one that has been silent for longest is forgotten.
    const int MostAddresses = 10_000;

    const int NetworkBytes = 8;

    readonly Lock _gate = new();
    readonly Dictionary<string, List<DateTimeOffset>> _failures = [];

    /// <summary>Lets one begin; answers how long to wait where none may.</summary>
    public TimeSpan? Begin(IPAddress? from)
    {
        var (key, now) = (KeyOf(from), time.GetUtcNow());
        lock (_gate)
        {
            if (!_failures.TryGetValue(key, out var failures))
            {
                if (_failures.Count >= MostAddresses)
                    Forget_NeedsLock(now);
                _failures[key] = failures = [];
            }

            failures.RemoveAll(f => now - f >= Window);
            if (failures.Count >= Most)
                return failures[0] + Window - now;
            failures.Add(now);
            return null;
        }
    }

    /// <summary>One that began did not fail.</summary>
    public void Succeed(IPAddress? from)
    {
        lock (_gate)
        {
            if (_failures.TryGetValue(KeyOf(from), out var failures) && failures.Count > 0)
                failures.RemoveAt(failures.Count - 1);
        }
    }

    void Forget_NeedsLock(DateTimeOffset now)
    {
        foreach (var (key, _) in _failures.Where(f => f.Value.Count == 0 || now - f.Value[^1] >= Window).ToList())
            _failures.Remove(key);
        if (_failures.Count >= MostAddresses)
            _failures.Remove(_failures.MinBy(f => f.Value[^1]).Key);
    }

    static string KeyOf(IPAddress? from) => from switch
    {
        null => "",
        { IsIPv4MappedToIPv6: true } => $"{from.MapToIPv4()}",
        { AddressFamily: AddressFamily.InterNetworkV6 } => Convert.ToHexString(from.GetAddressBytes().AsSpan(0, NetworkBytes)),
        _ => $"{from}",
    };
}
