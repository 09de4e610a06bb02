using Whistle.Inventory;
using Whistle.Inventory.Access;

using Xunit;

namespace Whistle.Tests.People;

public sealed class RightsTests
{
    static readonly AccessScope T = AccessScope.Of("t");
    static readonly AccessScope U = AccessScope.Of("u");
    static readonly AccessScope C = AccessScope.Of(new ClusterId("t", "c"));
    static readonly AccessScope D = AccessScope.Of(new ClusterId("t", "d"));

    [Fact]
    public void Limited_rights_allow_what_both_allow_and_nothing_else()
    {
        var own = new Rights([new(Role.Operator, T), new(Role.Viewer, U)]);
        var limited = own.LimitedTo([new(Role.Responder, C), new(Role.Admin, U)]);

        Assert.True(limited.May(Permission.Respond, C));
        Assert.False(limited.May(Permission.Approve, C));
        Assert.False(limited.May(Permission.Read, D) || limited.May(Permission.Read, T));
        Assert.True(limited.May(Permission.Read, U));
        Assert.False(limited.May(Permission.ManagePeople, U) || limited.MayAnywhere(Permission.ManagePeople));
        Assert.Equal([C, U], limited.Readable);
        Assert.True(limited.Sees(new ClusterId("t", "c")) && !limited.Sees(new ClusterId("t", "d")) && !limited.SeesAll);
        Assert.True(own.Includes(new(Role.Viewer, T)) && !limited.Includes(new(Role.Viewer, T)) && limited.Includes(new(Role.Viewer, C)));
    }

    [Fact]
    public void A_list_of_nothing_allows_nothing()
    {
        Assert.Empty(Rights.Everything.LimitedTo([]).Readable);
        Assert.False(Rights.Everything.LimitedTo([]).MayAnywhere(Permission.Read));
        Assert.False(Rights.None.LimitedTo([new(Role.Admin, AccessScope.All)]).MayAnywhere(Permission.Read));
    }

    [Fact]
    public void Whatever_lists_are_combined_a_limit_is_an_intersection()
    {
        AccessScope[] scopes = [AccessScope.All, T, U, C, D];
        Grant[] grants = [.. Enum.GetValues<Role>().SelectMany(r => scopes.Select(s => new Grant(r, s)))];
        var random = new Random(15);
        for (var i = 0; i < 300; i++)
        {
            Grant[] Some() => [.. Enumerable.Range(0, random.Next(4)).Select(_ => grants[random.Next(grants.Length)])];
            var (a, b) = (Some(), Some());
            var (own, limit, both) = (new Rights(a), new Rights(b), new Rights(a).LimitedTo(b));
            foreach (var permission in Enum.GetValues<Permission>())
            {
                foreach (var scope in scopes)
                    Assert.Equal(own.May(permission, scope) && limit.May(permission, scope), both.May(permission, scope));
                Assert.Equal(scopes.Any(s => both.May(permission, s)), both.MayAnywhere(permission));
            }

            Assert.All(scopes, s => Assert.Equal(both.Sees(s), both.Readable.Any(r => r.Covers(s))));
        }
    }

    [Fact]
    public void What_lies_within_a_wider_scope_is_not_named_beside_it()
    {
        AccessScope T = AccessScope.Of("t"), C = AccessScope.Of(new ClusterId("t", "c")), D = AccessScope.Of(new ClusterId("u", "d"));
        Assert.Equal([T, D], new Rights([new(Role.Viewer, C), new(Role.Viewer, T), new(Role.Operator, D), new(Role.Viewer, D)]).Readable);
        Assert.Equal([AccessScope.All], new Rights([new(Role.Viewer, C), new(Role.Viewer, AccessScope.All)]).Readable);
        Assert.Equal([C], new Rights([new(Role.Viewer, T)]).LimitedTo([new(Role.Viewer, C), new(Role.Viewer, D)]).Readable);
    }
}
