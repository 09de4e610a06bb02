using System.Globalization;

using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>Adds the series of one scrape target to a list. A series' own label wins over the target's of that name.</summary>
sealed class Target(List<FixtureSeries> series, uint seed, params (string Name, string Value)[] target)
{
    public void Still(string name, double value, params (string Name, string Value)[] own) => Add(Behaviour.Constant, name, value, own);

    /// <param name="growth">From sample to sample; 0 for what never happens.</param>
    public void Counts(string name, double growth, params (string Name, string Value)[] own) =>
        Add(growth == 0 ? Behaviour.Constant : Behaviour.Counter, name, growth, own);

    public void Seconds(string name, double growth, params (string Name, string Value)[] own) =>
        Add(Behaviour.SecondsCounter, name, growth, own);

    public void Pages(string name, double level, params (string Name, string Value)[] own) => Add(Behaviour.PagesGauge, name, level, own);

    public void Wavers(string name, double level, params (string Name, string Value)[] own) => Add(Behaviour.FloatGauge, name, level, own);

    public void Add(Behaviour behaviour, string name, double level, params (string Name, string Value)[] own) =>
        Add(behaviour, name, level, NextSeed(), own);

    /// <summary>One series for each value of a label, 1 where the value is <paramref name="holds"/> and otherwise 0.</summary>
    public void States(string name, string label, string[] values, string holds, params (string Name, string Value)[] own)
    {
        foreach (var value in values)
            Still(name, value == holds ? 1 : 0, [(label, value), .. own]);
    }

    /// <summary>Buckets, sum and count of an exponential distribution.</summary>
    /// <param name="name">Without the suffixes.</param>
    /// <param name="growth">Observations from sample to sample.</param>
    /// <param name="mean">Of what is observed.</param>
    /// <param name="bounds">Of the buckets, without the infinite one.</param>
    /// <param name="own">Labels beside le.</param>
    public void Histogram(string name, double growth, double mean, double[] bounds, params (string Name, string Value)[] own)
    {
        var shared = NextSeed();
        foreach (var bound in bounds)
        {
            var le = bound.ToString("0.0###", CultureInfo.InvariantCulture);
            Add(Behaviour.Counter, name + "_bucket", growth * (1 - Math.Exp(-bound / mean)), shared, [("le", le), .. own]);
        }

        Add(Behaviour.Counter, name + "_bucket", growth, shared, [("le", "+Inf"), .. own]);
        Add(Behaviour.Counter, name + "_count", growth, shared, own);
        Add(Behaviour.SecondsCounter, name + "_sum", growth * mean, shared, own);
    }

    uint NextSeed() => (seed * 0x9E3779B1) + (uint)series.Count;

    void Add(Behaviour behaviour, string name, double level, uint shared, (string Name, string Value)[] own)
    {
        var labels = new List<(string, string)>(own.Length + target.Length);
        labels.AddRange(own);
        foreach (var label in target)
        {
            if (!Array.Exists(own, o => o.Name == label.Name))
                labels.Add(label);
        }

        series.Add(new FixtureSeries(Labels.OfMetric(name, [.. labels]), behaviour, level, shared));
    }
}
