using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class ClusterIdTests
{
    [Fact]
    public void They_are_written_as_messages_name_clusters_and_nodes()
    {
        var node = new NodeId("acme", "prod", "n1");

        Assert.Equal(
            ("acme/prod", "acme/prod/n1", "acme/prod", "acme/prod/n1"),
            (node.ClusterId.ToString(), node.ToString(), new EnrolledSender(node.ClusterId, null).ToString(),
                new EnrolledSender(node.ClusterId, "n1").ToString()));
    }

    [Fact]
    public void Labels_name_them_as_the_gateway_stamped_them()
    {
        var stamped = Labels.From(new Sender(new NodeId("acme", "prod", "n1")).Stamp(Labels.Of(("tenant", "globex"))));

        Assert.Equal(new NodeId("acme", "prod", "n1"), NodeId.Of(stamped));
        Assert.Equal(new ClusterId("", ""), ClusterId.Of(Labels.Empty));
    }

    [Fact]
    public void They_are_sorted_letter_by_letter_by_tenant_first()
    {
        ClusterId[] sorted = [new("Z", "a"), new("a", "B"), new("a", "a"), new("a-b", "a"), new("b", "")];

        Assert.Equal(sorted, sorted.Reverse().Order(ClusterId.Ordinal));
    }

    [Fact]
    public void Writers_of_a_cluster_wait_for_one_another_and_for_those_of_no_other()
    {
        // The same for all processes on one database, those of an earlier release too.
        Assert.Equal(StateScope.Of("cluster\nt\nc"), new ClusterId("t", "c").Scope);
        Assert.NotEqual(new ClusterId("t", "cc").Scope, new ClusterId("tc", "c").Scope);
        Assert.NotEqual(new ClusterId("t", "c").Scope, StateScope.Everything);
    }

    [Fact]
    public async Task A_cluster_without_names_is_nobodys_and_cannot_be_enrolled()
    {
        using var state = StateDatabase.InMemory();
        var credentials = new Credentials(state, new FakeTimeProvider());

        Assert.NotEqual(default, new ClusterId("", ""));
        ClusterId[] nameless = [default, new("", "c"), new("t", ""), new("t", "C"), new("t/c", "c")];
        foreach (var cluster in nameless)
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(
                () => credentials.EnrollAsync(cluster, null, TestContext.Current.CancellationToken));
            Assert.Equal(0, await credentials.RevokeAsync(cluster, null, TestContext.Current.CancellationToken));
        }
    }
}
