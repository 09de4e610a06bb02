namespace Whistle.Remediation.Simulation;

/// <summary>One thing that goes wrong, as it was drawn before the simulation began: what happens in it changes none of them.</summary>
/// <param name="At">From the start.</param>
/// <param name="Length">How long it lasts if nobody does anything.</param>
sealed record Fault(int Number, TimeSpan At, string Kind, int Cluster, int Node, TimeSpan Length, double Twist);

static class Scenario
{
    // What strikes, and how often in comparison.
    static readonly (string Kind, double Weight)[] Kinds =
    [
        ("disk", 14), ("inodes", 4), ("kubelet", 8), ("runtime", 6), ("clock", 5), ("certificate", 4), ("conntrack", 4), ("journal", 4),
        ("drift", 3), ("sick", 10), ("etcd", 10), ("storm", 2), ("burst", 4), ("agent dies", 8), ("agent cut off", 6), ("agent lies", 3),
        ("cluster silent", 3), ("detector stalls", 3), ("stores fail", 2), ("clock jumps", 2), ("kill switch", 2), ("pause", 5),
        ("mode", 4), ("taken", 4), ("cancel", 4), ("freeze", 2), ("foreign cordon", 4), ("budget spent", 6), ("flap", 4), ("restored", 2),
    ];

    const double Together = 0.35;

    static readonly TimeSpan TogetherWithin = TimeSpan.FromMinutes(10);

    public static List<Fault> Of(SimulationOptions options)
    {
        var chance = new Chance(options.Seed ^ 0x5EED);
        var mean = TimeSpan.FromDays(1) / (options.FaultsPerClusterDay * options.Clusters);
        var total = Kinds.Sum(k => k.Weight);
        var faults = new List<Fault>();
        // Exponential gaps, and now and then several at once: what meets is what breaks. On average they are as long as was asked for.
        var alone = (mean - (Together * TogetherWithin / 2)) / (1 - Together);
        TimeSpan Gap() => chance.Is("together", Together) ? TogetherWithin * chance.Next("gap") : -alone * Math.Log(1 - chance.Next("gap"));
        for (var at = Gap(); at < options.Length; at += Gap())
        {
            var draw = chance.Next("kind") * total;
            var kind = Kinds.First(k => (draw -= k.Weight) < 0).Kind;
            var length = chance.Is("long", 0.15) ? chance.Seconds("length", 3600, 6 * 3600) : chance.Seconds("length", 120, 3600);
            // Faults gather in few places.
            var near = faults.Count > 0 && chance.Is("near", 0.4) ? faults[^1] : null;
            faults.Add(new(
                faults.Count, at, kind, near?.Cluster ?? chance.Below("cluster", options.Clusters),
                chance.Is("control", 0.25) ? chance.Below("node", 3) : chance.Below("node", options.NodesPerCluster), length,
                chance.Next("twist")));
        }

        return faults;
    }
}
