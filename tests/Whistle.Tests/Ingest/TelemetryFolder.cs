using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.Telemetry;

namespace Whistle.Tests.Ingest;

/// <summary>
/// A telemetry folder as a killed server leaves it, and books of what was stored there: two tenants whose series differ in nothing else,
/// sealed hours (one of them sealed twice), a hot hour, samples that came late. Copies of the folder from earlier in its life are kept
/// beside it.
/// </summary>
sealed class TelemetryFolder : IDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);
    public static readonly string[] Tenants = ["acme", "beta"];

    const int SeriesPerTenant = 40;

    readonly string _root = Directory.CreateTempSubdirectory("whistle-telemetry").FullName;
    readonly Dictionary<(string Tenant, string Series), HeadSeries> _series = [];
    uint _lastId;

    public TelemetryFolder()
    {
        Time = new FakeTimeProvider(Start);
        using var store = new DuckDbStore(new StoreOptions(Live, TimeSpan.FromDays(30)), Time);
        for (var hour = 0; hour < 5; hour++)
        {
            for (var minute = 0; minute < 60; minute += 10)
            {
                Append(store, hour * 60 + minute, late: false);
                // The hour before is sealed now; of the second one, twice.
                store.Maintain();
                Time.Advance(TimeSpan.FromMinutes(10));
                if (hour == 2 && minute == 20)
                    Append(store, 75, late: true);
            }

            Copy(Live, Path.Combine(_root, $"after-{hour}"));
        }

        Append(store, 5 * 60, late: false);
        Append(store, 5 * 60 + 10, late: false);
        Append(store, 2 * 60 + 25, late: true);
        Copy(Live, Folder);
    }

    public FakeTimeProvider Time { get; }

    /// <summary>What is there to be damaged.</summary>
    public string Folder => Path.Combine(_root, "folder");

    /// <summary>What the folder was after each of the first five hours.</summary>
    public IEnumerable<string> Older => Enumerable.Range(0, 5).Select(hour => Path.Combine(_root, $"after-{hour}"));

    /// <summary>By tenant, series and time.</summary>
    public Dictionary<(string Tenant, string Series, long Time), double> Books { get; } = [];

    string Live => Path.Combine(_root, "live");

    public string CopyTo(string name)
    {
        var copy = Path.Combine(_root, name);
        Copy(Folder, copy);
        return copy;
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    public static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        foreach (var folder in Directory.GetDirectories(from))
            Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
    }

    // Each value tells whose it is, so that one in a wrong place is found.
    static double ValueOf(int tenant, int series, int minute) => tenant * 1_000_000 + series * 10_000 + minute;

    void Append(DuckDbStore store, int minute, bool late)
    {
        var batch = new CommitBatch();
        for (var tenant = 0; tenant < Tenants.Length; tenant++)
        {
            // Some series come later than others, so that files differ in what they hold.
            for (var i = 0; i < SeriesPerTenant && (late || i <= 10 + minute / 10); i++)
            {
                var name = $"s{i}";
                if (!_series.TryGetValue((Tenants[tenant], name), out var series))
                {
                    _series[(Tenants[tenant], name)] = series = new HeadSeries(
                        ++_lastId, Labels.OfMetric("m", ("series", name), ("tenant", Tenants[tenant])), Tenants[tenant]);
                    batch.NewSeries.Add(series);
                }

                batch.Add(series, Start.AddMinutes(minute).ToUnixTimeMilliseconds(), ValueOf(tenant, i, minute), late);
                Books[(Tenants[tenant], name, Start.AddMinutes(minute).ToUnixTimeMilliseconds())] = ValueOf(tenant, i, minute);
            }
        }

        store.Append(batch);
    }
}
