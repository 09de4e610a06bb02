using System.Net;
using System.Text.RegularExpressions;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What somebody looks after on the page of their account.</summary>
public sealed class AccountTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_password_needs_the_old_one_and_ends_the_other_sessions()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        using var other = await ann.LoggedInAsync();
        const string chosen = "nine quiet lamps on a boat";

        foreach (var (old, password, again, reason) in new[]
        {
            ("wrong wrong wrong", chosen, chosen, "present password is wrong"), (ann.Password, "short", "short", "at least 12"),
            (ann.Password, chosen, "other", "differ"),
        })
        {
            var (status, text) = await ann.ActAsync(browser, "change-password", ("old", old), ("password", password), ("again", again));
            Assert.Equal(400, status);
            Assert.Contains(reason, text, StringComparison.Ordinal);
        }

        Assert.True(await other.IsLoggedInAsync(server.App.Address, Cancellation));
        Assert.Equal(
            (303, "/account?done=change-password"),
            await ann.ActAsync(browser, "change-password", ("old", ann.Password), ("password", chosen), ("again", chosen)));
        Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        Assert.False(await other.IsLoggedInAsync(server.App.Address, Cancellation));
        Assert.Equal(401, (await ann.LogInAsync(other)).Status);
        ann.Password = chosen;
        using var again2 = await ann.LoggedInAsync();
        var done = Assert.Single(await AuditAsync(server, "change-password", AuditOutcome.Done));
        Assert.Equal("ann", done.What.Actor.Name);
        Assert.NotEmpty(await AuditAsync(server, "change-password", AuditOutcome.Refused));
    }

    [Fact]
    public async Task The_second_factor_goes_on_with_a_code_and_off_with_the_password_and_a_code()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        var (_, page) = await ann.ActAsync(browser, "new-authenticator");
        Assert.Contains("otpauth://totp/Whistle:ann?secret=", page, StringComparison.Ordinal);
        Assert.Contains("<svg class=\"qr\"", page, StringComparison.Ordinal);
        var (wrong, text) = await ann.ActAsync(
            browser, "turn-on-second-factor", ("key", Account.Value(page, "key")), ("code", "000"), ("old", ann.Password));
        Assert.Equal(400, wrong);
        Assert.Contains("not the app&#x27;s code", text, StringComparison.Ordinal);
        Assert.False((await ann.PersonAsync()).HasTwoFactor);

        var codes = await ann.TurnOnAsync(browser);
        Assert.True((await ann.PersonAsync()).HasTwoFactor);
        var (status, others) = await ProvenAsync("replace-recovery-codes", ann.Code(1));
        Assert.Equal(200, status);
        var left = Account.CodesOf(others);
        Assert.Equal(RecoveryCodes.Count, left.Count);
        Assert.Empty(codes.Intersect(left));
        foreach (var (old, proof) in new[]
        {
            ("wrong", left[0]), (ann.Password, ""), (ann.Password, codes[0]), (ann.Password, ann.Code(1)),
        })
        {
            var (refused, reason) = await ann.ActAsync(browser, "turn-off-second-factor", ("old", old), ("proof", proof));
            Assert.Equal(400, refused);
            Assert.Contains("wait 15 min", reason, StringComparison.Ordinal);
        }

        Assert.True((await ann.PersonAsync()).HasTwoFactor);
        // A wrong password has used no code.
        Assert.Equal(303, (await ProvenAsync("turn-off-second-factor", left[0])).Status);
        using var alone = await ann.LoggedInAsync();
        foreach (var act in new[] { "turn-on-second-factor", "replace-recovery-codes", "turn-off-second-factor" })
            Assert.Single(await AuditAsync(server, act, AuditOutcome.Done));

        Task<(int Status, string Text)> ProvenAsync(string act, string proof) =>
            ann.ActAsync(browser, act, ("old", ann.Password), ("proof", proof));
    }

    [Fact]
    public async Task Whoever_has_an_app_changes_nothing_about_the_log_in_without_a_code()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        var codes = await ann.TurnOnAsync(browser);
        var (_, page, _) = await browser.OpenAsync(ann.At("account"), Cancellation);
        Assert.Equal(4, page.Split("name=\"proof\"").Length - 1);
        const string chosen = "nine quiet lamps on a boat";
        foreach (var (act, fields) in new (string, (string, string)[])[]
        {
            ("change-password", [("password", chosen), ("again", chosen)]), ("remove-passkey", [("id", "none")]),
            ("replace-recovery-codes", []), ("turn-off-second-factor", []),
            ("make-token", [("name", "t"), ("allows", $"{new Grant(Role.Viewer, AccessScope.All)}")]),
        })
        {
            var (status, text) = await ann.ActAsync(browser, act, [("old", ann.Password), .. fields]);
            Assert.True(status == 400 && text.Contains("or the code is wrong", StringComparison.Ordinal), $"{act}: {status}");
            Assert.NotEmpty(await AuditAsync(server, act, AuditOutcome.Refused));
        }

        var first = ann.Key;
        await Assert.ThrowsAnyAsync<Exception>(() => ann.TurnOnAsync(browser));
        Assert.Equal(first, (await ann.PersonAsync()).AuthenticatorKey);
        var others = await ann.TurnOnAsync(browser, codes[0]);
        Assert.Equal(ann.Key, (await ann.PersonAsync()).AuthenticatorKey);
        Assert.Equal(303, (await ann.ActAsync(
            browser, "change-password", ("old", ann.Password), ("password", chosen), ("again", chosen), ("proof", others[0]))).Status);
    }

    [Fact]
    public async Task Wrong_passwords_on_the_page_are_bounded_by_address_and_none_is_asked_for_where_there_is_nothing_to_turn_off()
    {
        await using var server = await InProcessServer.StartAsync(
            Cancellation, change: o => o with { RunTimers = false, LogIn = new() { FailuresFromAddress = 3 } });
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        for (var i = 0; i < 5; i++)
        {
            var (status, text) = await ann.ActAsync(browser, "turn-off-second-factor", ("old", "wrong wrong wrong"));
            Assert.Equal(400, status);
            Assert.Contains("is off already", text, StringComparison.Ordinal);
        }

        Assert.Equal(0, (await ann.PersonAsync()).FailedCount);
        // The right one is no failure.
        for (var i = 0; i < 5; i++)
            Assert.Equal(400, (await RemoveAsync(ann.Password)).Status);
        for (var i = 0; i < 3; i++)
            Assert.Contains("is wrong", (await RemoveAsync("wrong wrong wrong")).Text, StringComparison.Ordinal);
        Assert.Equal(3, (await ann.PersonAsync()).FailedCount);
        var (turnedAway, said) = await RemoveAsync(ann.Password);
        Assert.Equal(429, turnedAway);
        Assert.Contains("Wait 10 min before", said, StringComparison.Ordinal);
        using var other = new Browser();
        Assert.Equal(429, (await ann.LogInAsync(other)).Status);
        // By whoever was logged in, and by a stranger.
        var limits = await AuditAsync(server, "log-in-limit", AuditOutcome.Refused);
        Assert.Equal(["", "ann"], limits.Select(e => e.What.Actor.Name).Order());
        Assert.All(limits, e => Assert.Contains("from this address", e.What.Reason, StringComparison.Ordinal));

        Task<(int Status, string Text)> RemoveAsync(string old) => ann.ActAsync(browser, "remove-passkey", ("old", old), ("id", "none"));
    }

    [Fact]
    public async Task Sessions_and_tokens_are_ones_own()
    {
        await using var server = await StartAsync();
        var (ann, bob) = (await Account.AddAsync(server, "ann"), await Account.AddAsync(server, "bob"));
        using var browser = await ann.LoggedInAsync();
        using var second = await ann.LoggedInAsync();
        using var third = await ann.LoggedInAsync();
        using var bobs = await bob.LoggedInAsync();
        var (sessions, tokens) = (
            server.App.Services.GetRequiredService<Sessions>(), server.App.Services.GetRequiredService<ApiTokens>());
        var all = await sessions.AllAsync(Cancellation);
        var (annsId, bobsId) = ((await ann.PersonAsync()).Identity, (await bob.PersonAsync()).Identity);
        var foreign = all.First(s => s.Owner == bobsId).Id;
        Assert.Equal(400, (await ann.ActAsync(browser, "end-session", ("id", foreign))).Status);
        Assert.True(await bobs.IsLoggedInAsync(server.App.Address, Cancellation));
        var (_, page, _) = await browser.OpenAsync(ann.At("account"), Cancellation);
        Assert.DoesNotContain(foreign, page, StringComparison.Ordinal);

        Assert.Equal(303, (await ann.ActAsync(browser, "end-other-sessions")).Status);
        Assert.Equal((true, false, false), (
            await browser.IsLoggedInAsync(server.App.Address, Cancellation), await second.IsLoggedInAsync(server.App.Address, Cancellation),
            await third.IsLoggedInAsync(server.App.Address, Cancellation)));
        Assert.Single(await sessions.AllAsync(Cancellation), s => s.Owner == annsId);

        foreach (var (owner, name) in new[] { (annsId, "anns-token"), (bobsId, "bobs-token") })
        {
            var actor = await server.App.Services.GetRequiredService<PeopleDirectory>().ActorOfAsync(owner, Cancellation);
            await tokens.MakeAsync(actor!, name, [new(Role.Viewer, AccessScope.All)], ApiTokens.Usual, Cancellation);
        }

        (_, page, _) = await browser.OpenAsync(ann.At("account"), Cancellation);
        Assert.Contains("anns-token", page, StringComparison.Ordinal);
        Assert.DoesNotContain("bobs-token", page, StringComparison.Ordinal);
        var living = await tokens.LivingAsync(Cancellation);
        Assert.Equal(400, (await ann.ActAsync(browser, "revoke-token", ("id", living.First(t => t.Owner == bobsId).Id))).Status);
        Assert.Equal(303, (await ann.ActAsync(browser, "revoke-token", ("id", living.First(t => t.Owner == annsId).Id))).Status);
        Assert.Equal("bobs-token", Assert.Single(await tokens.LivingAsync(Cancellation)).Name);
    }

    [Fact]
    public async Task Somebody_makes_a_token_of_what_they_may_do_with_their_password_and_sees_it_once()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        await server.App.Services.GetRequiredService<PeopleStore>().GiveAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), "ann", new(Role.Operator, AccessScope.All),
            Cancellation);
        using var browser = await ann.LoggedInAsync();
        var (_, page, _) = await browser.OpenAsync(ann.At("account"), Cancellation);
        var offered = $"{new Grant(Role.Viewer, AccessScope.All)}";
        Assert.Equal(
            [$"{new Grant(Role.Operator, AccessScope.All)}", offered],
            Regex.Matches(page, "<option>([^<]*)</option>").Select(m => WebUtility.HtmlDecode(m.Groups[1].Value)).Order());

        foreach (var (name, allows, password, reason) in new[]
        {
            ("ci", offered, "wrong wrong wrong", "present password is wrong"),
            ("ci", $"{new Grant(Role.Admin, AccessScope.All)}", ann.Password, "Choose what the token allows"),
            ("", offered, ann.Password, "name"),
        })
        {
            var (refused, text) = await ann.ActAsync(browser, "make-token", ("name", name), ("allows", allows), ("old", password));
            Assert.Equal(400, refused);
            Assert.Contains(reason, text, StringComparison.Ordinal);
        }

        var (status, shown) = await ann.ActAsync(browser, "make-token", ("name", "ci"), ("allows", offered), ("old", ann.Password));
        Assert.Equal(200, status);
        var token = Regex.Match(shown, "<code id=\"token\">(wsp_[^<]+)</code>").Groups[1].Value;
        using var http = new HttpClient { DefaultRequestHeaders = { Authorization = new("Bearer", token) } };
        using var answer = await http.GetAsync(ann.At("api/whistle/v1/incidents"), Cancellation);
        Assert.Equal(200, (int)answer.StatusCode);
        var made = Assert.Single(await server.App.Services.GetRequiredService<ApiTokens>().LivingAsync(Cancellation));
        Assert.Equal([new Grant(Role.Viewer, AccessScope.All)], made.Grants);
        Assert.Equal(ApiTokens.Usual, made.EndsAt - made.MadeAt);
        Assert.DoesNotContain(token, (await browser.OpenAsync(ann.At("account"), Cancellation)).Text, StringComparison.Ordinal);
        var entry = Assert.Single(await AuditAsync(server, "make-token", AuditOutcome.Done)).What;
        Assert.Equal(("ci", $$"""{"allows":"{{offered}}"}"""), (entry.Subject, entry.Details));
        var (twice, why) = await ann.ActAsync(browser, "make-token", ("name", "ci"), ("allows", offered), ("old", ann.Password));
        Assert.Equal(400, twice);
        Assert.Contains("There is a token called ci", why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_machines_own_user_has_no_password_and_a_program_no_account()
    {
        await using var server = await StartAsync();
        using var browser = await Browser.LoggedInAsync(server.App, Cancellation);
        var (status, page, _) = await browser.OpenAsync(new(server.App.Address, "account"), Cancellation);
        Assert.Equal(200, status);
        Assert.Contains("whistle login", page, StringComparison.Ordinal);
        Assert.DoesNotContain("Change password", page, StringComparison.Ordinal);
        var (refused, _, _) = await browser.SendAsync(
            new(server.App.Address, "account"), Cancellation, ("act", "change-password"), ("old", ""),
            ("password", "correct horse battery staple"), ("again", "correct horse battery staple"));
        Assert.Equal(400, refused);
        using var program = await server.Http.GetAsync("account", Cancellation);
        Assert.Equal(403, (int)program.StatusCode);
        using var stranger = new Browser();
        Assert.Equal(302, (await stranger.OpenAsync(new(server.App.Address, "account"), Cancellation)).Status);
    }

    static async Task<IReadOnlyList<AuditEntry>> AuditAsync(InProcessServer server, string action, AuditOutcome outcome) =>
        await server.App.Services.GetRequiredService<AuditLog>().ListAsync(new(Action: action, Outcome: outcome), 100, Cancellation);

    static Task<InProcessServer> StartAsync() => InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
}
