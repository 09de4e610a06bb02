using Whistle.Inventory.People;
using Whistle.State;

using Xunit;

namespace Whistle.Tests.People;

public sealed class SessionsTests : IDisposable
{
    readonly PeopleFixture _all = new();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _all.Dispose();

    [Fact]
    public async Task The_machines_own_user_stays_logged_in_for_seven_days()
    {
        var id = await BeginAsync(null);
        _all.Time.Advance(Sessions.Life - TimeSpan.FromSeconds(1));
        Assert.NotNull(await _all.Sessions.FindAsync(id, Cancellation));
        Assert.NotNull(await Elsewhere().FindAsync(id, Cancellation));
        _all.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await _all.Sessions.FindAsync(id, Cancellation));
        Assert.Null(await Elsewhere().FindAsync(id, Cancellation));
    }

    [Fact]
    public async Task A_persons_session_ends_after_twelve_idle_hours_and_after_seven_days_in_any_case()
    {
        var alice = await _all.AddAsync("alice");
        var id = await BeginAsync(alice);
        for (var i = 0; i < 15; i++)
        {
            _all.Time.Advance(TimeSpan.FromHours(11));
            Assert.Equal("alice", (await _all.Directory.OfSessionAsync(id, "cookie", Cancellation))?.Identity!.Name);
        }

        _all.Time.Advance(TimeSpan.FromHours(3));
        Assert.Null(await _all.Directory.OfSessionAsync(id, "cookie", Cancellation));

        id = await BeginAsync(alice);
        _all.Time.Advance(Sessions.Idle);
        Assert.Null(await _all.Directory.OfSessionAsync(id, "cookie", Cancellation));
    }

    [Fact]
    public async Task A_session_that_is_ended_ends_its_pages_here_at_once_and_elsewhere_at_the_next_look()
    {
        var (id, other) = (await BeginAsync(null), await BeginAsync(null));
        var hash = (await _all.Sessions.FindAsync(id, Cancellation))!.Hash;
        var otherHash = (await _all.Sessions.FindAsync(other, Cancellation))!.Hash;
        var elsewhere = Elsewhere();
        Assert.NotNull(await elsewhere.FindAsync(id, Cancellation));
        var (here, there, others) = (0, 0, 0);
        using var a = _all.Sessions.WhenEnded(hash, () => here++);
        using var b = elsewhere.WhenEnded(hash, () => there++);
        using var c = _all.Sessions.WhenEnded(otherHash, () => others++);

        await elsewhere.LookAsync(Cancellation);
        Assert.Equal(1, await _all.Sessions.EndAsync(hash, Cancellation));
        Assert.Equal((1, 0, 0), (here, there, others));
        Assert.Null(await _all.Sessions.FindAsync(id, Cancellation));
        await elsewhere.LookAsync(Cancellation);
        Assert.Equal((1, 1, 0), (here, there, others));
        Assert.Null(await elsewhere.FindAsync(id, Cancellation));
        Assert.Equal(1, await _all.Sessions.EndAllAsync(Cancellation));
        Assert.Equal(1, others);
    }

    [Fact]
    public async Task Whoever_is_disabled_has_no_session_and_acts_on_no_page_that_is_open()
    {
        var alice = await _all.AddAsync("alice", new Whistle.Inventory.Access.Grant(
            Whistle.Inventory.Access.Role.Viewer, Whistle.Inventory.Access.AccessScope.All));
        var id = await BeginAsync(alice);
        var page = (await _all.Directory.OfSessionAsync(id, "cookie", Cancellation))!;
        Assert.True((await _all.Directory.RightsOfAsync(page, Cancellation)).SeesAll);

        await _all.Store.DisableAsync(PeopleFixture.Local, "alice", Cancellation);
        Assert.False((await _all.Directory.RightsOfAsync(page, Cancellation)).SeesAll);
        await _all.Store.EnableAsync(PeopleFixture.Local, "alice", Cancellation);
        // Nor does it come back with them.
        Assert.False((await _all.Directory.RightsOfAsync(page, Cancellation)).SeesAll);
        Assert.Null(await _all.Directory.OfSessionAsync(id, "cookie", Cancellation));
    }

    [Fact]
    public async Task A_log_in_under_way_gets_no_session_once_anything_about_it_has_changed()
    {
        const string right = "correct horse battery staple";
        var ann = await _all.AddAsync("ann", await _all.HashAsync(right));
        foreach (var change in (Func<Task>[])
        [
            async () => await _all.Accounts.ChangePasswordAsync(
                (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person, ann.PasswordHash!, null, Cancellation),
            async () => await _all.Store.DisableAsync(PeopleFixture.Local, "ann", Cancellation),
            async () =>
            {
                await _all.Store.DisableAsync(PeopleFixture.Local, "ann", Cancellation);
                await _all.Store.EnableAsync(PeopleFixture.Local, "ann", Cancellation);
            },
            async () => await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "ann", Cancellation),
        ])
        {
            await _all.Store.EnableAsync(PeopleFixture.Local, "ann", Cancellation);
            var proven = Assert.IsType<LogInOutcome.Proven>(
                await _all.LogIns.ByPasswordAsync("ann", right, null, Cancellation)).Person;
            await change();
            Assert.Null(await _all.Sessions.BeginAsync(proven, null, null, Cancellation));
            Assert.Empty(await _all.Sessions.AllAsync(Cancellation));
        }
    }

    [Fact]
    public async Task Of_one_owner_there_are_a_thousand_and_the_table_holds_no_id()
    {
        List<string> ids = [];
        for (var i = 0; i < 1005; i++)
        {
            ids.Add(await BeginAsync(null));
            _all.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(1000, (await _all.Sessions.AllAsync(Cancellation)).Count);
        Assert.Null(await _all.Sessions.FindAsync(ids[4], Cancellation));
        Assert.NotNull(await _all.Sessions.FindAsync(ids[5], Cancellation));
        Assert.DoesNotContain(ids[^1], (await _all.Sessions.AllAsync(Cancellation)).Select(s => s.Hash));
        Assert.Null(await _all.Sessions.FindAsync(null, Cancellation));
        Assert.Null(await _all.Sessions.FindAsync("", Cancellation));
    }

    [Fact]
    public async Task With_another_token_of_the_server_no_session_is_known()
    {
        var id = await BeginAsync(null);
        Assert.Null(await new Sessions(_all.State, "another", _all.Time).FindAsync(id, Cancellation));
    }

    [Theory]
    [InlineData("UPDATE sessions SET ends_at = ends_at + 1, idle_until = idle_until + 1")]
    [InlineData("UPDATE sessions SET owner = 'local'")]
    [InlineData("UPDATE sessions SET checksum = NULL")]
    public async Task A_damaged_session_is_none(string damage)
    {
        var id = await BeginAsync(await _all.AddAsync("alice"));
        await _all.HarmAsync(damage);
        Assert.Null(await _all.Sessions.FindAsync(id, Cancellation));
        Assert.Empty(await _all.Sessions.AllAsync(Cancellation));
    }

    [Fact]
    public async Task A_state_that_cannot_be_written_keeps_nobody_out()
    {
        var id = await BeginAsync(null);
        _all.Time.Advance(TimeSpan.FromHours(1));
        _all.Database.Fault = _ => throw new StateException("The disk is full.");
        Assert.NotNull(await _all.Directory.OfSessionAsync(id, "cookie", Cancellation));
    }

    Sessions Elsewhere() => new(new PeopleState(_all.Database), PeopleFixture.Token, _all.Time);

    async Task<string> BeginAsync(Person? person) =>
        (await _all.Sessions.BeginAsync(person, System.Net.IPAddress.Loopback, "a browser", Cancellation))!;
}
