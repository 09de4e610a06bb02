using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests.Audits;

public abstract partial class AuditTests
{
    [Fact]
    public async Task An_act_and_its_entry_are_committed_together()
    {
        await DeedsAsync();
        Assert.True(await Log.RecordAsync(Act("do"), async () =>
        {
            await ChangeAsync(State, "first", [StateScope.Rows]);
            Assert.Equal("do", Assert.Single(await AllAsync()).What.Action);
            // A single statement, and a second commit, which brings no second entry.
            await ExecuteAsync(State, "INSERT INTO deeds (name) VALUES ('second')");
            return true;
        }));
        Assert.Single(await AllAsync());

        await Log.RecordAsync(Act("do-by-statement"), async () =>
        {
            await ExecuteAsync(State, "INSERT INTO deeds (name) VALUES ('third')");
            Assert.Equal(2, (await AllAsync()).Count);
            return true;
        });
        await Log.RecordAsync(Act("do-and-answer"), async () =>
        {
            await using var connection = await State.OpenAsync(Cancellation);
            await using var transaction = await connection.BeginWriteAsync(Cancellation);
            await connection.QueryAsync("INSERT INTO deeds (name) VALUES ('fourth') RETURNING name", r => r.GetString(0), Cancellation);
            await transaction.CommitAsync(Cancellation);
            Assert.Equal(3, (await AllAsync()).Count);
            return true;
        });
        // Nobody acts any more.
        await ExecuteAsync(State, "INSERT INTO deeds (name) VALUES ('fifth')");

        Assert.Equal(
            [("do", AuditOutcome.Done), ("do-by-statement", AuditOutcome.Done), ("do-and-answer", AuditOutcome.Done)],
            (await AllAsync()).Select(e => (e.What.Action, e.What.Outcome)));
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Fact]
    public async Task An_act_that_is_broken_off_before_its_commit_leaves_neither_change_nor_entry()
    {
        await DeedsAsync();
        State.Fault = moment => moment is StateMoment.BeforeCommit ? throw new IOException("broken off") : Task.CompletedTask;
        await Assert.ThrowsAsync<IOException>(() => Log.RecordAsync(Act("do"), async () =>
        {
            try
            {
                return await ChangeAsync(State, "one", [StateScope.Rows]);
            }
            finally
            {
                State.Fault = null;
            }
        }));

        Assert.Equal(0, await CountAsync("deeds"));
        var entry = Assert.Single(await AllAsync());
        Assert.Equal((AuditOutcome.Failed, "broken off"), (entry.What.Outcome, entry.What.Reason));
    }

    [Fact]
    public async Task A_process_that_ends_right_after_the_commit_leaves_both()
    {
        await DeedsAsync();
        State.Fault = moment => moment is StateMoment.AfterCommit ? throw new IOException("the process ends") : Task.CompletedTask;
        var act = Task.Run(() => Log.RecordAsync(Act("do"), () => ChangeAsync(State, "one", [StateScope.Rows])), Cancellation);
        await Assert.ThrowsAsync<IOException>(() => act);
        State.Fault = null;

        Assert.Equal(1, await CountAsync("deeds"));
        Assert.Equal(AuditOutcome.Done, (await AllAsync())[0].What.Outcome);
    }

    [Fact]
    public async Task An_act_whose_entry_cannot_be_written_does_not_happen()
    {
        await DeedsAsync();
        await HarmAsync("ALTER TABLE audit RENAME TO audit_gone");
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(
            () => Log.RecordAsync(Act("do"), () => ChangeAsync(State, "one", [StateScope.Rows])));
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => Log.RecordAsync(Act("do-outside"), async () =>
        {
            await AuditAct.Current!.WriteAsync(Cancellation);
            Assert.Fail("It was done without an entry.");
            return true;
        }));
        Assert.Contains(Health.Problems(), p => p is { Component: "audit", Subject: "append" });
        Assert.Equal(0, await CountAsync("deeds"));

        await HarmAsync("ALTER TABLE audit_gone RENAME TO audit");
        await Log.RecordAsync(Act("do"), () => ChangeAsync(State, "one", [StateScope.Rows]));
        await Log.AppendAsync(Record("other"), Cancellation);
        Assert.DoesNotContain(Health.Problems(), p => p is { Component: "audit", Subject: "append" });
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Fact]
    public async Task What_was_refused_failed_or_changed_nothing_has_an_entry_of_its_own()
    {
        await DeedsAsync();
        await Log.RecordAsync(Act("nothing-to-do"), () => Task.FromResult(1));
        await Log.RecordAsync(Act("no-row"), async () =>
        {
            await ExecuteAsync(State, "DELETE FROM deeds WHERE name = 'none'");
            return 1;
        }, result => "there is none");
        await Assert.ThrowsAsync<InvalidOperationException>(
            () => Log.RecordAsync<int>(Act("throw"), () => throw new InvalidOperationException("no")));
        await Assert.ThrowsAsync<DivideByZeroException>(() => Log.RecordAsync(Act("half"), async () =>
        {
            await ChangeAsync(State, "half", [StateScope.Rows]);
            return 1 / int.Parse("0");
        }));
        await Log.RecordAsync(Act("wrong-password"), async () =>
        {
            AuditAct.Current!.Refuse("The password is wrong.");
            // What is counted of it is no part of the act.
            return await ChangeAsync(State, "count", [StateScope.Rows]);
        });
        await Log.RecordAsync(Act("outside"), async () =>
        {
            await AuditAct.Current!.WriteAsync(Cancellation);
            Assert.Equal("outside", (await AllAsync())[^1].What.Action);
            return await ChangeAsync(State, "later", [StateScope.Rows]);
        });

        Assert.Equal(
            [
                ("nothing-to-do", AuditOutcome.Done, ""), ("no-row", AuditOutcome.Refused, "there is none"),
                ("throw", AuditOutcome.Failed, "no"), ("half", AuditOutcome.Done, ""),
                ("half", AuditOutcome.Failed, "Attempted to divide by zero."),
                ("wrong-password", AuditOutcome.Refused, "The password is wrong."), ("outside", AuditOutcome.Done, ""),
            ],
            (await AllAsync()).Select(e => (e.What.Action, e.What.Outcome, e.What.Reason)));
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Fact]
    public async Task What_goes_on_behind_an_act_takes_no_entry_along()
    {
        await DeedsAsync();
        var ended = new TaskCompletionSource();
        Task? behind = null;
        await Log.RecordAsync(Act("begin"), () =>
        {
            behind = Task.Run(async () =>
            {
                await ended.Task;
                await ChangeAsync(State, "behind", [StateScope.Rows]);
            });
            return Task.FromResult(1);
        });
        ended.SetResult();
        await behind!;

        Assert.Single(await AllAsync());
    }

    [Fact]
    public async Task A_flood_of_refusals_is_a_few_entries_that_say_how_many_there_were()
    {
        foreach (var from in new[] { "192.0.2.1", "192.0.2.2" })
        {
            for (var i = 0; i < 5_000; i++)
                await Log.RefuseAsync(Record("log-in") with { Actor = new("", "", from) });
        }

        Assert.Equal(2, (await AllAsync()).Count);
        Time.Advance(TimeSpan.FromMinutes(1));
        await Log.FlushRefusalsAsync(all: false);
        await Log.FlushRefusalsAsync(all: false);
        var entries = await AllAsync();
        Assert.Equal(["""{"more":4999}""", """{"more":4999}"""], entries.Skip(2).Select(e => e.What.Details));
        Assert.Equal(["192.0.2.1", "192.0.2.2"], entries.Skip(2).Select(e => e.What.Actor.From).Order());

        // From as many addresses as somebody likes.
        for (var i = 0; i < 10_000; i++)
            await Log.RefuseAsync(Record("log-in") with { Actor = new("", "", $"2001:db8:0:{i:x}::1"), Subject = "" });
        await Log.FlushRefusalsAsync(all: true);
        entries = [.. (await AllAsync()).Skip(4)];
        Assert.InRange(entries.Count, 2, 100);
        Assert.Equal(10_000, entries.Sum(e => e.What.Details.Contains("more", StringComparison.Ordinal)
            ? int.Parse(e.What.Details.Split(':', '}')[1]) : 1));
    }

    [Fact]
    public async Task A_flood_from_strangers_makes_nobodys_refusal_nameless_and_has_an_end_each_day()
    {
        for (var minute = 0; minute < 100; minute++)
        {
            for (var i = 0; i < 100; i++)
                await Log.RefuseAsync(Record("log-in") with { Actor = new("", "", $"2001:db8:{minute:x}:{i:x}::1"), Subject = "" });
            Time.Advance(TimeSpan.FromMinutes(1));
        }

        await Log.FlushRefusalsAsync(all: true);
        // A day's, and two entries a minute: those who are not named, and how many more.
        Assert.InRange((await AllAsync()).Count, 2_000, 2_200);
        await Log.RefuseAsync(Record("grant") with { Actor = new("ann", "person:1", ""), Scope = AccessScope.Of("t") });
        await Log.RefuseAsync(Record("grant") with { Actor = new("ann", "person:1", ""), Scope = AccessScope.Of("u") });
        await Log.RefuseAsync(Record("grant") with { Actor = new("ann", "person:1", ""), Scope = AccessScope.Of("u") });
        Assert.Equal(["t", "u"], (await AllAsync()).Where(e => e.What.Actor.Name == "ann").Select(e => e.What.Scope.Tenant));
        // So are those who tried to be somebody who exists, each address and network once.
        foreach (var from in new[] { "2001:db8:ffff:1::1", "2001:db8:ffff:1::2", "192.0.2.7", "::ffff:192.0.2.7" })
            await Log.RefuseAsync(Record("log-in") with { Actor = new("", "", from), Subject = "bea" });
        Assert.Equal(
            ["2001:db8:ffff:1::1", "192.0.2.7"],
            (await AllAsync()).Where(e => e.What.Subject == "bea").Select(e => e.What.Actor.From));
        // The next day strangers are named again.
        Time.Advance(TimeSpan.FromDays(1));
        await Log.RefuseAsync(Record("log-in") with { Actor = new("", "", "192.0.2.9") });
        Assert.Equal("192.0.2.9", (await AllAsync())[^1].What.Actor.From);
    }

    [Fact]
    public async Task Reading_is_one_entry_an_hour_whichever_process_is_read_from()
    {
        using var other = State.IsPostgreSql ? Open() : null;
        var logs = new[] { Log, other is null ? Log : new AuditLog(other, Time) };
        var read = new AuditRecord(new("ann", "person:7", "192.0.2.1"), "read", AccessScope.Of("acme"), "list-runs");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => logs[i % 2].AppendOnceAsync(read, TimeSpan.FromHours(1))));
        Assert.Single(await AllAsync());

        Assert.True(await Log.AppendOnceAsync(read with { Scope = AccessScope.Of("other") }, TimeSpan.FromHours(1)));
        Assert.True(await Log.AppendOnceAsync(read with { Subject = "list-incidents" }, TimeSpan.FromHours(1)));
        Assert.True(await Log.AppendOnceAsync(read with { Actor = new("bob", "person:8", "") }, TimeSpan.FromHours(1)));
        Assert.Equal(4, (await AllAsync()).Count);
        Time.Advance(TimeSpan.FromHours(1));
        await Log.AppendOnceAsync(read, TimeSpan.FromHours(1));
        Assert.Equal(5, (await AllAsync()).Count);
    }

    [Fact]
    public async Task A_list_has_what_was_asked_for_and_only_what_may_be_read_there()
    {
        AccessScope[] scopes =
        [
            AccessScope.All, AccessScope.Of("acme"), AccessScope.Of(new ClusterId("acme", "prod")),
            AccessScope.Of(new ClusterId("acme", "dev")), AccessScope.Of("other"), AccessScope.Of(new ClusterId("other", "prod")),
        ];
        foreach (var scope in scopes)
        {
            await Log.AppendAsync(new(new("ann", "person:7", ""), "set-mode", scope), Cancellation);
            Time.Advance(TimeSpan.FromHours(1));
            await Log.AppendAsync(new(new("bob", "person:8", ""), "approve-run", scope) { Outcome = AuditOutcome.Refused }, Cancellation);
        }

        Assert.Equal(12, await CountOfAsync(new()));
        Assert.Equal(6, await CountOfAsync(new(Actor: "ann")));
        Assert.Equal(6, await CountOfAsync(new(Actor: "person:8")));
        Assert.Equal(6, await CountOfAsync(new(Action: "set-mode")));
        Assert.Equal(6, await CountOfAsync(new(Action: "set*")));
        Assert.Equal(0, await CountOfAsync(new(Action: "et*")));
        Assert.Equal(12, await CountOfAsync(new(Action: "*")));
        Assert.Equal((12, 6), (await CountOfAsync(new(Actor: "person*")), await CountOfAsync(new(Actor: "a*"))));
        Assert.Equal(6, await CountOfAsync(new(Outcome: AuditOutcome.Refused)));
        Assert.Equal(0, await CountOfAsync(new(Actor: "ann", Outcome: AuditOutcome.Refused)));
        Assert.Equal(3, await CountOfAsync(new(Since: Time.GetUtcNow().AddHours(-1))));
        Assert.Equal(6, await CountOfAsync(new(Scopes: [AccessScope.Of("acme")])));
        Assert.Equal(2, await CountOfAsync(new(Scopes: [AccessScope.Of(new ClusterId("acme", "prod"))])));
        Assert.Equal(6, await CountOfAsync(new(Scopes: [AccessScope.Of(new ClusterId("acme", "dev")), AccessScope.Of("other")])));
        Assert.Equal(12, await CountOfAsync(new(Scopes: [AccessScope.Of("acme"), AccessScope.All])));
        Assert.Equal(0, await CountOfAsync(new(Scopes: [])));
        Assert.Equal([12, 11, 10], (await Log.ListAsync(new(), 3, Cancellation)).Select(e => e.Number));
        Assert.Equal([9, 8, 7], (await Log.ListAsync(new(Before: 10), 3, Cancellation)).Select(e => e.Number));

        async Task<int> CountOfAsync(AuditFilter filter)
        {
            List<AuditEntry> exported = [];
            await foreach (var entry in Log.ExportAsync(filter, Cancellation))
                exported.Add(entry);
            var listed = await Log.ListAsync(filter, 100, Cancellation);
            Assert.Equal(listed.Select(e => e.Number).Reverse(), exported.Select(e => e.Number));
            return listed.Count;
        }
    }

    Task DeedsAsync() => ExecuteAsync(State, "CREATE TABLE deeds (name TEXT NOT NULL)");
}
