namespace Whistle.Remediation.Simulation;

/// <summary>
/// Random numbers by stream, each its own sequence from the seed: whatever is left out elsewhere, a stream gives the same, so a shrunken
/// simulation stays close to the whole one.
/// </summary>
sealed class Chance(ulong seed)
{
    readonly Dictionary<string, ulong> _counters = [];

    /// <summary>At least 0, less than 1.</summary>
    public double Next(string stream)
    {
        var count = _counters.GetValueOrDefault(stream);
        _counters[stream] = count + 1;
        return (Mix(Mix(seed ^ Hash(stream)) + (count * 0x9E3779B97F4A7C15)) >> 11) * (1.0 / (1UL << 53));
    }

    public bool Is(string stream, double probability) => Next(stream) < probability;

    public int Below(string stream, int most) => (int)(Next(stream) * most);

    public TimeSpan Between(string stream, TimeSpan least, TimeSpan most) => least + ((most - least) * Next(stream));

    public TimeSpan Seconds(string stream, double least, double most) =>
        Between(stream, TimeSpan.FromSeconds(least), TimeSpan.FromSeconds(most));

    public T Pick<T>(string stream, IReadOnlyList<T> of) => of[Below(stream, of.Count)];

    // SplitMix64.
    static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    static ulong Hash(string text)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in text)
            hash = (hash ^ c) * 1099511628211;
        return hash;
    }
}
