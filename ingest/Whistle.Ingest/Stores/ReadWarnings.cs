namespace Whistle.Ingest.Stores;

/// <summary>
/// What an answer must say of the data that it was made from: that hours are damaged or cannot be read. Whoever answers begins to collect;
/// whatever is read in that flow of control, on any thread, adds to it.
/// </summary>
public sealed class ReadWarnings : IDisposable
{
    // More would not be read.
    const int Most = 10;

    static readonly AsyncLocal<ReadWarnings?> Current = new();

    readonly Lock _lock = new();
    readonly List<string> _texts = [];
    readonly ReadWarnings? _outer = Current.Value;
    int _more;

    ReadWarnings()
    {
    }

    public static ReadWarnings Collect() => Current.Value = new ReadWarnings();

    internal static void Add(string text) => Current.Value?.AddOnce(text);

    public IReadOnlyList<string> Texts
    {
        get
        {
            lock (_lock)
                return _more == 0 ? [.. _texts] : [.. _texts, $"and {_more} more of this kind"];
        }
    }

    public void Dispose() => Current.Value = _outer;

    void AddOnce(string text)
    {
        lock (_lock)
        {
            if (_texts.Contains(text))
                return;
            if (_texts.Count < Most)
                _texts.Add(text);
            else
                _more++;
        }
    }
}
