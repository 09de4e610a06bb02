using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.State;

using Xunit;

namespace Whistle.Tests.People;

/// <summary>Everything about people, on a state in memory and a clock of the test's.</summary>
sealed class PeopleFixture : IDisposable
{
    public const string Token = "the server's";

    public PeopleFixture()
    {
        State = new(Database);
        Sessions = new(State, Token, Time);
        Store = new(State, Sessions, Time);
        Tokens = new(State, Time);
        Directory = new(State, Store, Tokens, Sessions, Time);
        Invitations = new(State, Sessions, Directory, Time);
        Audit = new(Database, Time);
        LogIns = new(State, Store, Passwords, Audit, new() { Time = Time });
        Accounts = new(State, Sessions);
        Passkeys = new(State, Time);
    }

    public static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static Actor Local { get; } = new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything);

    public FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));

    public StateDatabase Database { get; } = StateDatabase.InMemory();

    public PeopleState State { get; }

    public Sessions Sessions { get; }

    public PeopleStore Store { get; }

    public ApiTokens Tokens { get; }

    public Invitations Invitations { get; }

    public PeopleDirectory Directory { get; }

    public AuditLog Audit { get; }

    public Passwords Passwords { get; } = new(new());

    public LogIns LogIns { get; }

    public Accounts Accounts { get; }

    public Passkeys Passkeys { get; }

    public async Task<string> HashAsync(string password) => (await Passwords.HashAsync(password, "", null, Cancellation))!;

    /// <summary>The same database as another process sees it.</summary>
    public PeopleDirectory Elsewhere()
    {
        var state = new PeopleState(Database);
        var sessions = new Sessions(state, Token, Time);
        return new(state, new(state, sessions, Time), new(state, Time), sessions, Time);
    }

    public Task<Person> AddAsync(string name, params Grant[] grants) => AddAsync(name, "hash", grants);

    public async Task<Person> AddAsync(string name, string passwordHash, params Grant[] grants)
    {
        if (grants.Length == 0)
            grants = [new(Role.Viewer, AccessScope.Of("t"))];
        var (token, outcome) = await Invitations.InviteAsync(Local, name, grants, Invitations.Usual, Cancellation);
        Assert.Equal(PeopleOutcome.Done, outcome);
        var (person, mistake) = await Invitations.AcceptAsync(token!, name, passwordHash, Cancellation);
        Assert.Null(mistake);
        return person!;
    }

    public async Task<Actor> ActorAsync(string name, params Grant[] grants) =>
        (await Directory.ActorOfAsync((await AddAsync(name, grants)).Identity, Cancellation))!;

    public async Task HarmAsync(string sql)
    {
        await using var connection = await Database.OpenAsync(Cancellation);
        Assert.True(await connection.ExecuteAsync(sql, Cancellation) > 0, sql);
    }

    public void Dispose()
    {
        Passwords.Dispose();
        Database.Dispose();
    }
}
