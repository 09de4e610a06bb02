using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State.Health;
using Whistle.Telemetry;
using Whistle.Web.Clusters;
using Whistle.Web.Fleet;
using Whistle.Web.Incidents;
using Whistle.Web.Live;
using Whistle.Web.Nodes;
using Whistle.Web.Places;
using Whistle.Web.Tenants;
using Whistle.Web.Text;

using Xunit;

using SignalView = Whistle.Web.Signals.SignalView;

namespace Whistle.Tests.Web;

public sealed class ViewTests
{
    static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    static readonly RunbookSet Shipped = RunbookSet.Load([Path.Combine(AppContext.BaseDirectory, "runbooks")]).Runbooks!;

    [Fact]
    public void Nodes_that_were_archived_at_once_stand_as_people_count()
    {
        string[] names = ["web-10", "web-2", "web-1", "last"];
        var nodes = names.Select(
            n => new ArchivedNode(new("acme", "c", n), "ann", n == "last" ? Now.AddMinutes(1) : Now)).ToList();
        var tenant = new KnownTenant("acme", new("ACME", [], "", new Dictionary<string, string>()), new(Series: 5, RetentionDays: 7),
            new(RegisterHistory.Person, "ann", Now, null, null));
        var view = Assert.Single(TenantView.All(new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            Tenants = [tenant],
            Known = nodes.ToDictionary(n => n.Id, n => new KnownNode(n.Id, null, null, false, n, null)),
        }));
        Assert.Equal(["last", "web-1", "web-2", "web-10"], view.Archived.Select(n => n.Id.Node));
        Assert.Equal([("Active series", "5"), ("Days kept", "7")], view.Limits);
    }

    [Theory]
    [InlineData(RunState.AwaitingApproval, Standing.NeedsApproval)]
    [InlineData(RunState.Waiting, Standing.HeldBack)]
    [InlineData(RunState.Running, Standing.Repairing)]
    [InlineData(RunState.Verifying, Standing.Repairing)]
    [InlineData(RunState.Escalated, Standing.NeedsPerson)]
    [InlineData(RunState.Cancelled, Standing.Watched)]
    public void How_things_stand_follows_the_latest_run(RunState state, Standing standing)
    {
        var row = IncidentRow.Of(new FleetSnapshot { Version = 1, Now = Now }, Incident("i"), [Run("i", RunState.Failed), Run("i", state)]);

        Assert.Equal(standing, row.Standing);
        Assert.NotEmpty(row.Why);
    }

    [Fact]
    public void A_run_that_asks_for_a_persons_work_needs_a_person()
    {
        var run = Run("i", RunState.Running);

        Assert.Equal(Standing.NeedsPerson, IncidentRow.Of(
            new FleetSnapshot { Version = 1, Now = Now, Asking = new HashSet<string> { run.Id } }, Incident("i"), [run]).Standing);
    }

    [Fact]
    public void Who_is_needed_comes_first_and_what_somebody_has_taken_on_after()
    {
        var snapshot = new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            Incidents = [
                Incident("watched", "critical"), Incident("approve"), Incident("taken"), Incident("paged", "critical"),
                Incident("closed") with { State = IncidentState.Closed, ClosedAt = Now }],
            Runs = [Run("approve", RunState.AwaitingApproval), Run("taken", RunState.AwaitingApproval)],
            Acknowledgements = new Dictionary<string, Acknowledgement> { ["taken"] = new("taken", "somebody", Now, Now.AddHours(1)) },
            Paged = new Dictionary<string, DateTimeOffset> { ["paged"] = Now },
        };

        Assert.Equal(["paged", "approve", "watched", "taken", "closed"], IncidentRow.All(snapshot).Select(r => r.Incident.Id));
    }

    [Fact]
    public void Nothing_seen_is_not_well_while_data_are_missing()
    {
        var snapshot = new FleetSnapshot { Version = 1, Now = Now, Error = "The state cannot be read." };

        Assert.Equal("The state of the fleet is unknown.", FleetView.Of(snapshot).Headline);
        Assert.DoesNotContain("Nobody", snapshot.Nothing("Nobody is needed."), StringComparison.Ordinal);
        Assert.Equal((Quantity.Unknown, "3"), (snapshot.Figure(0), snapshot.Figure(3)));
        Assert.Equal("0", (snapshot with { Error = null }).Figure(0));
    }

    [Theory]
    [InlineData(HealthState.Failed, "The state of the fleet is unknown.")]
    [InlineData(HealthState.Degraded, "All is well.")]
    public void Nothing_seen_is_not_well_while_the_server_cannot_do_its_work(HealthState state, string headline)
    {
        var node = new NodeView { Key = new("t", "c", "n"), State = NodeState.Reporting };
        var snapshot = new FleetSnapshot { Version = 1, Now = Now, Nodes = [node], Health = [new("disk", "", state, "It is full.", Now)] };

        Assert.Equal(headline, FleetView.Of(snapshot).Headline);
    }

    [Fact]
    public void An_incident_that_nobody_could_be_paged_for_needs_a_person_and_does_not_count_as_paged()
    {
        var snapshot = new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            HasChannel = false,
            Incidents = [Incident("i") with { Severity = "critical" }, Incident("j") with { Severity = "critical" }],
            Unpaged = new Dictionary<string, DateTimeOffset> { ["i"] = Now },
        };
        var rows = IncidentRow.All(snapshot);

        Assert.Equal((Standing.NeedsPerson, null, Now), (rows[0].Standing, rows[0].PagedAt, rows[0].UnpagedSince));
        Assert.Equal(Standing.Watched, rows[1].Standing);
        Assert.All(rows, r => Assert.DoesNotContain("paged", r.Why, StringComparison.Ordinal));
        Assert.DoesNotContain(
            "paged", FleetView.Of(snapshot with { Unpaged = new Dictionary<string, DateTimeOffset>() }).Headline, StringComparison.Ordinal);
    }

    [Fact]
    public void A_thousand_runs_that_wait_for_one_reason_are_one_line()
    {
        var snapshot = new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            Runs =
            [
                .. Enumerable.Range(0, 1000).Select(i => Run($"i{i}", RunState.Waiting) with { Reason = "The mode is observe." }),
                Run("x", RunState.Running),
            ],
        };
        var view = FleetView.Of(snapshot);

        Assert.Equal(("The mode is observe.", 1000), view.Waiting.Select(g => (g.Reason, g.Count)).Single());
        Assert.Equal("x", Assert.Single(view.AtWork).IncidentId);
    }

    [Fact]
    public void A_cluster_that_nobody_has_turned_is_only_watched_and_says_why()
    {
        var snapshot = new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            Runbooks = Shipped.Runbooks,
            Incidents = [Incident("i") with { Cluster = "watched" }, Incident("j") with { Cluster = "trusted" }],
            Modes = [new ModeEntry("node-disk-filling", "t", "trusted", RunbookMode.Automatic, "somebody", Now)],
        };
        var clusters = ClusterView.All(snapshot, IncidentRow.All(snapshot)).ToDictionary(c => c.Key.Cluster);

        Assert.Equal((RunbookMode.Observe, RunbookMode.Automatic), (clusters["watched"].Mode, clusters["trusted"].Mode));
        Assert.Contains("runbook's file", clusters["watched"].Runbooks[0].From, StringComparison.Ordinal);
    }

    [Fact]
    public void The_filter_of_incidents_finds_any_part_of_a_name_and_its_address_holds_it()
    {
        var rows = IncidentRow.All(new FleetSnapshot
        {
            Version = 1,
            Now = Now,
            Incidents =
            [
                Incident("a") with { Subject = Labels.Of(("node", "web-17")) },
                Incident("b", "critical"),
                Incident("c") with { State = IncidentState.Closed, ClosedAt = Now },
            ],
        });

        Assert.Equal(["a"], new IncidentFilter(Text: "WEB-1").Of(rows).Select(r => r.Incident.Id));
        Assert.Equal(["b"], new IncidentFilter(Severity: "critical").Of(rows).Select(r => r.Incident.Id));
        Assert.Equal(["c"], new IncidentFilter("closed").Of(rows).Select(r => r.Incident.Id));
        Assert.Equal("/incidents?state=all&q=a%20b%26&page=2", new IncidentFilter("all", "", "a b&", 2).Address);
        Assert.Equal(new IncidentFilter(), IncidentFilter.Read("nonsense", "nonsense", null, -1));
    }

    [Theory]
    [InlineData("10.0.0.7:9100")]
    [InlineData("a/b")]
    [InlineData("ö &x=\"1\"#?%2F")]
    [InlineData("")]
    public void The_address_carries_any_name_there_and_back(string name)
    {
        var parts = Address.Node(new("t", "c", name)).Split('/');

        Assert.Equal(["", "nodes", "t", "c"], parts[..4]);
        Assert.Equal(name.Replace("%2F", "/", StringComparison.Ordinal), Address.Name(Uri.UnescapeDataString(parts[4])));
    }

    [Fact]
    public void The_state_of_a_node_is_the_servers_judgement_not_the_age_of_its_report()
    {
        EnrolledAgent[] agents =
        [
            new(new("t", "c", "awaited"), Now), new(new("t", "c", "never"), Now.AddMinutes(-2)),
            new(new("t", "c", "up"), Now.AddDays(-1)), new(new("t", "c", "down"), Now.AddDays(-1)),
        ];
        var telemetry = new FleetTelemetry();
        telemetry.Add(FleetTelemetry.LastOwnReport, [new(Node("up"), Seconds(-3))]);
        telemetry.Add(FleetTelemetry.Up, [new(Node("up"), 1), new(Node("down"), 0), new(Node("never"), 0)]);
        telemetry.Add(
            FleetTelemetry.LastHeard, [new(Node("up"), Seconds(-30)), new(Node("down"), Seconds(-600)), new(Node("never"), Seconds(-120))]);

        var nodes = NodeList.Build(agents, [], telemetry).ToDictionary(n => n.Key.Node);

        Assert.Equal((NodeState.Awaited, null), (nodes["awaited"].State, nodes["awaited"].LastReport));
        Assert.Equal((NodeState.Silent, null), (nodes["never"].State, nodes["never"].LastReport));
        Assert.Equal((NodeState.Reporting, Now.AddSeconds(-3)), (nodes["up"].State, nodes["up"].LastReport));
        Assert.Equal((NodeState.Silent, Now.AddMinutes(-10)), (nodes["down"].State, nodes["down"].LastReport));
    }

    [Fact]
    public void An_unknown_signal_says_what_it_was_and_an_ended_one_how_it_ended()
    {
        var alert = new Signal
        {
            Rule = "r",
            Name = "Low",
            Labels = Node("n").With("severity", "critical"),
            Element = Node("n"),
            Condition = new(
                SignalState.Unknown, Now.AddMinutes(-30), Now, FiringSince: Now.AddMinutes(-20), Before: SignalState.Firing,
                UnknownSince: Now.AddMinutes(-1)),
        };
        var unknown = SignalView.Of(alert);
        var gone = SignalView.Of(
            alert with { Condition = alert.Condition with { State = SignalState.Resolved, Reason = SignalEnd.Gone, EndedAt = Now } });

        Assert.Equal(("unknown", "firing", Now.AddMinutes(-1)), (unknown.State, unknown.Was, unknown.Since));
        Assert.Equal(("gone", Now), (gone.State, gone.Ended));
    }

    internal static Incident Incident(string id, string severity = "warning") => new()
    {
        Id = id,
        Tenant = "t",
        Cluster = "c",
        Subject = Labels.Of(("node", "n"), ("mountpoint", "/data")),
        Title = "It fills up",
        Severity = severity,
        State = IncidentState.Open,
        OpenedAt = Now.AddHours(-1),
    };

    internal static Run Run(string incident, RunState state) => new()
    {
        Id = $"{incident}-{state}",
        IncidentId = incident,
        Tenant = "t",
        Cluster = "c",
        Node = "n",
        Subject = Labels.Empty,
        Labels = Labels.Empty,
        Runbook = "disk",
        RunbookHash = "",
        Origin = "b",
        Answers = [],
        PlanHash = "",
        State = state,
        Since = Now,
        CreatedAt = Now,
        Attempt = 1,
        EndedAt = state is RunState.Failed or RunState.Escalated or RunState.Cancelled ? Now : null,
    };

    static Labels Node(string node) => Labels.Of(("tenant", "t"), ("cluster", "c"), ("node", node));

    static double Seconds(int fromNow) => Now.AddSeconds(fromNow).ToUnixTimeMilliseconds() / 1000.0;
}
