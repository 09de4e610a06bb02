using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Prometheus;

using Whistle.Detectors;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Testing;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>The rule engine on a fake clock in steps of a minute, over series in memory and a state file in a folder of its own.</summary>
sealed class RulesBench : IDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    static readonly (string, string)[] Node = [("tenant", "t"), ("cluster", "c"), ("node", "n1")];

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-bench-").FullName;
    StateDatabase? _database;

    public RulesBench(string? rules = null)
    {
        RulesFile = rules is null ? Path.Combine(AppContext.BaseDirectory, "rules") : Path.Combine(_folder, "rules.yaml");
        if (rules is not null)
            File.WriteAllText(RulesFile, rules);
        Engine = new PromQLEngine(new Store(this));
        Restart();
    }

    public MemorySeries Series { get; } = new();

    public PromQLEngine Engine { get; }

    /// <summary>The metric for which the store, as queries read it, does not answer.</summary>
    public string? Unanswered { get; set; }

    public FakeTimeProvider Clock { get; } = new(Start);

    public CollectorRegistry Metrics { get; private set; } = Prometheus.Metrics.NewCustomRegistry();

    public List<EnrolledAgent> Inventory { get; } = [new(new("t", "c", "n1"), Start)];

    public RulesHost Host { get; private set; } = null!;

    public HealthBoard Health { get; private set; } = null!;

    public RefusedSenders Refused { get; private set; } = null!;

    public string RulesFile { get; }

    public int Minute => (int)(Clock.GetUtcNow() - Start).TotalMinutes;

    public long Now => Clock.GetUtcNow().ToUnixTimeMilliseconds();

    public static Labels Of(string metric, params (string, string)[] labels) => Labels.OfMetric(metric, [.. Node, .. labels]);

    /// <summary>As a new process on the same state and data.</summary>
    public void Restart()
    {
        Host?.Dispose();
        _database?.Dispose();
        _database = new StateDatabase(Path.Combine(_folder, "state.db"));
        Metrics = Prometheus.Metrics.NewCustomRegistry();
        (Health, Refused) = (new HealthBoard(Clock), new RefusedSenders(Clock));
        Host = new RulesHost(
            new RulesEnvironment
            {
                RuleFiles = [RulesFile],
                Engine = Engine,
                Series = Series,
                Write = Series.WriteAsync,
                Inventory = _ => Task.FromResult<IReadOnlyList<EnrolledAgent>>(Inventory),
                Health = Health,
                Refused = Refused,
                Database = _database,
                Metrics = Prometheus.Metrics.WithCustomRegistry(Metrics),
            },
            Clock,
            NullLogger<RulesHost>.Instance);
    }

    public async Task LoadAsync() => Assert.Empty((await Host.ReloadAsync(TestContext.Current.CancellationToken)).Errors);

    /// <summary>A report of the agent, which runs at an interval of a minute here; <paramref name="collectors"/> succeed.</summary>
    public void Report(params ReadOnlySpan<string> collectors)
    {
        Series.Add(Of("whistle_agent_interval_seconds"), Now, 60);
        foreach (var collector in collectors)
            Series.Add(Of("node_scrape_collector_success", ("collector", collector)), Now, 1);
    }

    /// <summary>A disk of 100 bytes in a successful report. Of the size, 5 % are reserved, as on ext4.</summary>
    public void Disk(double used, string mountpoint = "/data", bool inodes = false, bool readOnly = false)
    {
        (string, string)[] disk = [("device", "/dev/sdb1"), ("fstype", "ext4"), ("mountpoint", mountpoint)];
        var free = Math.Clamp(95 - used, 0, 95);
        Series.Add(Of("node_filesystem_size_bytes", disk), Now, 100);
        Series.Add(Of("node_filesystem_avail_bytes", disk), Now, inodes ? 90 : free);
        Series.Add(Of("node_filesystem_files", disk), Now, 100);
        Series.Add(Of("node_filesystem_files_free", disk), Now, inodes ? free : 90);
        Series.Add(Of("node_filesystem_readonly", disk), Now, readOnly ? 1 : 0);
    }

    public void Unmount(string mountpoint = "/data")
    {
        (string, string)[] disk = [("device", "/dev/sdb1"), ("fstype", "ext4"), ("mountpoint", mountpoint)];
        foreach (var metric in new[] { "size_bytes", "avail_bytes", "files", "files_free", "readonly" })
            Series.Add(Of("node_filesystem_" + metric, disk), Now, StaleMarker.Value);
    }

    /// <summary>Evaluates what is due now, then moves the clock on, until at least a minute is over.</summary>
    public async Task StepAsync(TimeSpan? step = null)
    {
        var advance = step ?? TimeSpan.FromMinutes(1);
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromMinutes(1); passed += advance)
        {
            await Host.EvaluateAsync(Clock.GetUtcNow(), TestContext.Current.CancellationToken);
            Clock.Advance(advance);
        }
    }

    public void Pass() => Clock.Advance(TimeSpan.FromMinutes(1));

    public Signal? Signal(string name) => Host.Signals.SingleOrDefault(s => s.Name == name);

    public void Dispose()
    {
        Host.Dispose();
        _database?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    sealed class Store(RulesBench bench) : ISeriesSource
    {
        public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
            IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation) =>
            matchers.Any(m => m.Value == bench.Unanswered)
                ? throw new StoreException("The store does not answer.")
                : bench.Series.SelectAsync(matchers, minTime, maxTime, cancellation);
    }
}
