using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

public sealed class PeopleStoreTests : IDisposable
{
    static readonly Grant AdminOfAll = new(Role.Admin, AccessScope.All);
    static readonly Grant AdminOfT = new(Role.Admin, AccessScope.Of("t"));
    static readonly Grant ViewerOfT = new(Role.Viewer, AccessScope.Of("t"));
    static readonly Grant ViewerOfU = new(Role.Viewer, AccessScope.Of("u"));

    readonly PeopleFixture _all = new();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _all.Dispose();

    [Fact]
    public async Task Whoever_accepts_an_invitation_has_its_grants_and_it_works_once()
    {
        var (token, _) = await _all.Invitations.InviteAsync(PeopleFixture.Local, null, [ViewerOfT], TimeSpan.FromDays(7), Cancellation);
        Assert.Equal("operator", Assert.Single(await _all.Invitations.OpenAsync(PeopleFixture.Local, Cancellation)).MadeName);
        Assert.Contains("not a user name", (await AcceptAsync(token!, "no name")).Mistake, StringComparison.Ordinal);
        Assert.Contains("Whistle's own", (await AcceptAsync(token!, "Operator")).Mistake, StringComparison.Ordinal);

        var (alice, _) = await AcceptAsync(token!, "Alice");
        Assert.Equal([ViewerOfT], (await _all.Store.FindByNameAsync("aLICE", Cancellation))!.Grants.Select(g => g.Grant));
        Assert.True((await _all.Directory.ActorOfAsync(alice!.Identity, Cancellation))!.Rights.May(Permission.Read, ViewerOfT.Scope));
        Assert.Contains("was used", (await AcceptAsync(token!, "bob")).Mistake, StringComparison.Ordinal);
        Assert.Empty(await _all.Invitations.OpenAsync(PeopleFixture.Local, Cancellation));

        var (late, _) = await _all.Invitations.InviteAsync(PeopleFixture.Local, null, [ViewerOfT], TimeSpan.FromDays(7), Cancellation);
        Assert.Contains("taken", (await AcceptAsync(late!, "ALICE")).Mistake, StringComparison.Ordinal);
        _all.Time.Advance(TimeSpan.FromDays(7));
        Assert.Null((await AcceptAsync(late!, "bob")).Person);
    }

    [Fact]
    public async Task An_administrator_of_a_tenant_sees_and_gives_only_there()
    {
        var admin = await _all.ActorAsync("tess", AdminOfT);
        await _all.AddAsync("both", ViewerOfT, ViewerOfU);
        await _all.AddAsync("other", ViewerOfU);
        await _all.AddAsync("everywhere", new Grant(Role.Viewer, AccessScope.All));

        Assert.Equal(["both", "tess"], (await _all.Store.AllAsync(Cancellation)).Where(admin.Sees).Select(p => p.Person.Name));
        Assert.Equal(PeopleOutcome.Done, await _all.Store.GiveAsync(admin, "both", AdminOfT, Cancellation));
        Assert.IsType<PeopleOutcome.Forbidden>(await _all.Store.GiveAsync(admin, "both", ViewerOfU, Cancellation));
        Assert.IsType<PeopleOutcome.Forbidden>(await _all.Store.GiveAsync(admin, "both", AdminOfAll, Cancellation));
        Assert.IsType<PeopleOutcome.Forbidden>(await _all.Store.TakeAsync(admin, "both", ViewerOfU, Cancellation));
        // What exists elsewhere is answered as what does not exist.
        Assert.Equal(PeopleOutcome.NobodyCalled("nil"), await _all.Store.GiveAsync(admin, "nil", ViewerOfT, Cancellation));
        Assert.Equal(PeopleOutcome.NobodyCalled("other"), await _all.Store.GiveAsync(admin, "other", ViewerOfT, Cancellation));
        Assert.IsType<PeopleOutcome.Unknown>(await _all.Store.DisableAsync(admin, "everywhere", Cancellation));
        // The account is theirs only where all of it is.
        Assert.IsType<PeopleOutcome.Refused>(await _all.Store.DisableAsync(admin, "both", Cancellation));
        Assert.IsType<PeopleOutcome.Refused>((await _all.Invitations.ResetAsync(_all.Store, admin, "both", Cancellation)).Outcome);
        Assert.IsType<PeopleOutcome.Forbidden>(
            (await _all.Invitations.InviteAsync(admin, null, [ViewerOfT, ViewerOfU], Invitations.Usual, Cancellation)).Outcome);
        // Nor does an invitation say who exists elsewhere.
        Assert.NotNull((await _all.Invitations.InviteAsync(admin, "other", [ViewerOfT], Invitations.Usual, Cancellation)).Token);
        Assert.Null((await _all.Invitations.InviteAsync(admin, "both", [ViewerOfT], Invitations.Usual, Cancellation)).Token);
    }

    [Fact]
    public async Task Nobody_has_more_grants_than_can_be_looked_through()
    {
        await _all.AddAsync("ann", ViewerOfT);
        for (var i = 1; i < PeopleStore.MostGrants; i++)
            Assert.Equal(PeopleOutcome.Done, await _all.Store.GiveAsync(PeopleFixture.Local, "ann", Of(i), Cancellation));
        Assert.IsType<PeopleOutcome.Refused>(await _all.Store.GiveAsync(PeopleFixture.Local, "ann", Of(0), Cancellation));
        // What they have is given again, as before.
        Assert.Equal(PeopleOutcome.Done, await _all.Store.GiveAsync(PeopleFixture.Local, "ann", Of(1), Cancellation));
        Assert.Equal(PeopleOutcome.Done, await _all.Store.TakeAsync(PeopleFixture.Local, "ann", Of(1), Cancellation));
        Assert.Equal(PeopleOutcome.Done, await _all.Store.GiveAsync(PeopleFixture.Local, "ann", Of(0), Cancellation));

        static Grant Of(int i) => new(Role.Viewer, AccessScope.Of($"t{i}"));
    }

    [Fact]
    public async Task What_claims_gave_ends_when_nobody_logs_in_there_any_more()
    {
        Grant operates = new(Role.Operator, AccessScope.Of("t"));
        var (ann, _) = await _all.Store.ComeInAsync(new("https://idp", "1"), "ann", null, [operates], null, Cancellation);
        Assert.Equal(PeopleOutcome.Done, await _all.Store.GiveAsync(PeopleFixture.Local, "ann", ViewerOfU, Cancellation));
        _all.Time.Advance(PeopleDirectory.ClaimsLast - TimeSpan.FromMinutes(1));
        Assert.True((await RightsAsync()).May(Permission.Operate, operates.Scope));
        Assert.Equal([("ann", operates)], await ViewersAsync("t"));
        _all.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.False((await RightsAsync()).MayAnywhere(Permission.Operate));
        Assert.Equal([], await ViewersAsync("t"));
        Assert.Equal([("ann", ViewerOfU)], await ViewersAsync("u"));
        Assert.Null(await _all.Directory.ViewersAsync(await RightsAsync(), ViewerOfU.Scope, Cancellation));
        Assert.True((await RightsAsync()).May(Permission.Read, ViewerOfU.Scope));
        await _all.Store.ComeInAsync(new("https://idp", "1"), "ann", null, [operates], null, Cancellation);
        Assert.True((await RightsAsync()).May(Permission.Operate, operates.Scope));

        Task<IReadOnlyList<(string Name, Grant Grant)>?> ViewersAsync(string tenant) =>
            _all.Directory.ViewersAsync(Rights.Everything, AccessScope.Of(tenant), Cancellation);

        async Task<Rights> RightsAsync() => (await _all.Directory.ActorOfAsync(ann!.Identity, Cancellation))!.Rights;
    }

    [Fact]
    public async Task After_a_restore_no_token_and_no_invitation_opens_anything()
    {
        var ann = await _all.ActorAsync("ann", ViewerOfT);
        var (token, _, _) = await _all.Tokens.MakeAsync(ann, "ci", [ViewerOfT], TimeSpan.FromDays(1), Cancellation);
        var (link, _) = await _all.Invitations.InviteAsync(PeopleFixture.Local, null, [ViewerOfT], TimeSpan.FromDays(7), Cancellation);
        Assert.Equal(1, await _all.Tokens.RevokeAllAsync(Cancellation));
        Assert.Equal(1, await _all.Invitations.RevokeAllAsync(Cancellation));
        Assert.Null(await _all.Tokens.FindAsync(token!, Cancellation));
        Assert.Null((await _all.Invitations.LookAsync(link!, Cancellation)).Invitation);
    }

    [Fact]
    public async Task The_last_administrator_of_all_stays_unless_the_machines_own_user_says_so()
    {
        var admin = await _all.ActorAsync("ann", AdminOfAll);
        await _all.AddAsync("tess", AdminOfT);

        Assert.IsType<PeopleOutcome.Refused>(await _all.Store.TakeAsync(admin, "ann", AdminOfAll, Cancellation));
        Assert.IsType<PeopleOutcome.Refused>(await _all.Store.DisableAsync(admin, "ann", Cancellation));
        await _all.AddAsync("bea", AdminOfAll);
        Assert.Equal(PeopleOutcome.Done, await _all.Store.DisableAsync(admin, "bea", Cancellation));
        // Somebody who is disabled administers nothing.
        Assert.IsType<PeopleOutcome.Refused>(await _all.Store.TakeAsync(admin, "ann", AdminOfAll, Cancellation));
        Assert.True(await _all.Store.HasAdminOfAllAsync(Cancellation));
        Assert.Equal(PeopleOutcome.Done, await _all.Store.TakeAsync(PeopleFixture.Local, "ann", AdminOfAll, Cancellation));
        Assert.False(await _all.Store.HasAdminOfAllAsync(Cancellation));
    }

    [Fact]
    public async Task A_change_counts_here_at_once_and_in_another_process_within_seconds()
    {
        var alice = await _all.AddAsync("alice", ViewerOfT);
        var elsewhere = _all.Elsewhere();
        async Task<bool> SeesAsync(PeopleDirectory directory) =>
            (await directory.ActorOfAsync(alice.Identity, Cancellation))?.Rights.Sees(ViewerOfT.Scope) is true;
        Assert.True(await SeesAsync(_all.Directory) && await SeesAsync(elsewhere));

        await _all.Store.TakeAsync(PeopleFixture.Local, "alice", ViewerOfT, Cancellation);
        Assert.False(await SeesAsync(_all.Directory));
        _all.Time.Advance(Sessions.Freshness);
        Assert.False(await SeesAsync(elsewhere));

        await _all.Store.GiveAsync(PeopleFixture.Local, "alice", ViewerOfT, Cancellation);
        _all.Time.Advance(Sessions.Freshness);
        Assert.True(await SeesAsync(elsewhere));
        await _all.Store.DisableAsync(PeopleFixture.Local, "alice", Cancellation);
        Assert.Null(await _all.Directory.ActorOfAsync(alice.Identity, Cancellation));
        _all.Time.Advance(Sessions.Freshness);
        Assert.Null(await elsewhere.ActorOfAsync(alice.Identity, Cancellation));
        await _all.Store.EnableAsync(PeopleFixture.Local, "alice", Cancellation);
        Assert.True(await SeesAsync(_all.Directory));
    }

    [Theory]
    [InlineData("UPDATE people SET disabled_at = NULL WHERE name = 'alice'")]
    [InlineData("UPDATE people SET id = 'x' WHERE name = 'alice'")]
    [InlineData("UPDATE people SET checksum = NULL WHERE name = 'alice'")]
    [InlineData("UPDATE people SET name = 'alicia' WHERE name = 'alice'")]
    public async Task Nobody_is_somebody_whose_row_is_damaged(string damage)
    {
        var alice = await _all.AddAsync("alice", ViewerOfT);
        await _all.Store.DisableAsync(PeopleFixture.Local, "alice", Cancellation);
        await _all.HarmAsync(damage);

        Assert.Null(await _all.Elsewhere().ActorOfAsync(alice.Identity, Cancellation));
        Assert.Null(await _all.Elsewhere().ActorOfAsync(PersonIdentity.Of("x"), Cancellation));
        Assert.Empty(await _all.Store.AllAsync(Cancellation));
    }

    [Theory]
    [InlineData("UPDATE grants SET role = 'admin'")]
    [InlineData("UPDATE grants SET tenant = ''")]
    [InlineData("UPDATE grants SET tenant = '', cluster = ''")]
    [InlineData("UPDATE grants SET tenant = 'u'")]
    [InlineData("UPDATE grants SET cluster = ''")]
    [InlineData("UPDATE grants SET role = 'emperor'")]
    [InlineData("UPDATE grants SET checksum = NULL")]
    public async Task A_damaged_grant_allows_nothing_until_it_is_given_again(string damage)
    {
        var grant = new Grant(Role.Viewer, AccessScope.Of(new ClusterId("t", "c")));
        var alice = await _all.AddAsync("alice", grant);
        await _all.HarmAsync(damage);

        Assert.Empty((await _all.Elsewhere().ActorOfAsync(alice.Identity, Cancellation))!.Rights.Readable);
        await _all.Store.GiveAsync(PeopleFixture.Local, "alice", grant, Cancellation);
        Assert.Equal([grant.Scope], (await _all.Directory.ActorOfAsync(alice.Identity, Cancellation))!.Rights.Readable);
    }

    [Fact]
    public async Task A_reset_takes_what_logs_in_and_its_link_gives_a_new_password_to_the_same_person()
    {
        var alice = await _all.AddAsync("alice", ViewerOfT);
        await _all.Sessions.BeginAsync(alice, null, null, Cancellation);
        var (first, _) = await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "alice", Cancellation);
        var (token, _) = await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "alice", Cancellation);

        Assert.Empty(await _all.Sessions.AllAsync(Cancellation));
        Assert.Null((await _all.Store.FindByNameAsync("alice", Cancellation))!.Person.PasswordHash);
        Assert.Null((await AcceptAsync(first!, "alice")).Person);
        Assert.Equal(alice.Id, (await AcceptAsync(token!, "")).Person!.Id);
        Assert.Equal("hash2", (await _all.Store.FindByNameAsync("alice", Cancellation))!.Person.PasswordHash);
    }

    [Theory]
    [InlineData(Role.Customer, null, null, "a customer's role")]
    [InlineData(Role.Viewer, "T", null, "not a valid tenant name")]
    [InlineData(Role.Viewer, "t", "a/b", "not a valid cluster name")]
    public async Task What_cannot_be_granted_is_refused(Role role, string? tenant, string? of, string reason)
    {
        var scope = tenant is null ? AccessScope.All : of is null ? AccessScope.Of(tenant) : AccessScope.Of(new ClusterId(tenant, of));
        var (_, outcome) = await _all.Invitations.InviteAsync(
            PeopleFixture.Local, null, [new(role, scope)], Invitations.Usual, Cancellation);
        Assert.Contains(reason, Assert.IsType<PeopleOutcome.Refused>(outcome).Reason, StringComparison.Ordinal);
    }

    Task<(Person? Person, string? Mistake)> AcceptAsync(string token, string name) =>
        _all.Invitations.AcceptAsync(token, name, "hash2", Cancellation);
}
