using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

public sealed class ApiTokensTests : IDisposable
{
    static readonly Grant OperatorOfT = new(Role.Operator, AccessScope.Of("t"));
    static readonly Grant ViewerOfT = new(Role.Viewer, AccessScope.Of("t"));

    readonly PeopleFixture _all = new();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _all.Dispose();

    [Fact]
    public async Task A_token_does_what_both_it_and_its_owner_may()
    {
        var alice = await _all.ActorAsync("alice", OperatorOfT);
        var token = await MakeAsync(alice, "ci", ViewerOfT);

        var user = (await _all.Directory.OfTokenAsync(token, "bearer", Cancellation))!;
        Assert.Equal("alice (token ci)", user.Identity!.Name);
        var rights = await _all.Directory.RightsOfAsync(user, Cancellation);
        Assert.True(rights.May(Permission.Read, ViewerOfT.Scope) && !rights.MayAnywhere(Permission.Operate));

        await _all.Store.TakeAsync(PeopleFixture.Local, "alice", OperatorOfT, Cancellation);
        Assert.False((await _all.Directory.RightsOfAsync(user, Cancellation)).MayAnywhere(Permission.Read));
        await _all.Store.DisableAsync(PeopleFixture.Local, "alice", Cancellation);
        Assert.Null(await _all.Directory.OfTokenAsync(token, "bearer", Cancellation));
        await _all.Store.EnableAsync(PeopleFixture.Local, "alice", Cancellation);
        Assert.NotNull(await _all.Directory.OfTokenAsync(token, "bearer", Cancellation));
    }

    [Fact]
    public async Task A_token_ends_with_its_time_and_when_it_is_revoked_elsewhere_too()
    {
        var token = await MakeAsync(PeopleFixture.Local, "ci", ViewerOfT, TimeSpan.FromHours(1));
        var elsewhere = _all.Elsewhere();
        var user = (await elsewhere.OfTokenAsync(token, "bearer", Cancellation))!;
        Assert.Equal("operator (token ci)", user.Identity!.Name);

        _all.Time.Advance(TimeSpan.FromMinutes(59));
        Assert.NotNull(await elsewhere.OfTokenAsync(token, "bearer", Cancellation));
        _all.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(await elsewhere.OfTokenAsync(token, "bearer", Cancellation));
        Assert.False((await elsewhere.RightsOfAsync(user, Cancellation)).MayAnywhere(Permission.Read));

        token = await MakeAsync(PeopleFixture.Local, "ci", ViewerOfT);
        user = (await elsewhere.OfTokenAsync(token, "bearer", Cancellation))!;
        var made = Assert.Single(await _all.Tokens.LivingAsync(Cancellation));
        Assert.IsType<PeopleOutcome.Unknown>(await _all.Tokens.RevokeAsync(made.Id, _ => false, Cancellation));
        Assert.Equal(PeopleOutcome.Done, await _all.Tokens.RevokeAsync(made.Id, _ => true, Cancellation));
        Assert.Null(await _all.Directory.OfTokenAsync(token, "bearer", Cancellation));
        _all.Time.Advance(Sessions.Freshness);
        Assert.Null(await elsewhere.OfTokenAsync(token, "bearer", Cancellation));
        Assert.False((await elsewhere.RightsOfAsync(user, Cancellation)).MayAnywhere(Permission.Read));
    }

    [Fact]
    public async Task When_it_was_used_is_noted_to_the_minute()
    {
        var token = await MakeAsync(PeopleFixture.Local, "ci", ViewerOfT);
        Assert.Null(Assert.Single(await _all.Tokens.LivingAsync(Cancellation)).UsedAt);
        _all.Time.Advance(TimeSpan.FromSeconds(70));

        await _all.Directory.OfTokenAsync(token, "bearer", Cancellation);
        var used = new DateTimeOffset(2026, 3, 1, 12, 1, 0, TimeSpan.Zero);
        Assert.Equal(used, Assert.Single(await _all.Tokens.LivingAsync(Cancellation)).UsedAt);
        _all.Time.Advance(TimeSpan.FromSeconds(60));
        await _all.Directory.OfTokenAsync(token, "bearer", Cancellation);
        Assert.Equal(used.AddMinutes(1), Assert.Single(await _all.Tokens.LivingAsync(Cancellation)).UsedAt);
    }

    [Fact]
    public async Task A_token_makes_no_token_and_none_allows_more_than_its_owner()
    {
        var alice = await _all.ActorAsync("alice", ViewerOfT);
        Assert.Contains("no more than its owner", await RefusalAsync(alice, "ci", [OperatorOfT]), StringComparison.Ordinal);
        Assert.Contains("not between", await RefusalAsync(alice, "ci", []), StringComparison.Ordinal);
        Assert.Contains("not a name", await RefusalAsync(alice, "c (i)", [ViewerOfT]), StringComparison.Ordinal);
        await MakeAsync(alice, "ci", ViewerOfT);
        Assert.Contains("called CI", await RefusalAsync(alice, "CI", [ViewerOfT]), StringComparison.Ordinal);
        var made = Assert.Single(await _all.Tokens.LivingAsync(Cancellation));

        var token = (await _all.Directory.ActorOfAsync(made.Identity, Cancellation))!;
        Assert.Contains("makes no tokens", await RefusalAsync(token, "more", [ViewerOfT]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("UPDATE api_tokens SET grants = 'admin' || substr(grants, 7)")]
    [InlineData("UPDATE api_tokens SET ends_at = ends_at + 1")]
    [InlineData("UPDATE api_tokens SET owner = 'local'")]
    [InlineData("UPDATE api_tokens SET revoked_at = NULL")]
    [InlineData("UPDATE api_tokens SET checksum = NULL")]
    public async Task A_damaged_token_opens_nothing(string damage)
    {
        var token = await MakeAsync(await _all.ActorAsync("alice", ViewerOfT), "ci", ViewerOfT);
        if (damage.Contains("revoked_at", StringComparison.Ordinal))
            await _all.Tokens.RevokeAsync(Assert.Single(await _all.Tokens.LivingAsync(Cancellation)).Id, _ => true, Cancellation);
        await _all.HarmAsync(damage);

        Assert.Null(await _all.Directory.OfTokenAsync(token, "bearer", Cancellation));
        Assert.Empty(await _all.Tokens.LivingAsync(Cancellation));
    }

    [Theory]
    [InlineData("")]
    [InlineData("wsp_")]
    [InlineData("wsp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("wsa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task What_is_no_token_opens_nothing(string token) =>
        Assert.Null(await _all.Directory.OfTokenAsync(token, "bearer", Cancellation));

    async Task<string> MakeAsync(Actor owner, string name, Grant grant, TimeSpan? lasts = null)
    {
        var (token, _, outcome) = await _all.Tokens.MakeAsync(owner, name, [grant], lasts ?? ApiTokens.Usual, Cancellation);
        Assert.Equal(PeopleOutcome.Done, outcome);
        return token!;
    }

    async Task<string> RefusalAsync(Actor owner, string name, IReadOnlyList<Grant> grants) => Assert.IsType<PeopleOutcome.Refused>(
        (await _all.Tokens.MakeAsync(owner, name, grants, ApiTokens.Usual, Cancellation)).Outcome).Reason;
}
