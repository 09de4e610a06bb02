using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Ingest;
using Whistle.PromQL;
using Whistle.Telemetry;
using Whistle.Tests.Detectors;
using Whistle.Web.Fleet;

using Xunit;

namespace Whistle.Tests.Web;

/// <summary>The page's reader over the rule engine's bench, counting its selections; the source can be made to fail.</summary>
sealed class FleetBench : ISeriesSource, IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-web-").FullName;
    readonly FleetReader _reader;

    public FleetBench(string? rules = null)
    {
        Rules = new RulesBench(rules);
        Credentials = new Credentials(new StateDatabase(Path.Combine(_folder, "state.db")), Rules.Clock);
        _reader = new FleetReader(new PromQLEngine(this), Rules.Host, Credentials, Rules.Clock, NullLogger<FleetReader>.Instance);
    }

    public RulesBench Rules { get; }

    public Credentials Credentials { get; }

    public int Selections { get; private set; }

    public Exception? Failure { get; set; }

    public Task<FleetView> ReadAsync(FleetQuery? query = null) => _reader.ReadAsync(query ?? FleetQuery.Default, TestContext.Current.CancellationToken);

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        Selections++;
        return Failure is null ? Rules.Series.SelectAsync(matchers, minTime, maxTime, cancellation) : throw Failure;
    }

    public void Dispose()
    {
        Rules.Dispose();
        Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
    }
}
