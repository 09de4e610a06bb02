using System.Collections.Concurrent;

namespace Whistle.State;

/// <summary>
/// What texts of the state mean, remembered: most rows are read again and again between two changes. The values are shared, so they must be
/// immutable. Emptied when it is full.
/// </summary>
public sealed class ParsedTexts<T>(Func<string, T> parse, int most = 30_000)
{
    readonly ConcurrentDictionary<string, T> _known = new();

    public T this[string text]
    {
        get
        {
            if (_known.TryGetValue(text, out var value))
                return value;
            if (_known.Count >= most)
                _known.Clear();
            return _known[text] = parse(text);
        }
    }
}
