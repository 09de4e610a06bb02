using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

using Xunit;

namespace Whistle.Tests.Audit;

/// <summary>A flood of refusals fills no disk, and makes nobody else's nameless.</summary>
public sealed class RefusalBoundTests
{
    readonly RefusalBound _bound = new();
    DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Strangers_of_one_network_of_IPv6_are_one_kind()
    {
        Assert.Single(Admit("2001:db8:1:1::1"));
        Assert.Empty(Admit("2001:db8:1:1::2"));
        Assert.Single(Admit("2001:db8:1:2::1"));
    }

    [Theory]
    [InlineData("log-in", "", RefusalBound.MostOfNobody)]
    [InlineData("log-in", "ann", RefusalBound.MostLogIns)]
    [InlineData("read", "n1", RefusalBound.MostOfNobody)]
    public void A_day_has_so_many_of_strangers_and_the_next_as_many_again(string action, string subject, int most)
    {
        Assert.Equal(most, NamedOfADay(action, subject));
        _now = new(2026, 1, 3, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(most, NamedOfADay(action, subject));
    }

    [Fact]
    public void Guesses_of_strangers_take_no_place_of_log_ins_of_somebody_who_exists_nor_of_people()
    {
        NamedOfADay("log-in", "");
        _now += TimeSpan.FromMinutes(1);
        Assert.DoesNotContain(Admit("10.9.9.9"), r => r.Action == "log-in");
        Assert.Contains(Admit("10.9.9.9", subject: "ann"), r => r.Subject == "ann");
        Assert.Contains(Admit("10.9.9.9", identity: "person:1"), r => r.Actor.Identity == "person:1");
    }

    // Thirty a minute, each from elsewhere.
    int NamedOfADay(string action, string subject)
    {
        var named = 0;
        for (var i = 0; i < RefusalBound.MostLogIns + 500; i++)
        {
            _now += TimeSpan.FromSeconds(2);
            named += Admit($"10.{i >> 16}.{(i >> 8) & 255}.{i & 255}", action, subject).Count(r => r.Action == action && r.Details == "");
        }

        return named;
    }

    IReadOnlyList<AuditRecord> Admit(string from, string action = "log-in", string subject = "", string identity = "") => _bound.Admit(
        new(new("", identity, from), action, AccessScope.All, subject) { Outcome = AuditOutcome.Refused, Reason = "wrong" }, _now);
}
