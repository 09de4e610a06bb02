using System.Text.RegularExpressions;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Log-in by password over HTTP, as a browser does it.</summary>
public sealed class LogInTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_is_invited_chooses_a_password_and_logs_in_with_it_and_the_link_works_once()
    {
        await using var server = await StartAsync();
        var token = await Account.InviteAsync(server, null);
        var link = new Uri(server.App.Address, $"invitation?token={token}");
        using var browser = new Browser();
        var (status, page, headers) = await browser.OpenAsync(link, Cancellation);
        Assert.Equal(200, status);
        Assert.Contains("operator invites you", page, StringComparison.Ordinal);
        Assert.Equal("strict-origin", Assert.Single(headers.GetValues("Referrer-Policy")));
        Assert.True(headers.CacheControl!.NoStore);

        var form = new Uri(server.App.Address, "invitation");
        foreach (var (name, password, again, reason) in new[]
        {
            ("no name", "correct horse battery staple", "correct horse battery staple", "is not a user name"),
            ("ann", "short", "short", "at least 12"), ("ann", "correct horse battery staple", "correct horse", "differ"),
            ("annika", "the cat of Annika sleeps", "the cat of Annika sleeps", "contains your name"),
        })
        {
            var (refused, text, _) = await browser.SendAsync(
                form, Cancellation, ("token", token), ("name", name), ("password", password), ("again", again));
            Assert.Equal(400, refused);
            Assert.Contains(reason, text, StringComparison.Ordinal);
            Assert.DoesNotContain(password, text, StringComparison.Ordinal);
        }

        var (done, _, _) = await browser.SendAsync(
            form, Cancellation, ("token", token), ("name", "ann"), ("password", "correct horse battery staple"),
            ("again", "correct horse battery staple"));
        Assert.Equal(200, done);
        Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        using var other = await new Account(server.App, "ann", "correct horse battery staple").LoggedInAsync();

        var used = await other.OpenAsync(link, Cancellation);
        var wrong = await other.OpenAsync(new Uri(server.App.Address, $"invitation?token={token[..^4]}AAAA"), Cancellation);
        var none = await other.OpenAsync(form, Cancellation);
        Assert.All([used, wrong, none], a => Assert.Equal((404, used.Text), (a.Status, a.Text)));
        Assert.Equal(404, (await other.SendAsync(form, Cancellation, ("token", token), ("name", "eve"))).Status);
        var audit = server.App.Services.GetRequiredService<AuditLog>();
        var accepted = Assert.Single(await audit.ListAsync(new(Action: "accept-invitation", Outcome: AuditOutcome.Done), 10, Cancellation));
        Assert.Equal("ann", accepted.What.Actor.Name);
        Assert.Equal(2, (await audit.ListAsync(new(Actor: "ann", Action: "log-in"), 10, Cancellation)).Count);
    }

    [Fact]
    public async Task A_reset_opens_the_account_again_and_ends_what_was_before()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var before = await ann.LoggedInAsync();
        var (token, _) = await server.App.Services.GetRequiredService<Invitations>().ResetAsync(
            server.App.Services.GetRequiredService<PeopleStore>(), new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything),
            "ann", Cancellation);
        Assert.False(await before.IsLoggedInAsync(server.App.Address, Cancellation));
        Assert.Equal(401, (await ann.LogInAsync(before)).Status);

        ann.Password = "nine quiet lamps on a boat";
        var (status, _, _) = await before.SendAsync(
            ann.At("invitation"), Cancellation, ("token", token!), ("name", "eve"), ("password", ann.Password), ("again", ann.Password));
        Assert.Equal(200, status);
        using var after = await ann.LoggedInAsync();
    }

    [Fact]
    public async Task Whatever_is_wrong_the_answer_and_its_time_are_the_same()
    {
        await using var server = await StartAsync();
        Dictionary<string, Account> all = [];
        foreach (var name in new[] { "wrong", "disabled", "locked", "reset" })
            all[name] = await Account.AddAsync(server, name);
        var people = server.App.Services.GetRequiredService<PeopleStore>();
        var local = new Actor(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything);
        await people.DisableAsync(local, "disabled", Cancellation);
        await server.App.Services.GetRequiredService<Invitations>().ResetAsync(people, local, "reset", Cancellation);
        await people.ComeInAsync(
            new("https://login.example.com", "1"), "outside", null, [new(Role.Viewer, AccessScope.All)], null, Cancellation);
        all["unknown"] = new(server.App, "unknown", "");
        all["outside"] = new(server.App, "outside", "");
        var logIns = server.App.Services.GetRequiredService<LogIns>();
        for (var i = 0; i < new LogInOptions().WrongBeforeLock; i++)
            await logIns.ByPasswordAsync("locked", "wrong", null, Cancellation);

        List<(string Name, int Status, string Text, double Took)> answers = [];
        foreach (var (name, account) in all)
        {
            using var browser = new Browser();
            var began = TimeProvider.System.GetTimestamp();
            // The right one of those who are disabled or locked out.
            var (status, text) = await account.LogInAsync(browser, name is "disabled" or "locked" ? null : "not the password of anybody");
            answers.Add((name, status, text.Replace(name, "NAME", StringComparison.Ordinal),
                TimeProvider.System.GetElapsedTime(began).TotalMilliseconds));
            Assert.False(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        }

        Assert.All(answers, a => Assert.Equal((401, answers[0].Text), (a.Status, a.Text)));
        Assert.All(answers, a => Assert.True(a.Took >= 490, $"{a.Name} was answered after {a.Took} ms"));
    }

    [Fact]
    public async Task With_an_authenticator_app_a_password_alone_does_not_log_in()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var first = await ann.LoggedInAsync();
        var codes = await ann.TurnOnAsync(first);
        Assert.Equal(RecoveryCodes.Count, codes.Count);

        using var browser = new Browser();
        var (status, page) = await ann.LogInAsync(browser);
        Assert.Equal(200, status);
        Assert.False(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        var step = Account.Value(page, "step");
        // The code that turned it on is used.
        foreach (var (code, expected) in new[] { (ann.UsedCode!, 401), ("", 401), (ann.Code(1), 200), (codes[0], 200), (codes[0], 401) })
            Assert.Equal(expected, await SecondAsync(code, step));
        Assert.Equal(401, await SecondAsync(codes[1], step[..^2]));
        Assert.Equal(401, await SecondAsync(codes[1], ""));

        async Task<int> SecondAsync(string code, string of)
        {
            using var other = new Browser();
            var (answered, _, _) = await other.SendAsync(ann.At("login"), Cancellation, ("step", of), ("code", code));
            Assert.Equal(answered == 200, await other.IsLoggedInAsync(server.App.Address, Cancellation));
            return answered;
        }
    }

    [Fact]
    public async Task The_second_step_may_take_five_minutes()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var server = await StartAsync(new() { Time = time });
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        var codes = await ann.TurnOnAsync(browser);
        var (late, inTime) = (await StepAsync(), await StepAsync());
        time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1));
        Assert.Equal(200, (await SecondAsync(inTime, codes[0])).Status);
        time.Advance(TimeSpan.FromSeconds(1));
        // A failure waits on the clock.
        var (status, text) = await time.UntilAsync(SecondAsync(late, codes[1]));
        Assert.Equal(401, status);
        Assert.Contains("took too long", text, StringComparison.Ordinal);

        async Task<string> StepAsync()
        {
            using var other = new Browser();
            return Account.Value((await ann.LogInAsync(other)).Text, "step");
        }

        async Task<(int Status, string Text)> SecondAsync(string step, string code)
        {
            using var other = new Browser();
            var (answered, page, _) = await other.SendAsync(ann.At("login"), Cancellation, ("step", step), ("code", code));
            return (answered, page);
        }
    }

    [Fact]
    public async Task A_flood_of_wrong_log_ins_is_turned_away_and_others_are_served()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var session = await ann.LoggedInAsync();
        using var flood = new Browser();
        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var (status, _, headers) = await flood.SendAsync(
                ann.At("login"), Cancellation, ("name", $"n{i % 7}"), ("password", "wrong wrong wrong"));
            Assert.Equal(status is 429 or 503, headers.RetryAfter is not null);
            return status;
        }));

        Assert.InRange(answers.Count(a => a == 401), 1, new LogInOptions().FailuresFromAddress);
        Assert.Equal([], answers.Distinct().Except([401, 429, 503]));
        Assert.True(await session.IsLoggedInAsync(server.App.Address, Cancellation));
        // A kind a minute and address, however many there were.
        Assert.InRange(
            (await server.App.Services.GetRequiredService<AuditLog>().ListAsync(
                new(Action: "log-in", Outcome: AuditOutcome.Refused), 100, Cancellation)).Count, 1, 5);
        Assert.InRange(
            (await server.App.Services.GetRequiredService<AuditLog>().ListAsync(
                new(Action: "log-in-limit", Outcome: AuditOutcome.Refused), 100, Cancellation)).Count, 1, 5);
    }

    [Fact]
    public async Task Tries_of_links_are_bounded_by_address_as_log_ins_are()
    {
        await using var server = await StartAsync(new() { FailuresFromAddress = 3 });
        var token = await Account.InviteAsync(server, null);
        using var browser = new Browser();
        var link = new Uri(server.App.Address, "invitation");
        // A link that works is no failure.
        for (var i = 0; i < 5; i++)
            Assert.Equal(200, (await browser.OpenAsync(new Uri(server.App.Address, $"invitation?token={token}"), Cancellation)).Status);
        Assert.Equal(404, (await browser.OpenAsync(link, Cancellation)).Status);
        Assert.Equal(404, (await browser.SendAsync(link, Cancellation, ("token", "x"), ("name", "eve"))).Status);
        Assert.Equal(401, (await browser.SendAsync(new(server.App.Address, "login"), Cancellation, ("name", "eve"))).Status);
        foreach (var (status, _, headers) in new[]
        {
            await browser.OpenAsync(link, Cancellation), await browser.SendAsync(link, Cancellation, ("token", token)),
        })
        {
            Assert.Equal(429, status);
            Assert.NotNull(headers.RetryAfter);
        }
    }

    [Fact]
    public async Task A_log_in_that_succeeds_is_no_failure_and_neither_is_its_first_step()
    {
        await using var server = await StartAsync(new() { FailuresFromAddress = 3 });
        var ann = await Account.AddAsync(server, "ann");
        using var first = await ann.LoggedInAsync();
        await ann.TurnOnAsync(first);
        var bob = await Account.AddAsync(server, "bob");
        for (var i = 0; i < 4; i++)
        {
            using var browser = new Browser();
            Assert.Equal(200, (await ann.LogInAsync(browser)).Status);
            Assert.Equal(200, (await bob.LogInAsync(browser)).Status);
        }

        for (var i = 0; i < 3; i++)
            Assert.Equal(401, (await bob.LogInAsync(first, "wrong wrong wrong")).Status);
        Assert.Equal(429, (await bob.LogInAsync(first)).Status);
    }

    [Fact]
    public async Task A_name_that_is_taken_is_said_before_a_password_is_hashed_and_counts_as_a_failure()
    {
        // One hash after the other, so that places stay taken.
        await using var server = await StartAsync(new() { FailuresFromAddress = 4, HashesAtOnce = 1, HashesWaiting = 80 });
        await Account.AddAsync(server, "ann");
        var token = await Account.InviteAsync(server, null);
        using var browser = new Browser();
        var from = System.Net.IPAddress.Parse("127.0.0.1");
        var passwords = server.App.Services.GetRequiredService<Passwords>();
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        // All but one of the address: whoever hashes takes the last.
        var held = Enumerable.Range(0, passwords.MostOfAddress - 1).Select(
            i => passwords.HashAsync("x", $"{i}", from, enough.Token)).ToList();
        for (var i = 0; i < 2; i++)
        {
            var (status, text) = await ChooseAsync("Ann");
            Assert.Equal(400, status);
            Assert.Contains("is taken", text, StringComparison.Ordinal);
        }

        var last = passwords.HashAsync("x", "last", from, enough.Token);
        // Nobody else finds a place, so it was free, and all were taken until now.
        Assert.Equal(503, (await ChooseAsync("bea")).Status);
        Assert.Equal(400, (await ChooseAsync("Ann")).Status);
        Assert.Equal(503, (await ChooseAsync("bea")).Status);
        await enough.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll([.. held, last]));
        Assert.Equal(400, (await ChooseAsync("Ann")).Status);
        Assert.Equal(429, (await ChooseAsync("bea")).Status);

        async Task<(int Status, string Text)> ChooseAsync(string name)
        {
            var (status, text, _) = await browser.SendAsync(
                new(server.App.Address, "invitation"), Cancellation, ("token", token), ("name", name),
                ("password", "correct horse battery staple"), ("again", "correct horse battery staple"));
            return (status, text);
        }
    }

    [Fact]
    public async Task Another_sites_page_logs_nobody_in()
    {
        await using var server = await StartAsync();
        var ann = await Account.AddAsync(server, "ann");
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, ann.At("login"))
        {
            Headers = { { "Origin", "https://evil.example.com" } },
            Content = new FormUrlEncodedContent([new("name", "ann"), new("password", ann.Password)]),
        };
        using var answer = await http.SendAsync(request, Cancellation);
        Assert.Equal(403, (int)answer.StatusCode);
    }

    [Fact]
    public async Task No_password_code_token_or_link_is_in_the_audit_or_the_log()
    {
        await using var server = await InProcessServer.StartAsync(
            Cancellation, change: o => o with { RunTimers = false, LeastLogged = LogLevel.Trace });
        var log = LogCapture.Of(server);
        var token = await Account.InviteAsync(server, "bob");
        var ann = await Account.AddAsync(server, "ann");
        using var browser = await ann.LoggedInAsync();
        var codes = await ann.TurnOnAsync(browser);
        List<string> secrets = [ann.Password, token, ann.Key!, .. codes, "typed into the wrong field", "wrong wrong wrong"];
        using var other = new Browser();
        await other.OpenAsync(ann.At($"invitation?token={token}"), Cancellation);
        var link = new Uri(server.App.LoginLink());
        using var operators = new Browser();
        await operators.OpenAsync(link, Cancellation);
        secrets.Add(link.Query.Split('=')[1]);
        secrets.AddRange(new[] { browser, operators }.SelectMany(b => b.Cookies.GetAllCookies()).Select(c => c.Value));
        await other.SendAsync(ann.At("invitation"), Cancellation, ("token", token), ("password", "short"), ("again", "short"));
        await other.SendAsync(ann.At("login"), Cancellation, ("name", "typed into the wrong field"), ("password", ann.Password));
        await ann.LogInAsync(other, "wrong wrong wrong");
        var step = Account.Value((await ann.LogInAsync(other)).Text, "step");
        secrets.Add(step);
        await other.SendAsync(ann.At("login"), Cancellation, ("step", step), ("code", codes[0]));
        var code = ann.Code(1);
        secrets.Add($"\"{code}\"");
        await ann.ActAsync(other, "turn-off-second-factor", ("old", "wrong wrong wrong"));
        ann.Password = "nine quiet lamps on a boat";
        secrets.Add(ann.Password);
        await ann.ActAsync(
            browser, "change-password", ("old", secrets[0]), ("password", ann.Password), ("again", ann.Password), ("proof", codes[1]));
        // So that something is logged at all.
        (await server.Http.PostAsync("-/reload", null, Cancellation)).Dispose();
        var audit = server.App.Services.GetRequiredService<AuditLog>();
        await audit.FlushRefusalsAsync(all: true);

        var written = string.Join('\n', (await audit.ListAsync(new(), 1000, Cancellation)).SelectMany(e => e.Fields.Select(f => f.Value)));
        Assert.Contains("change-password", written, StringComparison.Ordinal);
        Assert.Contains("turn-on-second-factor", written, StringComparison.Ordinal);
        Assert.All(secrets, s => Assert.DoesNotContain(s, written, StringComparison.Ordinal));
        var logged = string.Join('\n', log.Lines.Select(l => l.Text));
        Assert.Contains("Loaded", logged, StringComparison.Ordinal);
        Assert.All(secrets, s => Assert.DoesNotContain(s.Trim('"'), logged, StringComparison.Ordinal));
        Assert.DoesNotMatch(new Regex("ws[a-z]_[A-Za-z0-9_-]{20}"), written);
    }

    static Task<InProcessServer> StartAsync(LogInOptions? limits = null) => InProcessServer.StartAsync(
        Cancellation, change: o => o with { RunTimers = false, LogIn = limits ?? o.LogIn });
}
