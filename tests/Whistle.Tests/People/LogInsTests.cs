using System.Net;

using Microsoft.AspNetCore.Identity;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

public sealed class LogInsTests : IDisposable
{
    const string Right = "correct horse battery staple";

    static readonly IPAddress From = IPAddress.Parse("192.0.2.1");

    static readonly LogInOptions Usual = new();

    readonly PeopleFixture _all = new();

    static CancellationToken Cancellation => PeopleFixture.Cancellation;

    public void Dispose() => _all.Dispose();

    [Fact]
    public async Task The_tenth_wrong_password_in_a_row_locks_out_for_a_quarter_of_an_hour_and_the_audit_says_so()
    {
        await AnnAsync();
        await WrongAsync(9);
        Assert.IsType<LogInOutcome.Proven>(await TryAsync(Right));
        await WrongAsync(10);

        Assert.Equal("The account is locked.", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right)).Reason);
        var entry = Assert.Single(await _all.Audit.ListAsync(new(Action: "lock-out"), 10, Cancellation));
        Assert.Equal(("ann", "192.0.2.1"), (entry.What.Subject, entry.What.Actor.From));
        _all.Time.Advance(Usual.LockedFor - TimeSpan.FromSeconds(1));
        Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right));
        _all.Time.Advance(TimeSpan.FromSeconds(1));
        await WrongAsync(9);
        Assert.IsType<LogInOutcome.Proven>(await TryAsync(Right));
    }

    [Fact]
    public async Task Whoever_is_enabled_again_is_not_locked_out_any_more()
    {
        await AnnAsync();
        await WrongAsync(10);
        Assert.Equal(PeopleOutcome.Done, await _all.Store.EnableAsync(PeopleFixture.Local, "ann", Cancellation));
        Assert.IsType<LogInOutcome.Proven>(await TryAsync(Right));
    }

    [Fact]
    public async Task Wrong_codes_count_as_wrong_passwords_do_and_the_right_password_forgets_none()
    {
        var (person, _) = await WithCodesAsync();
        for (var i = 0; i < Usual.WrongBeforeLock; i++)
        {
            Assert.IsType<LogInOutcome.SecondFactor>(await TryAsync(Right));
            Assert.IsType<LogInOutcome.Failed>(await CodeAsync(person, WrongCode(person)));
        }

        Assert.Equal("The account is locked.", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right)).Reason);
        Assert.Equal("The account is locked.", Assert.IsType<LogInOutcome.Failed>(await CodeAsync(person, CodeNow(person))).Reason);
    }

    [Fact]
    public async Task A_code_and_a_recovery_code_log_in_once()
    {
        var (person, codes) = await WithCodesAsync();
        _all.Time.Advance(TimeSpan.FromSeconds(30));
        var code = CodeNow(person);
        Assert.IsType<LogInOutcome.Proven>(await CodeAsync(person, $"{code[..3]} {code[3..]}"));
        Assert.IsType<LogInOutcome.Failed>(await CodeAsync(person, code));
        Assert.IsType<LogInOutcome.Proven>(await CodeAsync(person, codes[3].ToLowerInvariant()));
        Assert.IsType<LogInOutcome.Failed>(await CodeAsync(person, codes[3]));
        Assert.Equal(RecoveryCodes.Count - 1, await _all.Accounts.CountCodesAsync(person, Cancellation));
    }

    [Fact]
    public async Task The_second_step_ends_with_whatever_changes_the_log_in()
    {
        var (person, _) = await WithCodesAsync();
        Assert.Null(await _all.Accounts.ChangePasswordAsync(person, "other", null, Cancellation));
        _all.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(
            "How the account logs in has changed since.",
            Assert.IsType<LogInOutcome.Failed>(await CodeAsync(person, CodeNow(person))).Reason);
    }

    [Fact]
    public async Task Nobody_knows_nothing_and_whoever_is_disabled_or_has_no_password_does_not_come_in()
    {
        await AnnAsync();
        Assert.Equal("", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right, "bob")).Name);
        Assert.Equal("", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right, "no name\0")).Name);
        Assert.IsType<LogInOutcome.Proven>(await TryAsync(Right, "ANN"));
        await _all.Store.DisableAsync(PeopleFixture.Local, "ann", Cancellation);
        Assert.Equal("The account is disabled.", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right)).Reason);
        await _all.Store.EnableAsync(PeopleFixture.Local, "ann", Cancellation);
        await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "ann", Cancellation);
        Assert.Contains("has no password", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right)).Reason, StringComparison.Ordinal);
        var (eve, _) = await _all.Store.ComeInAsync(
            new("https://login.example.com", "1"), "eve", null, [new(Role.Viewer, AccessScope.All)], null, Cancellation);
        Assert.Contains(
            "logs in at", Assert.IsType<LogInOutcome.Failed>(await TryAsync(Right, eve!.Name)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_one_account_two_are_hashed_at_once_of_one_address_a_quarter_and_others_are_served()
    {
        using var passwords = new Passwords(Usual);
        var hash = await _all.HashAsync(Right);
        // The right one costs as much as a wrong one.
        var account = Asked(20, i => Verify(Right, "Ann", $"192.0.2.{i}"));
        var address = Asked(20, i => Verify("wrong", $"n{i}", $"2001:db8::{i:x}"));
        var other = Verify(Right, "bob", "198.51.100.1");
        var rest = Asked(60, i => Verify("wrong", $"m{i}", $"203.0.113.{i}"));
        Assert.Equal(Passwords.MostOfAccount, Enumerable.Count(await account, a => a is true));
        Assert.Equal(4, Enumerable.Count(await address, a => a is false));
        Assert.True(await other);
        Assert.Equal(passwords.Places - Passwords.MostOfAccount - 4 - 1, Enumerable.Count(await rest, a => a is false));

        // All places are free again.
        Assert.Equal(passwords.Places, Enumerable.Count(
            await Asked(60, i => Verify("wrong", $"m{i}", $"203.0.113.{i}")), a => a is false));
        Assert.False(await passwords.VerifyAsync(null, Right, "ann", null, Cancellation));
        Assert.False(await passwords.VerifyAsync("no hash", Right, "ann", null, Cancellation));

        Task<bool?[]> Asked(int times, Func<int, Task<bool?>> ask) => Task.WhenAll(Enumerable.Range(0, times).Select(ask));

        Task<bool?> Verify(string password, string name, string from) =>
            passwords.VerifyAsync(hash, password, name, IPAddress.Parse(from), Cancellation);
    }

    [Fact]
    public async Task A_password_is_hashed_whoever_it_is_for_and_whether_or_not_there_is_anybody()
    {
        foreach (var name in new[] { "ann", "disabled", "locked", "reset" })
            await _all.AddAsync(name, await _all.HashAsync(Right));
        await _all.Store.DisableAsync(PeopleFixture.Local, "disabled", Cancellation);
        await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "reset", Cancellation);
        for (var i = 0; i < Usual.WrongBeforeLock; i++)
            await TryAsync("wrong", "locked");
        var (known, nobody) = (await TookAsync(await _all.HashAsync(Right)), await TookAsync(null));
        Assert.True(nobody > known / 4, $"Without a hash it takes {nobody}, with one {known}.");

        // From here on whoever is to be hashed for fails.
        _all.Passwords.Dispose();
        foreach (var name in new[] { "ann", "disabled", "locked", "reset", "nobody", "no name\0" })
            await Assert.ThrowsAsync<ObjectDisposedException>(() => TryAsync(Right, name));

        async Task<TimeSpan> TookAsync(string? hash)
        {
            var best = TimeSpan.MaxValue;
            for (var i = 0; i < 3; i++)
            {
                var began = TimeProvider.System.GetTimestamp();
                Assert.False(await _all.Passwords.VerifyAsync(hash, "wrong", "ann", From, Cancellation));
                var took = TimeProvider.System.GetElapsedTime(began);
                best = took < best ? took : best;
            }

            return best;
        }
    }

    [Fact]
    public void The_thirty_first_failure_from_an_address_within_ten_minutes_waits_and_no_other_address_does()
    {
        var bound = new LogInBound(Usual with { Time = _all.Time });
        for (var i = 0; i < Usual.FailuresFromAddress; i++)
        {
            Assert.Null(bound.Begin(From));
            bound.Succeed(From);
            Assert.Null(bound.Begin(From));
            _all.Time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(Usual.FailureWindow - TimeSpan.FromSeconds(Usual.FailuresFromAddress), bound.Begin(From));
        Assert.Null(bound.Begin(IPAddress.Parse("192.0.2.2")));
        _all.Time.Advance(Usual.FailureWindow);
        Assert.Null(bound.Begin(From));
    }

    [Fact]
    public void A_network_of_IPv6_is_one_address()
    {
        var bound = new LogInBound(Usual with { Time = _all.Time });
        for (var i = 0; i < Usual.FailuresFromAddress; i++)
            Assert.Null(bound.Begin(IPAddress.Parse($"2001:db8:1:2::{i:x}")));
        Assert.NotNull(bound.Begin(IPAddress.Parse("2001:db8:1:2:ffff::1")));
        Assert.Null(bound.Begin(IPAddress.Parse("2001:db8:1:3::1")));
    }

    [Fact]
    public async Task A_link_is_void_once_whoever_made_it_may_not_give_it_any_more()
    {
        var boss = await _all.ActorAsync("boss", new Grant(Role.Admin, AccessScope.Of("t")));
        Grant[] grants = [new(Role.Viewer, AccessScope.Of("t"))];
        var (invited, _) = await _all.Invitations.InviteAsync(boss, "new", grants, Invitations.Usual, Cancellation);
        await _all.AddAsync("ann", grants);
        var (reset, _) = await _all.Invitations.ResetAsync(_all.Store, boss, "ann", Cancellation);
        await _all.Store.TakeAsync(PeopleFixture.Local, "boss", new(Role.Admin, AccessScope.Of("t")), Cancellation);

        foreach (var token in (string?[])[invited, reset])
        {
            var (person, mistake) = await _all.Invitations.AcceptAsync(token!, "new", "hash", Cancellation);
            Assert.Null(person);
            Assert.Contains("may not give", mistake, StringComparison.Ordinal);
        }

        await _all.Store.GiveAsync(PeopleFixture.Local, "boss", new(Role.Admin, AccessScope.Of("t")), Cancellation);
        await _all.Store.DisableAsync(PeopleFixture.Local, "ann", Cancellation);
        Assert.Contains(
            "disabled", (await _all.Invitations.AcceptAsync(reset!, "", "hash", Cancellation)).Mistake, StringComparison.Ordinal);
        Assert.Equal("new", (await _all.Invitations.AcceptAsync(invited!, "other", "hash", Cancellation)).Person!.Name);
    }

    [Fact]
    public async Task A_passkey_logs_in_whoever_is_locked_out_and_neither_a_copy_of_it_nor_whoever_is_disabled()
    {
        var ann = await AnnAsync();
        var stamp = ann.SecurityStamp;
        Assert.Null(await _all.Passkeys.AddAsync(ann, "laptop", Key(1), Challenge(), Cancellation));
        // What was proven by the password alone before opens no session any more.
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.NotEqual(stamp, ann.SecurityStamp);
        Assert.Contains("already", await _all.Passkeys.AddAsync(ann, "again", Key(1), Challenge(), Cancellation), StringComparison.Ordinal);
        await WrongAsync(10);

        Assert.IsType<LogInOutcome.Proven>(await _all.Passkeys.UseAsync(ann.Id, Key(2), Challenge(), Cancellation));
        Assert.IsType<LogInOutcome.Failed>(await _all.Passkeys.UseAsync(ann.Id, Key(2), Challenge(), Cancellation));
        Assert.IsType<LogInOutcome.Failed>(await _all.Passkeys.UseAsync(ann.Id, Key(0), Challenge(), Cancellation));
        var bob = await _all.AddAsync("bob");
        Assert.IsType<LogInOutcome.Failed>(await _all.Passkeys.UseAsync(bob.Id, Key(3), Challenge(), Cancellation));
        var kept = Assert.Single(await _all.Passkeys.OfAsync(ann.Id, Cancellation));
        Assert.NotNull(await _all.Passkeys.RemoveAsync(bob, kept.Id, Cancellation));
        await _all.Store.DisableAsync(PeopleFixture.Local, "ann", Cancellation);
        Assert.IsType<LogInOutcome.Failed>(await _all.Passkeys.UseAsync(ann.Id, Key(3), Challenge(), Cancellation));
        await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "ann", Cancellation);
        Assert.Empty(await _all.Passkeys.OfAsync(ann.Id, Cancellation));
    }

    [Fact]
    public async Task A_challenge_of_a_passkey_is_spent_once_in_every_process_and_forgotten_after_its_time()
    {
        var ann = await AnnAsync();
        var (elsewhere, challenge) = (new Passkeys(new PeopleState(_all.Database), _all.Time), Challenge());
        Assert.Null(await _all.Passkeys.AddAsync(ann, "laptop", Key(0), challenge, Cancellation));
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Contains(
            "used before", await elsewhere.AddAsync(ann, "phone", Key(0, id: 2), challenge, Cancellation), StringComparison.Ordinal);
        Assert.Single(await _all.Passkeys.OfAsync(ann.Id, Cancellation));

        challenge = Challenge();
        Assert.IsType<LogInOutcome.Proven>(await _all.Passkeys.UseAsync(ann.Id, Key(0), challenge, Cancellation));
        foreach (var passkeys in (Passkeys[])[_all.Passkeys, elsewhere])
            Assert.IsType<LogInOutcome.Failed>(await passkeys.UseAsync(ann.Id, Key(0), challenge, Cancellation));

        _all.Time.Advance(TimeSpan.FromMinutes(15));
        Assert.IsType<LogInOutcome.Proven>(await _all.Passkeys.UseAsync(ann.Id, Key(0), Challenge(), Cancellation));
        await using var connection = await _all.Database.OpenAsync(Cancellation);
        Assert.Single(await connection.QueryAsync("SELECT hash FROM spent_challenges", _ => true, Cancellation));
    }

    [Fact]
    public async Task A_passkey_is_added_to_the_account_that_was_proven_and_to_none_that_has_changed_since()
    {
        var ann = await AnnAsync();
        Assert.Null(await _all.Accounts.ChangePasswordAsync(ann, ann.PasswordHash!, null, Cancellation));
        Assert.Contains(
            "changed elsewhere", await _all.Passkeys.AddAsync(ann, "laptop", Key(0), Challenge(), Cancellation),
            StringComparison.Ordinal);
        Assert.Empty(await _all.Passkeys.OfAsync(ann.Id, Cancellation));
    }

    [Fact]
    public async Task What_is_changed_on_an_account_is_of_whoever_was_proven_and_not_of_what_it_has_become()
    {
        var (person, codes) = await WithCodesAsync();
        Assert.Null(await _all.Accounts.ChangePasswordAsync(person, person.PasswordHash!, null, Cancellation));
        foreach (var mistake in (string?[])
        [
            await _all.Accounts.ChangePasswordAsync(person, "another", null, Cancellation),
            await _all.Accounts.TurnOnAsync(person, OneTimeCodes.NewKey(), 0, RecoveryCodes.New(), Cancellation),
            await _all.Accounts.TurnOffAsync(person, Cancellation),
            await _all.Accounts.ReplaceCodesAsync(person, RecoveryCodes.New(), Cancellation),
        ])
            Assert.Contains("changed elsewhere", mistake, StringComparison.Ordinal);

        var now = (await _all.Store.FindAsync(person.Id, Cancellation))!.Person;
        Assert.Equal((person.PasswordHash, person.AuthenticatorKey, true), (now.PasswordHash, now.AuthenticatorKey, now.HasTwoFactor));
        Assert.IsType<LogInOutcome.Proven>(await CodeAsync(now, codes[0]));
    }

    [Fact]
    public async Task A_reset_takes_password_app_recovery_codes_and_passkeys()
    {
        var (person, codes) = await WithCodesAsync();
        Assert.Null(await _all.Passkeys.AddAsync(person, "laptop", Key(0), Challenge(), Cancellation));
        var (token, _) = await _all.Invitations.ResetAsync(_all.Store, PeopleFixture.Local, "ann", Cancellation);
        var reset = (await _all.Store.FindAsync(person.Id, Cancellation))!.Person;
        Assert.Equal((null, null, false), (reset.PasswordHash, reset.AuthenticatorKey, reset.HasTwoFactor));
        Assert.Equal(0, await _all.Accounts.CountCodesAsync(reset, Cancellation));
        Assert.Empty(await _all.Passkeys.OfAsync(reset.Id, Cancellation));

        var (again, _) = await _all.Invitations.AcceptAsync(token!, "", await _all.HashAsync("nine quiet lamps"), Cancellation);
        Assert.IsType<LogInOutcome.Proven>(await TryAsync("nine quiet lamps"));
        _all.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.IsType<LogInOutcome.Failed>(await CodeAsync(again!, CodeNow(person)));
        Assert.IsType<LogInOutcome.Failed>(await CodeAsync(again!, codes[0]));
    }

    [Fact]
    public async Task Where_everybody_needs_a_second_factor_a_password_is_not_enough_for_whoever_has_a_passkey_and_the_last_one_stays()
    {
        var ann = await AnnAsync();
        var strict = new LogInOptions { Time = _all.Time, RequireSecondFactor = true };
        var logIns = new LogIns(_all.State, _all.Store, _all.Passwords, _all.Audit, strict);
        var factors = new SecondFactors(_all.State, _all.Store, strict);
        Assert.True(await factors.AreLackingAsync(ann, Cancellation));
        Assert.False(await new SecondFactors(_all.State, _all.Store, new()).AreLackingAsync(ann, Cancellation));
        // Whoever logs in at a provider has theirs there.
        Assert.False(await factors.AreLackingAsync(
            new Person { Id = ann.Id, Name = "ann", Outside = new("https://id.example", "ann") }, Cancellation));
        Assert.IsType<LogInOutcome.Proven>(await logIns.ByPasswordAsync("ann", Right, From, Cancellation));
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Null(await _all.Passkeys.AddAsync(ann, "laptop", Key(0), Challenge(), Cancellation));
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Null(await _all.Passkeys.AddAsync(ann, "phone", Key(0, 2), Challenge(), Cancellation));

        Assert.False(await factors.AreLackingAsync(ann, Cancellation));
        Assert.IsType<LogInOutcome.PasskeyNeeded>(await logIns.ByPasswordAsync("ann", Right, From, Cancellation));
        Assert.IsType<LogInOutcome.Failed>(await logIns.ByPasswordAsync("ann", "wrong", From, Cancellation));
        Assert.IsType<LogInOutcome.Proven>(await _all.Passkeys.UseAsync(ann.Id, Key(1), Challenge(), Cancellation));

        var keys = await _all.Passkeys.OfAsync(ann.Id, Cancellation);
        Assert.Null(await _all.Passkeys.RemoveAsync(ann, keys[0].Id, Cancellation, needsAnother: true));
        Assert.Contains(
            "this is your last", await _all.Passkeys.RemoveAsync(ann, keys[1].Id, Cancellation, needsAnother: true),
            StringComparison.Ordinal);
        // With an app beside it, either may go, and then the other stays.
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Null(await _all.Accounts.TurnOnAsync(ann, OneTimeCodes.NewKey(), 1, RecoveryCodes.New(), Cancellation));
        Assert.IsType<LogInOutcome.SecondFactor>(await logIns.ByPasswordAsync("ann", Right, From, Cancellation));
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Null(await _all.Passkeys.RemoveAsync(ann, keys[1].Id, Cancellation, needsAnother: true));
        ann = (await _all.Store.FindAsync(ann.Id, Cancellation))!.Person;
        Assert.Contains(
            "this is your last", await _all.Accounts.TurnOffAsync(ann, Cancellation, needsAnother: true), StringComparison.Ordinal);
        Assert.Null(await _all.Accounts.TurnOffAsync(ann, Cancellation));
    }

    PasskeyChallenge Challenge() => new(Guid.NewGuid().ToString(), _all.Time.GetUtcNow() + TimeSpan.FromMinutes(15));

    UserPasskeyInfo Key(uint count, byte id = 1) =>
        new([id, 2, 3], [4], _all.Time.GetUtcNow(), count, ["internal"], true, false, false, [], []);

    async Task<Person> AnnAsync() => await _all.AddAsync("ann", await _all.HashAsync(Right));

    async Task<(Person Person, IReadOnlyList<string> Codes)> WithCodesAsync()
    {
        var ann = await AnnAsync();
        var codes = RecoveryCodes.New();
        Assert.Null(await _all.Accounts.TurnOnAsync(
            ann, OneTimeCodes.NewKey(), OneTimeCodes.StepOf(_all.Time.GetUtcNow()), codes, Cancellation));
        return ((await _all.Store.FindAsync(ann.Id, Cancellation))!.Person, codes);
    }

    async Task WrongAsync(int times)
    {
        for (var i = 0; i < times; i++)
            Assert.IsType<LogInOutcome.Failed>(await TryAsync("wrong"));
    }

    Task<LogInOutcome> TryAsync(string password, string name = "ann") => _all.LogIns.ByPasswordAsync(name, password, From, Cancellation);

    Task<LogInOutcome> CodeAsync(Person person, string code) =>
        _all.LogIns.ByCodeAsync(person.Id, person.SecurityStamp, code, From, Cancellation);

    // Six digits that are the code of no step about now.
    string WrongCode(Person person) => Enumerable.Range(0, 10).Select(i => $"{i}00000").First(
        c => OneTimeCodes.Find(person.AuthenticatorKey!, c, _all.Time.GetUtcNow(), 0) is null);

    string CodeNow(Person person) => OneTimeCodes.CodeOf(
        OneTimeCodes.Decode(person.AuthenticatorKey!), OneTimeCodes.StepOf(_all.Time.GetUtcNow()));
}
