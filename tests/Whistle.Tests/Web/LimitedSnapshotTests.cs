using System.Collections;

using Whistle.Inventory.Access;
using Whistle.State.Health;
using Whistle.Web.Live;

using Xunit;

namespace Whistle.Tests.Web;

/// <summary>What a viewer of one tenant is shown of the fleet.</summary>
public sealed class LimitedSnapshotTests
{
    static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    static readonly Rights Acme = new([new(Role.Viewer, AccessScope.Of("acme"))]);

    [Fact]
    public void Whoever_sees_all_is_shown_all()
    {
        var all = Snapshot();

        Assert.Equal(all, all.For(Rights.Everything));
    }

    [Fact]
    public void A_part_that_is_added_one_day_is_hidden_until_somebody_decides_about_it()
    {
        string[] shared = ["Version", "TelemetryVersion", "Now", "HasChannel", "Kill", "Runbooks", "Rights", "Error", "Health"];
        var limited = Snapshot().For(Rights.None);

        foreach (var property in typeof(FleetSnapshot).GetProperties().Where(p => !shared.Contains(p.Name)))
        {
            if (property.GetValue(limited) is IEnumerable items and not string)
                Assert.True(!items.Cast<object>().Any(), $"{property.Name} is shown to whoever may see nothing.");
        }
    }

    [Fact]
    public void Agents_nodes_and_signals_of_another_tenant_are_not_there()
    {
        var limited = Snapshot().For(Acme);

        Assert.Equal(["acme/c/n"], limited.Agents.Select(a => a.NodeId.ToString()));
    }

    [Fact]
    public void What_is_wrong_with_the_server_is_told_without_its_words()
    {
        var limited = Snapshot().For(Acme);

        var problem = Assert.Single(limited.Health);
        Assert.Equal(HealthState.Failed, problem.State);
        Assert.DoesNotContain("globex", $"{problem} {limited.Error}", StringComparison.Ordinal);
        Assert.NotNull(limited.Error);
    }

    [Fact]
    public void A_pause_for_all_tenants_is_told_to_each_and_one_of_another_tenant_is_not()
    {
        var limited = Snapshot().For(Acme);

        Assert.Equal(["", "acme"], limited.Pauses.Select(p => p.Tenant));
    }

    static FleetSnapshot Snapshot() => new()
    {
        Version = 1,
        Now = Now,
        Agents = [new(new("acme", "c", "n"), Now), new(new("globex", "c", "n"), Now)],
        Pauses =
        [
            new(1, "", "", "", "", "why", "alice", Now, Now.AddHours(1)), new(2, "acme", "", "", "", "why", "alice", Now, Now.AddHours(1)),
            new(3, "globex", "c", "", "", "why", "alice", Now, Now.AddHours(1)),
        ],
        Health = [new("outbox", "globex", HealthState.Failed, "The page of globex cannot be sent.", Now)],
        Error = "globex cannot be read",
    };
}
