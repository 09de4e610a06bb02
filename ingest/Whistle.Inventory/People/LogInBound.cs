using System.Net;

namespace Whistle.Inventory.People;

/// <summary>
/// How many log-ins may fail from one address, as <see cref="CallerNetwork"/> counts them, within some minutes. One that is under way
/// counts as a failure until it succeeds.
/// </summary>
public sealed class LogInBound(LogInOptions options)
{
    // Beyond it the one that has been silent for longest is forgotten.
    const int MostAddresses = 10_000;

    readonly Lock _gate = new();
    readonly Dictionary<string, List<DateTimeOffset>> _failures = [];

    /// <summary>Lets one begin; answers how long to wait where none may.</summary>
    public TimeSpan? Begin(IPAddress? from)
    {
        var (key, now) = (CallerNetwork.Of(from), options.Time.GetUtcNow());
        lock (_gate)
        {
            if (!_failures.TryGetValue(key, out var failures))
            {
                if (_failures.Count >= MostAddresses)
                    Forget_NeedsLock(now);
                _failures[key] = failures = [];
            }

            failures.RemoveAll(f => now - f >= options.FailureWindow);
            if (failures.Count >= options.FailuresFromAddress)
                return failures[0] + options.FailureWindow - now;
            failures.Add(now);
            return null;
        }
    }

    /// <summary>One that began did not fail.</summary>
    public void Succeed(IPAddress? from)
    {
        lock (_gate)
        {
            if (_failures.TryGetValue(CallerNetwork.Of(from), out var failures) && failures.Count > 0)
                failures.RemoveAt(failures.Count - 1);
        }
    }

    void Forget_NeedsLock(DateTimeOffset now)
    {
        foreach (var (key, _) in _failures.Where(f => f.Value.Count == 0 || now - f.Value[^1] >= options.FailureWindow).ToList())
            _failures.Remove(key);
        if (_failures.Count >= MostAddresses)
            _failures.Remove(_failures.MinBy(f => f.Value[^1]).Key);
    }
}
