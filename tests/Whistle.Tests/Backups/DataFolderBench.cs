using Microsoft.Extensions.Time.Testing;

using Whistle.Backups;
using Whistle.Incidents;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Remediation.Control;
using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Tests.Backups;

/// <summary>A server's data folder with its stores open, and the books of what was stored: all that a backup of it must hold.</summary>
sealed class DataFolderBench : IDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);
    static readonly LabelMatcher[] All = [new(Labels.MetricName, MatchOperator.Equal, "m")];

    readonly List<HeadSeries> _series =
        [.. Enumerable.Range(0, 5).Select(i => new HeadSeries((uint)i + 1, Labels.OfMetric("m", ("part", $"{i}")), "t"))];
    readonly SortedDictionary<(string Part, long Time), double> _books = [];
    long _next = Start.ToUnixTimeMilliseconds();

    public DataFolderBench()
    {
        Data = Path.Combine(Root, "data");
        Directory.CreateDirectory(Path.Combine(Data, "keys"));
        Directory.CreateDirectory(Path.Combine(Data, "agent", "buffer", "commands"));
        foreach (var (name, text) in new[]
        {
            ("token", "wsa_secret"), ("keys/key-1.xml", "<key/>"), ("agent/token", "wst_secret"),
            ("agent/buffer/commands/x.command", "journal"), ("appsettings.json", "{}"),
        })
            File.WriteAllText(Path.Combine(Data, name), text);
        State = new(Path.Combine(Data, "state.sqlite"));
        Store = new(new StoreOptions(Path.Combine(Data, "telemetry"), TimeSpan.FromDays(15)), Time);
        Control = new(State);
        _ = new IncidentStore(State);
    }

    public string Root { get; } = Directory.CreateTempSubdirectory("whistle-backup-").FullName;

    public string Data { get; }

    public string Target => Path.Combine(Root, "backup");

    public FakeTimeProvider Time { get; } = new(Start);

    public StateDatabase State { get; }

    public DuckDbStore Store { get; }

    public ControlStore Control { get; }

    public BackupSource Source => new(Data, State, Store, Time);

    public IReadOnlyDictionary<(string Part, long Time), double> Books => _books;

    /// <summary>Three sealed hours, a hot one, and late samples that are not merged yet.</summary>
    public DataFolderBench Fill()
    {
        for (var minute = 0; minute < 200; minute++)
        {
            Append();
            Time.Advance(TimeSpan.FromMinutes(1));
        }

        Store.Maintain();
        Late(Start.AddMinutes(30).ToUnixTimeMilliseconds() + 1);
        return this;
    }

    /// <summary>One sample of each series, a minute after those before.</summary>
    public void Append()
    {
        var batch = new CommitBatch();
        foreach (var series in _series)
        {
            if (!series.Persisted)
                batch.NewSeries.Add(series);
            series.Persisted = true;
            Add(batch, series, _next, late: false);
        }

        Store.Append(batch);
        _next += 60_000;
    }

    void Late(long at)
    {
        var batch = new CommitBatch();
        foreach (var series in _series)
            Add(batch, series, at, late: true);
        Store.Append(batch);
    }

    void Add(CommitBatch batch, HeadSeries series, long at, bool late)
    {
        var value = at / 1000.0 + series.Id;
        batch.Add(series, at, value, late);
        lock (_books)
            _books[(series.Labels["part"], at)] = value;
    }

    /// <summary>All samples of the store in a folder that no server uses.</summary>
    public static Dictionary<(string, long), double> Samples(string telemetry)
    {
        using var store = new DuckDbStore(new StoreOptions(telemetry, TimeSpan.FromDays(15)), new FakeTimeProvider(Start));
        return store.Select(All, 0, long.MaxValue)
            .SelectMany(s => s.Times.Zip(s.Values).Select(p => (Key: (s.Labels["part"], p.First), p.Second)))
            .ToDictionary(p => p.Key, p => p.Second);
    }

    public async Task<BackupManifest> BackupAsync(Action<BackupProgress>? progress, CancellationToken cancellation) =>
        await Whistle.Backups.Backup.CreateAsync(Source, Target, progress ?? (_ => { }), cancellation);

    public async Task<BackupManifest> BackupAsync(CancellationToken cancellation) => await BackupAsync(null, cancellation);

    public void Dispose()
    {
        Store.Dispose();
        State.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
