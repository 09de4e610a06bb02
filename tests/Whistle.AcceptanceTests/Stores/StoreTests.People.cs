using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

public abstract partial class StoreTests
{
    static readonly Actor LocalUser = new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything);
    static readonly Grant ViewerOfC = new(Role.Viewer, AccessScope.Of(new ClusterId("t", "c")));
    static readonly Grant AdminOfAll = new(Role.Admin, AccessScope.All);

    [Fact]
    public async Task People_their_grants_tokens_and_sessions_come_back_as_they_were()
    {
        var time = new FakeTimeProvider(Now);
        var people = new People(Database, time);
        var alice = await people.AddAsync("alice", ViewerOfC, AdminOfAll);
        alice = (await people.Store.FindAsync(alice.Id, Cancellation))!.Person;
        var session = await people.Sessions.BeginAsync(alice, System.Net.IPAddress.IPv6Loopback, "a browser", Cancellation);
        var (token, _, _) = await people.Tokens.MakeAsync(LocalUser, "ci", [ViewerOfC], ApiTokens.Usual, Cancellation);

        using var again = Again();
        var others = new People(again, time);
        var found = (await others.Store.FindByNameAsync("ALICE", Cancellation))!;
        Assert.Equal((alice.Id, "alice", Now), (found.Person.Id, found.Person.Name, found.Person.CreatedAt));
        Assert.Equal("hash", found.Person.PasswordHash);
        Assert.Equal([AdminOfAll, ViewerOfC], found.Grants.Select(g => g.Grant));
        Assert.Equal(
            ("a browser", "::1", Now + Sessions.Idle),
            Assert.Single(await others.Sessions.AllAsync(Cancellation)) is var s ? (s.Agent, s.Address, s.IdleUntil) : default);
        time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("alice", (await others.Directory.OfSessionAsync(session, "cookie", Cancellation))!.Identity!.Name);
        Assert.Equal("operator (token ci)", (await others.Directory.OfTokenAsync(token!, "bearer", Cancellation))!.Identity!.Name);
        Assert.Equal(Now.AddMinutes(2), Assert.Single(await people.Tokens.LivingAsync(Cancellation)).UsedAt);

        Assert.Equal(PeopleOutcome.Done, await others.Store.DisableAsync(LocalUser, "alice", Cancellation));
        Assert.Empty(await people.Sessions.AllAsync(Cancellation));
        Assert.NotNull((await people.Store.FindAsync(alice.Id, Cancellation))!.Person.DisabledAt);
    }

    [Fact]
    public async Task Of_many_who_use_an_invitation_at_once_one_begins()
    {
        var people = new People(Database, TimeProvider.System);
        var (token, _) = await people.Invitations.InviteAsync(LocalUser, null, [ViewerOfC], Invitations.Usual, Cancellation);
        var outcomes = await Task.WhenAll(
            Enumerable.Range(0, 10).Select(i => people.Invitations.AcceptAsync(token!, $"p{i}", "hash", Cancellation)));
        Assert.Single(outcomes, o => o.Person is not null);
        Assert.Single(await people.Store.AllAsync(Cancellation));
    }

    [Fact]
    public async Task Two_administrators_who_remove_each_other_at_once_leave_one()
    {
        var people = new People(Database, TimeProvider.System);
        var actors = new List<Actor>();
        foreach (var name in new[] { "ann", "bea" })
            actors.Add((await people.Directory.ActorOfAsync((await people.AddAsync(name, AdminOfAll)).Identity, Cancellation))!);
        var outcomes = await Task.WhenAll(
            people.Store.TakeAsync(actors[0], "bea", AdminOfAll, Cancellation),
            people.Store.DisableAsync(actors[1], "ann", Cancellation));
        Assert.Single(outcomes, o => o is PeopleOutcome.Refused);
        Assert.True(await people.Store.HasAdminOfAllAsync(Cancellation));
    }

    [Fact]
    public async Task How_somebody_logs_in_is_kept_and_wrong_ones_at_once_are_all_counted()
    {
        var people = new People(Database, TimeProvider.System);
        using var passwords = new Passwords(new());
        var ann = await people.AddAsync("ann", ViewerOfC);
        var state = new PeopleState(Database);
        var logIns = new LogIns(state, people.Store, passwords, new(Database, TimeProvider.System), new());
        var (accounts, passkeys) = (new Accounts(state, people.Sessions), new Passkeys(state, TimeProvider.System));
        var codes = RecoveryCodes.New();
        Assert.Null(await accounts.TurnOnAsync(ann, OneTimeCodes.NewKey(), 7, codes, Cancellation));
        ann = (await people.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Equal((true, 7), (ann.HasTwoFactor, ann.LastCodeStep));
        Assert.IsType<LogInOutcome.Proven>(await CodeAsync(codes[0]));
        var once = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => CodeAsync(codes[1])));
        Assert.Single(once, o => o is LogInOutcome.Proven);
        Assert.Equal(RecoveryCodes.Count - 2, await accounts.CountCodesAsync(ann, Cancellation));

        Microsoft.AspNetCore.Identity.UserPasskeyInfo key =
            new([1, 2, 3], [4], Now, uint.MaxValue - 1, ["internal", "hybrid"], true, true, false, [], []);
        Assert.Null(await passkeys.AddAsync(ann, "laptop", key, new("a", TimeProvider.System.GetUtcNow().AddMinutes(1)), Cancellation));
        var kept = (await passkeys.FindAsync([1, 2, 3], Cancellation))!;
        Assert.Equal(
            ("laptop", uint.MaxValue - 1, true, false),
            (kept.Name, kept.Info.SignCount, kept.Info.IsBackupEligible, kept.Info.IsBackedUp));
        Assert.Equal(["internal", "hybrid"], kept.Info.Transports!);
        key.SignCount = 0;
        Assert.True(await passkeys.RemoveAsync(ann, kept.Id, Cancellation) is null);
        PasskeyChallenge challenge = new("b", TimeProvider.System.GetUtcNow().AddMinutes(1));
        Assert.Null(await passkeys.AddAsync(ann, "phone", key, challenge, Cancellation));
        challenge = challenge with { Id = "c" };
        var proofs = await Task.WhenAll(Enumerable.Range(0, 5).Select(
            _ => new Passkeys(new PeopleState(Database), TimeProvider.System).UseAsync(ann.Id, key, challenge, Cancellation)));
        Assert.Single(proofs, p => p is LogInOutcome.Proven);

        await Task.WhenAll(Enumerable.Range(0, new LogInOptions().WrongBeforeLock).Select(_ => CodeAsync("wrong")));
        Assert.True((await people.Store.FindAsync(ann.Id, Cancellation))!.Person.IsLocked(TimeProvider.System.GetUtcNow()));

        Task<LogInOutcome> CodeAsync(string code) => logIns.ByCodeAsync(ann.Id, ann.SecurityStamp, code, null, Cancellation);
    }

    sealed class People
    {
        public People(Whistle.State.StateDatabase database, TimeProvider time)
        {
            var state = new PeopleState(database);
            Sessions = new(state, "the server's", time);
            Store = new(state, Sessions, time);
            Tokens = new(state, time);
            Directory = new(state, Store, Tokens, Sessions, time);
            Invitations = new(state, Sessions, Directory, time);
        }

        public PeopleStore Store { get; }

        public Sessions Sessions { get; }

        public ApiTokens Tokens { get; }

        public Invitations Invitations { get; }

        public PeopleDirectory Directory { get; }

        public async Task<Person> AddAsync(string name, params Grant[] grants)
        {
            var (token, _) = await Invitations.InviteAsync(LocalUser, name, grants, Invitations.Usual, Cancellation);
            return (await Invitations.AcceptAsync(token!, name, "hash", Cancellation)).Person!;
        }
    }
}
