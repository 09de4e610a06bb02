using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation.Gates;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class ClusterReaderTests
{
    const string Kubernetes =
        """
        kube_node_info{cluster="c",node="cp1",internal_ip="10.0.0.1"} 1x10
        kube_node_info{cluster="c",node="cp2",internal_ip="10.0.0.2"} 1x10
        kube_node_info{cluster="c",node="w1"} 1x10
        kube_node_info{cluster="c",node="a",exported_node="w2"} 1x10
        kube_node_role{cluster="c",node="cp1",role="control-plane"} 1x10
        kube_node_role{cluster="c",node="cp2",role="control-plane"} 1x10
        kube_node_labels{cluster="c",node="w1",label_topology_kubernetes_io_zone="z1"} 1x10
        kube_node_status_condition{cluster="c",node="cp1",condition="Ready",status="true"} 1x10
        kube_node_status_condition{cluster="c",node="cp2",condition="Ready",status="true"} 1x10
        kube_node_status_condition{cluster="c",node="w1",condition="Ready",status="true"} 0x10
        kube_node_status_condition{cluster="c",node="w1",condition="Ready",status="unknown"} 1x10
        whistle_agent_up{cluster="c",node="cp1"} 1x10
        whistle_agent_up{cluster="c",node="cp2"} 0x10
        whistle_agent_up{cluster="c",node="w3"} 1x10
        kube_poddisruptionbudget_status_pod_disruptions_allowed{cluster="c",namespace="db",poddisruptionbudget="pg"} 0x10
        kube_pod_info{cluster="c",namespace="db",pod="pg-0",node="w1"} 1x10
        kube_pod_info{cluster="c",namespace="db",pod="pg-1",node="w2"} 1x10
        kube_pod_info{cluster="c",namespace="web",pod="x",node="w3"} 1x10
        """;

    [Fact]
    public async Task Nodes_are_the_enrolled_and_those_of_Kubernetes_and_not_knowing_is_not_ready()
    {
        var facts = await ReadAsync(Kubernetes);

        Assert.Equal(
            [
                new("cp1", "", true, true),
                // Kubernetes takes it for ready, and its agent is silent.
                new("cp2", "", true, false),
                new("w1", "z1", false, false),
                new("w2", "", false, false),
                new("w3", "", false, true),
                new("w4", "", false, false),
            ],
            facts!.Nodes);
        var budget = Assert.Single(facts.Budgets);
        Assert.Equal(("db", "pg", 0), (budget.Namespace, budget.Name, budget.Allowed));
        Assert.Equal(["w1", "w2"], budget.Nodes.Order());
        Assert.Empty(facts.Members);
    }

    [Theory]
    // Of 3.6: what was removed is 0.
    [InlineData("""
        etcd_network_known_peers{cluster="c",job="etcd",instance="10.0.0.1:2381",Local="aa",Remote="bb"} 1x10
        etcd_network_known_peers{cluster="c",job="etcd",instance="10.0.0.1:2381",Local="aa",Remote="cc"} 1x10
        etcd_network_known_peers{cluster="c",job="etcd",instance="10.0.0.1:2381",Local="aa",Remote="dd"} 0x10
        etcd_network_peer_round_trip_time_seconds_count{cluster="c",job="etcd",instance="10.0.0.1:2381",To="dd"} 1+1x10
        """)]
    // Before: what was removed is not probed any more.
    [InlineData("""
        etcd_network_peer_round_trip_time_seconds_count{cluster="c",job="etcd",instance="10.0.0.1:2381",To="bb"} 1+1x10
        etcd_network_peer_round_trip_time_seconds_count{cluster="c",job="etcd",instance="10.0.0.1:2381",To="cc"} 1+1x10
        etcd_network_peer_round_trip_time_seconds_count{cluster="c",job="etcd",instance="10.0.0.1:2381",To="dd"} 7x20
        """)]
    public async Task Members_are_those_that_speak_and_those_whom_they_know(string peers)
    {
        var facts = await ReadAsync($"""
            {Kubernetes}
            etcd_server_has_leader{"{"}cluster="c",job="etcd",instance="10.0.0.1:2381"{"}"} 1x20
            etcd_server_id{"{"}cluster="c",job="etcd",instance="10.0.0.1:2381",server_id="aa"{"}"} 1x20
            etcd_server_id{"{"}cluster="c",job="etcd",instance="10.0.0.2:2381",server_id="bb"{"}"} 1x2 stale
            etcd_server_has_leader{"{"}cluster="c",job="etcd",instance="10.0.0.2:2381"{"}"} 1x2 stale
            up{"{"}cluster="c",job="etcd",instance="10.0.0.2:2381"{"}"} 1x2 0x8
            etcd_server_id{"{"}cluster="c",job="etcd",instance="10.0.0.9:2381",server_id="dd"{"}"} 1x2 stale
            up{"{"}cluster="c",job="etcd",instance="10.0.0.9:2381"{"}"} 1x2 0x8
            {peers}
            """);

        Assert.Equal([new("cc", "", false, false), new("aa", "cp1", true, false), new("bb", "cp2", false, false)], facts!.Members);
    }

    [Fact]
    public async Task A_learner_and_a_member_without_a_leader_are_told_and_of_a_member_that_is_down_its_target_tells()
    {
        var facts = await ReadAsync("""
            etcd_server_has_leader{cluster="c",job="kube-etcd",instance="n1:2381",node="n1"} 0x10
            etcd_server_has_leader{cluster="c",job="kube-etcd",instance="n2:2381",node="n2"} 1x10
            etcd_server_is_learner{cluster="c",job="kube-etcd",instance="n2:2381",node="n2"} 1x10
            up{cluster="c",job="kube-etcd",instance="n3:2381",node="n3"} 0x10
            etcd_server_has_leader{cluster="d",job="kube-etcd",instance="n4:2381",node="n4"} 1x10
            """);

        Assert.Equal(
            [new("n1:2381", "n1", false, false), new("n2:2381", "n2", true, true), new("n3:2381", "n3", false, false)], facts!.Members);
    }

    [Fact]
    public async Task The_newest_data_are_the_clusters_own_and_not_what_the_server_says_of_it()
    {
        Assert.Equal(Minutes(10), (await ReadAsync(Kubernetes))!.LatestData);
        Assert.Equal(Minutes(7), (await ReadAsync("""
            node_load1{cluster="c",node="w4"} 1x7
            node_load5{cluster="c",node="w4"} 1x7
            whistle_agent_up{cluster="c",node="w4"} 1x10
            a:b{cluster="c"} 1x10
            node_load1{cluster="d"} 1x10
            """))!.LatestData);
        Assert.Equal(DateTimeOffset.UnixEpoch, (await ReadAsync("""whistle_agent_up{cluster="c",node="w4"} 1x10"""))!.LatestData);
        Assert.Null(await ReadAsync("""node_load1{cluster="d"} 1x10""", enrolled: []));
    }

    [Fact]
    public async Task What_cannot_be_read_stays_and_grows_old_and_nothing_is_asked_twice_within_15_s()
    {
        var source = new FailingSource(new MemorySeriesSource(Series(Kubernetes)));
        var reader = new ClusterReader(
            new PromQLEngine(source), _ => Task.FromResult<IReadOnlyList<EnrolledAgent>>([]), NullLogger<ClusterReader>.Instance);
        ClusterId[] clusters = [new("t", "c"), new("t", "none")];
        await reader.RefreshAsync(clusters, Minutes(10), TestContext.Current.CancellationToken);
        var asked = source.Asked;
        await reader.RefreshAsync(clusters, Minutes(10).AddSeconds(14), TestContext.Current.CancellationToken);
        Assert.Equal(asked, source.Asked);

        source.Fails = true;
        await reader.RefreshAsync(clusters, Minutes(11), TestContext.Current.CancellationToken);
        Assert.Equal((Minutes(10), 4), (reader.Find(new("t", "c"))!.LatestData, reader.Find(new("t", "c"))!.Nodes.Count));
        Assert.Null(reader.Find(new("t", "none")));
        await reader.RefreshAsync([], Minutes(12), TestContext.Current.CancellationToken);
        Assert.Null(reader.Find(new("t", "c")));
    }

    static DateTimeOffset Minutes(int minutes) => DateTimeOffset.UnixEpoch.AddMinutes(minutes);

    static SeriesSamples[] Series(string text) =>
        [.. SeriesText.Parse(text).Select(s => new SeriesSamples(s.Labels.With("tenant", "t"), s.Times, s.Values))];

    static async Task<ClusterFacts?> ReadAsync(string series, IReadOnlyList<string>? enrolled = null)
    {
        var agents = (enrolled ?? ["cp1", "cp2", "w3", "w4"])
            .Select(n => new EnrolledAgent(new("t", "c", n), DateTimeOffset.UnixEpoch)).ToList();
        var reader = new ClusterReader(
            new PromQLEngine(new MemorySeriesSource(Series(series))), _ => Task.FromResult<IReadOnlyList<EnrolledAgent>>(agents),
            NullLogger<ClusterReader>.Instance);
        await reader.RefreshAsync([new("t", "c")], Minutes(10), TestContext.Current.CancellationToken);
        return reader.Find(new("t", "c"));
    }

    sealed class FailingSource(ISeriesSource inner) : ISeriesSource
    {
        public bool Fails { get; set; }

        public int Asked { get; private set; }

        public ValueTask<IReadOnlyList<SeriesSamples>> SelectAsync(
            IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, CancellationToken cancellation)
        {
            Asked++;
            return Fails ? throw new IOException("The disk is gone.") : inner.SelectAsync(matchers, minTime, maxTime, cancellation);
        }
    }
}
