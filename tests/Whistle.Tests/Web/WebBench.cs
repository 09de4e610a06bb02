using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Alerting;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.Telemetry;
using Whistle.Tests.Detectors;
using Whistle.Web.Live;
using Whistle.Web.Nodes;

using Xunit;

namespace Whistle.Tests.Web;

/// <summary>The pages' reader over the rule engine's bench, counting its selections; the source can be made to fail.</summary>
sealed class WebBench : ISeriesSource, IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-web-").FullName;
    readonly StateDatabase _database;
    readonly RemediationHost _remediation;
    readonly AlertingHost _alerting;

    public WebBench(string? rules = null)
    {
        Rules = new RulesBench(rules);
        var database = _database = new StateDatabase(Path.Combine(_folder, "state.db"));
        var metrics = Metrics.WithCustomRegistry(Metrics.NewCustomRegistry());
        Credentials = new Credentials(database, Rules.Clock);
        Incidents = new IncidentStore(database);
        Runs = new RunStore(database);
        Control = new ControlStore(database);
        Environment = new RemediationEnvironment
        {
            RunbookFiles = [Path.Combine(AppContext.BaseDirectory, "runbooks")],
            Signals = () => Rules.Host.Signals,
            IsTrue = RemediationEnvironment.IsTrueBy(new PromQLEngine(this)),
            Incidents = Incidents,
            Runs = Runs,
            Control = Control,
            Metrics = metrics,
        };
        _remediation = new RemediationHost(Environment, Rules.Clock, NullLogger<RemediationHost>.Instance);
        Assert.Empty(_remediation.Reload().Errors);
        _alerting = new AlertingHost(
            new AlertingEnvironment
            {
                Incidents = (_, _) => Task.FromResult<IReadOnlyList<Whistle.Alerting.Deciding.IncidentView>>([]),
                Database = database,
                Metrics = metrics,
            }, new AlertingOptions(), Rules.Clock, NullLogger<AlertingHost>.Instance);
        Nodes = new NodeReader(new PromQLEngine(this));
        Pace = new LivePace(Rules.Clock);
        Reader = new SnapshotReader(
            Environment, _remediation, _alerting, Rules.Host, Credentials, Nodes, new HealthBoard(Rules.Clock), Rules.Clock, Pace,
            NullLogger<SnapshotReader>.Instance);
    }

    public RulesBench Rules { get; }

    public StateDatabase Database => _database;

    public Credentials Credentials { get; }

    public IncidentStore Incidents { get; }

    public RunStore Runs { get; }

    public ControlStore Control { get; }

    public RemediationEnvironment Environment { get; }

    public NodeReader Nodes { get; }

    public SnapshotReader Reader { get; }

    public LivePace Pace { get; }

    public int Selections { get; private set; }

    public Exception? Failure { get; set; }

    public DateTimeOffset Now => Rules.Clock.GetUtcNow();

    public Task<FleetSnapshot> ReadAsync(FleetSnapshot? before = null) => Reader.ReadAsync(before, TestContext.Current.CancellationToken);

    public async Task AddAsync(params IReadOnlyList<Incident> incidents) => await Incidents.SaveAsync(
        [.. incidents.Select(i => new IncidentChange(i, [(TimelineKind.Opened, i.Title)]))], Now, TestContext.Current.CancellationToken);

    public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
    {
        Selections++;
        return Failure is null ? Rules.Series.SelectAsync(matchers, minTime, maxTime, cancellation) : throw Failure;
    }

    public void Dispose()
    {
        _remediation.Dispose();
        _alerting.Dispose();
        Rules.Dispose();
        _database.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
