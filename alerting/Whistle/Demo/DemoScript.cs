using Whistle.Actions.Policy;
using Whistle.Remediation.Runbooks;

namespace Whistle.Demo;

/// <summary>A cluster, and how far runbooks may go in it.</summary>
sealed record DemoCluster(string Name, RunbookMode Mode);

/// <summary>A scripted part of the demo.</summary>
/// <param name="From">When there is something to see, after the live part begins, in the demo's time.</param>
/// <param name="Until">When it has come to its end.</param>
sealed record ScriptedEvent(string Cluster, string Node, string Mountpoint, string What, TimeSpan From, TimeSpan Until);

/// <summary>
/// The fleet and what happens in it, as a function of the options and of the instant at which the live part begins: the same seed gives the
/// same fleet and the same events.
/// </summary>
sealed class DemoScript
{
    public const string Runbook = "node-disk-filling";

    const long Gib = 1L << 30;
    const string CiCache = "/srv/ci-cache";
    const string Postgres = "/var/lib/postgresql";
    const string Registry = "/srv/registry";
    const string Logs = "/var/log";
    const string Scratch = "/srv/scratch";

    /// <summary>
    /// Longer than the rules read back, by the half hour that a forecast has to hold before it fires and some minutes.
    /// </summary>
    public static readonly TimeSpan History = TimeSpan.FromMinutes(395);

    /// <summary>The engine lives through the last part of the history: before, no rule has the hours that it asks for.</summary>
    public static readonly TimeSpan Lived = TimeSpan.FromMinutes(31);

    public static readonly IReadOnlyList<DemoCluster> Clusters =
        [new("prod-eu-1", RunbookMode.Automatic), new("prod-us-1", RunbookMode.Approve), new("staging", RunbookMode.Observe)];

    static readonly TimeSpan ForecastLasts = TimeSpan.FromMinutes(30);

    readonly DateTimeOffset _live;
    readonly int _seed;

    /// <param name="live">When the live part begins; a whole minute, as the rules are evaluated on it.</param>
    public DemoScript(DemoOptions options, DateTimeOffset live)
    {
        (_live, _seed) = (live, options.Seed);
        var (eu, us, staging) = (Clusters[0].Name, Clusters[1].Name, Clusters[2].Name);
        Events =
        [
            new(
                eu, "worker-03", CiCache, "fills up; what fills it may be cleaned, so it is cleaned and nobody is paged",
                TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10)),
            new(
                eu, "worker-07", Postgres, "fills up and may not be cleaned: two attempts, then a page and a ticket",
                TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10)),
            new(
                eu, "worker-05", Scratch,
                "was about to fire when its node fell silent: NodeSilent pages, and what was known of the node is unknown",
                TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(5)),
            new(
                us, "worker-06", Logs, "fills up steeply and is emptied by a rotation, again and again: nothing is said about it",
                TimeSpan.Zero, TimeSpan.FromMinutes(6)),
            new(
                us, "worker-02", CiCache, "fills up; the plan waits for your approval, and pages if nobody gives it",
                TimeSpan.FromMinutes(3), TimeSpan.FromMinutes(18)),
            new(
                staging, "worker-04", Registry,
                "fills up where runbooks only observe: the plan stands on the incident, nothing is done, and at last it pages",
                TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(20)),
        ];
        Nodes = [.. Names(options.Nodes).Select((n, i) => Node(n.Cluster, n.Name, i))];
    }

    public IReadOnlyList<ScriptedEvent> Events { get; }

    public IReadOnlyList<NodeSpec> Nodes { get; }

    // What the script needs first; then cluster by cluster, so that each gets its part.
    List<(string Cluster, string Name)> Names(int count)
    {
        var names = Events.Select(h => (h.Cluster, h.Node)).Distinct().ToList();
        var taken = names.ToHashSet();
        for (var i = 0; names.Count < count; i++)
        {
            var name = (Clusters[i % Clusters.Count].Name, i / Clusters.Count is var k && k < 3 ? $"cp-{k + 1}" : $"worker-{k - 2:00}");
            if (taken.Add(name))
                names.Add(name);
        }

        return names;
    }

    NodeSpec Node(string cluster, string name, int index)
    {
        var seed = unchecked((_seed * 1_000_003) + index);
        var random = new Random(seed);
        var control = name.StartsWith("cp-", StringComparison.Ordinal);
        var scripted = Events.FirstOrDefault(h => h.Cluster == cluster && h.Node == name);
        List<DiskModel> disks = [.. Usual(random)];
        if (scripted is not null)
            disks.Add(Scripted(scripted, random));
        return new NodeSpec(
            cluster, name, control ? 4 : 8, (control ? 16 : 64) * Gib, _live - TimeSpan.FromHours(24 * (2 + (60 * random.NextDouble()))),
            disks)
        {
            Seed = seed,
            IsScripted = scripted is not null,
            Policy = Policy(disks),
            SilentFrom = scripted?.Mountpoint is Scratch ? _live + TimeSpan.FromSeconds(15) : null,
        };
    }

    static NodePolicy Policy(IEnumerable<DiskModel> disks)
    {
        var rules = disks.Select(d => d.Cleanable).OfType<CleanableFiles>()
            .Select(c => new CleanRule { Root = c.Root, Patterns = [c.Pattern], MinimumAge = c.MinimumAge }).ToList();
        return new NodePolicy { CleanPaths = rules, VacuumJournal = new JournalRule { KeepBytes = Gib / 2 } };
    }

    static IEnumerable<DiskModel> Usual(Random random)
    {
        yield return new("/dev/nvme0n1p2", "ext4", "/", 96 * Gib, Steady(random, 0.30, 0.70))
        {
            Cleanable = new("/var/crash", "*.core", "7d", 1, 256 << 20),
        };
        yield return new("/dev/nvme0n1p1", "ext4", "/boot", Gib, Steady(random, 0.25, 0.45));
        yield return new("/dev/nvme1n1", "xfs", "/var/lib/containerd", 400 * Gib, Steady(random, 0.35, 0.80));
    }

    static DiskCurve.Steady Steady(Random random, double from, double to) =>
        new(from + ((to - from) * random.NextDouble()), TimeSpan.FromHours(2 + (2 * random.NextDouble())), random.NextDouble());

    DiskModel Scripted(ScriptedEvent scripted, Random random)
    {
        var growth = 0.055 + (0.015 * random.NextDouble());
        // Between two evaluations, so that the half hour ends with the minute that the script names.
        var curve = new DiskCurve.Filling(_live + scripted.From - ForecastLasts - TimeSpan.FromSeconds(30), growth);
        return scripted.Mountpoint switch
        {
            CiCache => new("/dev/nvme2n1", "xfs", CiCache, 512 * Gib, curve)
            {
                Cleanable = new($"{CiCache}/artifacts", "build-*.tar.zst", "7d", 0.28, 768 << 20),
                Folders =
                [
                    new($"{CiCache}/artifacts", 0, Grows: true), new($"{CiCache}/go-mod", 0.09), new($"{CiCache}/bazel", 0.07),
                    new($"{CiCache}/npm", 0.04),
                ],
            },
            Postgres => new("/dev/nvme2n1", "ext4", Postgres, 1024 * Gib, curve)
            {
                Folders =
                [
                    new($"{Postgres}/16/main/pg_wal", 0, Grows: true), new($"{Postgres}/16/main/base/16402", 0.14),
                    new($"{Postgres}/16/main/base/16385", 0.05),
                ],
            },
            Registry => new("/dev/nvme2n1", "xfs", Registry, 768 * Gib, curve)
            {
                Cleanable = new($"{Registry}/uploads", "*.partial", "3d", 0.30, 512 << 20),
                Folders = [new($"{Registry}/uploads", 0, Grows: true), new($"{Registry}/blobs", 0.22)],
            },
            // It would fire minutes after the node is heard of for the last time.
            Scratch => new("/dev/nvme2n1", "xfs", Scratch, 256 * Gib, curve with { Warned = _live - TimeSpan.FromMinutes(20.5) }),
            Logs => new(
                "/dev/nvme2n1", "ext4", Logs, 128 * Gib,
                new DiskCurve.SawTooth(0.42, 0.91, TimeSpan.FromHours(2), _live + scripted.Until)),
            _ => throw new InvalidOperationException($"{scripted.Mountpoint} is not in the script."),
        };
    }
}
