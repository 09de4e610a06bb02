using Whistle.Telemetry;

namespace Whistle.Fixtures;

/// <summary>How a series' value moves from one scrape to the next.</summary>
enum Behaviour
{
    Constant,

    /// <summary>Whole numbers that only grow: bytes, packets, interrupts.</summary>
    Counter,

    /// <summary>Seconds that only grow, in hundredths, as the kernel counts CPU time.</summary>
    SecondsCounter,

    /// <summary>A counter that begins again at 0 every 100 samples, as that of a container which is restarted.</summary>
    RestartingCounter,

    /// <summary>Multiples of 4096 around a level: memory, free disk.</summary>
    PagesGauge,

    /// <summary>Any double around a level: durations, offsets, loads.</summary>
    FloatGauge,

    /// <summary>Falls from the level by two in a thousand a sample, and begins again after 400 samples.</summary>
    Draining,

    /// <summary>The level for two samples, 0 for two samples.</summary>
    Flapping,
}

/// <summary>A series whose value is a pure function of the sample's number, so that two runs, or two servers, get the same data.</summary>
/// <param name="Labels">The series.</param>
/// <param name="Behaviour">How it moves.</param>
/// <param name="Level">The value it is around; for counters the growth from sample to sample.</param>
/// <param name="Seed">Of its irregularity. Counters of one seed are in the proportion of their levels at every sample.</param>
sealed record FixtureSeries(Labels Labels, Behaviour Behaviour, double Level, uint Seed)
{
    const int LongestPast = 100_000;

    // Samples that a counter has behind it when the first is taken.
    readonly double _past = Math.Floor(Noise(Seed, -1) * LongestPast);

    /// <param name="sample">From 0, one every scrape.</param>
    public double At(int sample) => Behaviour switch
    {
        Behaviour.Constant => Level,
        Behaviour.Counter => Math.Floor(Level * Age(sample)),
        Behaviour.SecondsCounter => Math.Round(Level * Age(sample), 2),
        Behaviour.RestartingCounter => Math.Floor(Level * ((_past + sample) % 100)),
        Behaviour.PagesGauge => 4096 * Math.Floor(Level * (0.995 + (0.01 * Noise(Seed, sample))) / 4096),
        Behaviour.FloatGauge => Level * (0.5 + Noise(Seed, sample)),
        Behaviour.Draining => Math.Floor(Level * (1 - (0.002 * (sample % 400)))),
        Behaviour.Flapping => (sample & 2) == 0 ? Level : 0,
        _ => throw new InvalidOperationException($"{Behaviour} is not known."),
    };

    // Less than one whole sample of irregularity, so that a counter never falls.
    double Age(int sample) => _past + sample + (0.9 * Noise(Seed, sample));

    // splitmix64; from 0 to 1.
    static double Noise(uint seed, int sample)
    {
        var x = (((ulong)seed << 32) | (uint)sample) + 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return ((x ^ (x >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
