using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Simulation;

/// <summary>What calls people in a simulation: alerting, which lies further down the stream than this project.</summary>
public interface ISimulatedPager : IDisposable
{
    /// <summary>One pass.</summary>
    Task DecideAsync(DateTimeOffset now, CancellationToken cancellation);

    /// <summary>Incidents that were paged and are not over.</summary>
    Task<IReadOnlyDictionary<string, DateTimeOffset>> PagedAsync(CancellationToken cancellation);

    /// <summary>How long an incident of the severity may be open before it pages; null where it never does.</summary>
    TimeSpan? Deadline(string severity);
}

public sealed record SimulationOptions
{
    /// <summary>Everything that is left to chance follows from it.</summary>
    public required ulong Seed { get; init; }

    public int Clusters { get; init; } = 3;

    public int NodesPerCluster { get; init; } = 20;

    /// <summary>How long faults occur; then all of them are repaired and the fleet comes to rest.</summary>
    public TimeSpan Length { get; init; } = TimeSpan.FromDays(20);

    public double FaultsPerClusterDay { get; init; } = 1.2;

    /// <summary>Runbook files and folders of them.</summary>
    public required IReadOnlyList<string> Runbooks { get; init; }

    public required Func<StateDatabase, IncidentStore, RunStore, TimeProvider, ISimulatedPager> Pager { get; init; }

    /// <summary>Of the faults, only those with these numbers, for shrinking; null for all.</summary>
    public IReadOnlySet<int>? Only { get; init; }

    /// <summary>Nothing goes wrong but the faults themselves.</summary>
    public bool Calm { get; init; }

    /// <summary>The faults, in place of those that are drawn.</summary>
    internal IReadOnlyList<Fault>? Script { get; init; }

    /// <summary>
    /// The write about a run or a command at which the process that makes it dies, counted from 0, before its commit and after it apart.
    /// </summary>
    internal int? DieAt { get; init; }

    /// <summary>Told what happens, line by line; null for nobody.</summary>
    public Action<string>? Trace { get; init; }
}

/// <summary>What must never be so, and was.</summary>
/// <param name="Invariant">A stable name.</param>
public sealed record Violation(string Invariant, DateTimeOffset At, string What)
{
    public override string ToString() => $"{At:yyyy-MM-dd HH:mm:ss}Z {Invariant}: {What}";
}

/// <summary>What came of one simulation.</summary>
public sealed record SimulationReport
{
    public required ulong Seed { get; init; }

    /// <summary>The first; the simulation ends with it.</summary>
    public Violation? Violation { get; init; }

    public double ClusterHours { get; init; }

    public int FaultsPlanned { get; init; }

    /// <summary>How the runs ended, step by step, and what the world is like then.</summary>
    internal string End { get; init; } = "";

    /// <summary>How often a process wrote something about a run or a command, before the commit and after it.</summary>
    internal int Moments { get; set; }

    public Dictionary<string, long> Faults { get; init; } = [];

    /// <summary>Crashes, lost messages, lies and the like.</summary>
    public Dictionary<string, long> Troubles { get; init; } = [];

    public Dictionary<string, long> Runs { get; init; } = [];

    /// <summary>By gate.</summary>
    public Dictionary<string, long> Refusals { get; init; } = [];

    public long Passes { get; set; }

    public long Commands { get; set; }

    public long Pages { get; set; }

    /// <summary>From the fault to the end of the run that repaired it.</summary>
    public long Repairs { get; set; }

    public TimeSpan RepairTime { get; set; }

    public void Add(SimulationReport other)
    {
        foreach (var (mine, theirs) in new[]
        {
            (Faults, other.Faults), (Troubles, other.Troubles), (Runs, other.Runs), (Refusals, other.Refusals),
        })
        {
            foreach (var (key, count) in theirs)
                mine[key] = mine.GetValueOrDefault(key) + count;
        }

        Passes += other.Passes;
        Commands += other.Commands;
        Pages += other.Pages;
        Repairs += other.Repairs;
        RepairTime += other.RepairTime;
    }
}
