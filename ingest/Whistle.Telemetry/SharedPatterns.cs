using System.Collections.Concurrent;

namespace Whistle.Telemetry;

/// <summary>Compiled expressions by their text, each as long as somebody uses it.</summary>
sealed class SharedPatterns<T>(Func<string, T> compile)
    where T : class
{
    const int MostKnown = 1000;
    const int LongestKnown = 250;

    readonly ConcurrentDictionary<string, WeakReference<T>> _known = new();

    public T this[string pattern]
    {
        get
        {
            if (_known.TryGetValue(pattern, out var reference) && reference.TryGetTarget(out var known))
                return known;
            var compiled = compile(pattern);
            if (_known.Count >= MostKnown)
            {
                foreach (var (dead, _) in _known.Where(k => !k.Value.TryGetTarget(out _)))
                    _known.TryRemove(dead, out _);
            }

            if (pattern.Length <= LongestKnown && _known.Count < MostKnown)
                _known[pattern] = new(compiled);
            return compiled;
        }
    }
}
