using System.Security.Cryptography;
using System.Text;

using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;
using Whistle.State.Health;

using Xunit;

namespace Whistle.AcceptanceTests.Audits;

public sealed class SqliteAuditTests : AuditTests
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-audit-").FullName;

    protected override StateDatabase Open() => new(Path.Combine(_folder, "state.sqlite"));

    protected override string[] Unguard => ["DROP TRIGGER audit_unchanged", "DROP TRIGGER audit_undeleted"];

    protected override ValueTask DropAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    // What only SQLite can hold: a text that is not one, or goes on behind its end.
    [Theory]
    [InlineData("UPDATE audit SET actor = CAST(actor AS BLOB) WHERE number = 2")]
    [InlineData("UPDATE audit SET actor = actor || char(0) || 'x' WHERE number = 2")]
    [InlineData("UPDATE audit SET actor = CAST(CAST(actor AS BLOB) || x'FF' AS TEXT) WHERE number = 2")]
    [InlineData("UPDATE audit SET at = at + 0.5 WHERE number = 2")]
    [InlineData("UPDATE audit SET at = 9000000000000000000 WHERE number = 2")]
    public async Task What_reads_alike_and_is_not_is_found(string harm)
    {
        await FillAsync(3);
        await HarmAsync(harm);
        Assert.Equal(2, (await VerifyAsync()).Fault?.Number);
    }
}

public sealed class PostgreSqlAuditTests(PostgreSqlServer server) : AuditTests, IClassFixture<PostgreSqlServer>
{
    string _connectionString = "";

    protected override async ValueTask PrepareAsync() => _connectionString = await server.NewDatabaseAsync(Cancellation);

    protected override StateDatabase Open() => StateDatabase.PostgreSql(_connectionString);

    protected override string[] Unguard => ["DROP TRIGGER audit_kept ON audit"];

    [Fact]
    public async Task The_table_is_not_emptied_either()
    {
        await FillAsync(2);
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => HarmAsync(isOwner: false, "TRUNCATE audit"));
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Fact]
    public async Task Processes_that_append_at_once_leave_one_chain_and_do_not_wait_for_one_another_for_ever()
    {
        const int each = 20;
        StateScope[][] scopes =
        [
            [StateScope.Of("a"), StateScope.Of("b")], [StateScope.Of("b")], [StateScope.Everything], [StateScope.Rows],
            [StateScope.Of("a").Shared(), StateScope.Of("c")],
        ];
        using var other = Open();
        AuditLog[] processes = [Log, new(other, Time)];
        StateDatabase[] states = [State, other];
        foreach (var state in states)
            await ExecuteAsync(state, "CREATE TABLE IF NOT EXISTS deeds (name TEXT NOT NULL)");

        await Task.WhenAll(processes.SelectMany((log, p) => scopes.Select((scope, s) => Task.Run(async () =>
        {
            for (var i = 0; i < each; i++)
            {
                await log.RecordAsync(
                    Act($"p{p}-{s}"), () => ChangeAsync(states[p], $"p{p}-{s}-{i}", scope));
                await log.AppendAsync(Record($"alone-{p}-{s}"), Cancellation);
            }
        }))));

        var entries = await AllAsync();
        Assert.Equal(processes.Length * scopes.Length * each * 2, entries.Count);
        AssertChain(entries);
        Assert.Null((await VerifyAsync()).Fault);
        Assert.Equal(processes.Length * scopes.Length * each, await CountAsync("deeds"));
    }
}

/// <summary>
/// The audit on either engine. What is a hash here is computed by code of the test's own, from what docs/audit.md says.
/// </summary>
public abstract partial class AuditTests : IAsyncLifetime
{
    protected static readonly string[] Texts =
    [
        "actor", "identity", "source", "action", "tenant", "cluster", "subject", "details", "outcome", "reason", "previous", "hash",
    ];

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected StateDatabase State { get; private set; } = null!;

    private protected AuditLog Log { get; private set; } = null!;

    private protected FakeTimeProvider Time { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, 123, TimeSpan.Zero));

    private protected HealthBoard Health { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        await PrepareAsync();
        State = Open();
        Health = new(Time);
        Log = new AuditLog(State, Time, Health);
    }

    public async ValueTask DisposeAsync()
    {
        State?.Dispose();
        await DropAsync();
        GC.SuppressFinalize(this);
    }

    protected virtual ValueTask PrepareAsync() => ValueTask.CompletedTask;

    protected abstract StateDatabase Open();

    /// <summary>What the owner of the database does first, to change what is not to be changed.</summary>
    protected abstract string[] Unguard { get; }

    protected virtual ValueTask DropAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Entries_are_numbered_without_gaps_and_chained_by_hashes()
    {
        await FillAsync(4);
        var entries = await AllAsync();

        AssertChain(entries);
        Assert.Equal(4, entries.Count);
        var check = await VerifyAsync();
        Assert.Equal((4, null, new AuditHead(4, entries[3].Hash)), (check.Entries, check.Fault, check.Head));
        Assert.Null((await Log.VerifyAsync(new(2, entries[1].Hash), Cancellation)).Fault);
        Assert.Equal(2, (await Log.VerifyAsync(new(2, entries[2].Hash), Cancellation)).Fault?.Number);
        Assert.Equal(5, (await Log.VerifyAsync(new(9, entries[2].Hash), Cancellation)).Fault?.Number);
    }

    [Fact]
    public async Task What_cannot_be_kept_as_it_is_is_written_so_that_it_can()
    {
        var long_ = new string('x', 100_000);
        await Log.AppendAsync(
            new(new($"a\0\ud800\ufffdé", "i", "f"), "act", AccessScope.Of("t"), "", $$"""{"note":"{{long_}}"}""") { Reason = long_ },
            Cancellation);

        var entry = Assert.Single(await AllAsync());
        Assert.Equal("a???é", entry.What.Actor.Name);
        Assert.InRange(entry.What.Details.Length + entry.What.Reason.Length, 2, 20_000);
        System.Text.Json.JsonDocument.Parse(entry.What.Details);
        AssertChain([entry]);
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Fact]
    public async Task Any_character_of_any_column_that_is_changed_is_found()
    {
        await FillAsync(3);
        await HarmAsync();
        for (var number = 1; number <= 3; number++)
        {
            foreach (var column in Texts)
            {
                var was = await TextAsync(column, number);
                foreach (var text in Changed(was))
                {
                    await SetAsync(column, number, text);
                    Assert.True(
                        (await VerifyAsync()).Fault?.Number == number, $"{column} of {number}: \"{was}\" became \"{text}\" unseen.");
                }

                await SetAsync(column, number, was);
            }

            foreach (var by in new[] { 1, -1, 1000 })
            {
                await HarmAsync($"UPDATE audit SET at = at + {by} WHERE number = {number}");
                Assert.Equal(number, (await VerifyAsync()).Fault?.Number);
                await HarmAsync($"UPDATE audit SET at = at - {by} WHERE number = {number}");
            }

            await HarmAsync($"UPDATE audit SET number = 100 WHERE number = {number}");
            Assert.Equal(number, (await VerifyAsync()).Fault?.Number);
            await HarmAsync($"UPDATE audit SET number = {number} WHERE number = 100");
            Assert.Null((await VerifyAsync()).Fault);
        }

        static IEnumerable<string> Changed(string text)
        {
            yield return $"{text}x";
            if (text.Length == 0)
                yield break;
            yield return "";
            yield return text[1..];
            for (var i = 0; i < text.Length; i++)
                yield return $"{text[..i]}{(char)(text[i] ^ 1)}{text[(i + 1)..]}";
        }
    }

    [Theory]
    [InlineData("DELETE FROM audit WHERE number = 1", 1)]
    [InlineData("DELETE FROM audit WHERE number = 3", 3)]
    [InlineData("DELETE FROM audit WHERE number = 5", 5)]
    [InlineData("DELETE FROM audit WHERE number >= 4", 4)]
    [InlineData("DELETE FROM audit", 1)]
    [InlineData("DELETE FROM audit_head", 6)]
    [InlineData("UPDATE audit_head SET number = number - 1", 5)]
    [InlineData("UPDATE audit_head SET number = number + 1", 6)]
    [InlineData("UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE number = 4)", 5)]
    [InlineData("UPDATE audit_head SET hash = ''", 6)]
    [InlineData("UPDATE audit SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3)", -3)]
    [InlineData(Copy + "6, " + Rest, 6)]
    [InlineData(Copy + "0, " + Rest, 0)]
    [InlineData(Copy + "-7, " + Rest, -7)]
    [InlineData("UPDATE audit SET tenant = cluster, cluster = tenant WHERE number = 2", 2)]
    [InlineData("UPDATE audit SET subject = 'x' WHERE number = 2", 2)]
    [InlineData("UPDATE audit SET tenant = '' WHERE number = 2", 2)]
    public async Task What_is_deleted_cut_off_or_inserted_is_found(string harm, long first)
    {
        await FillAsync(5);
        Assert.Null((await VerifyAsync()).Fault);
        await HarmAsync(harm);

        Assert.Equal(first, (await VerifyAsync()).Fault?.Number);
    }

    const string Copy =
        "INSERT INTO audit (number, at, actor, identity, source, action, tenant, cluster, subject, details, outcome, reason, previous, "
        + "hash) SELECT ";

    const string Rest = "at, actor, identity, source, action, tenant, cluster, subject, details, outcome, reason, previous, hash "
        + "FROM audit WHERE number = 3";

    [Fact]
    public async Task Two_entries_that_change_places_are_found()
    {
        await FillAsync(5);
        await HarmAsync(
            "UPDATE audit SET number = -2 WHERE number = 2", "UPDATE audit SET number = 2 WHERE number = 3",
            "UPDATE audit SET number = 3 WHERE number = -2");
        Assert.Equal(2, (await VerifyAsync()).Fault?.Number);
    }

    [Fact]
    public async Task A_chain_that_is_rewritten_from_an_entry_on_is_found_by_a_head_that_was_kept()
    {
        await FillAsync(5);
        var kept = (await VerifyAsync()).Head;
        await HarmAsync("UPDATE audit SET subject = 'forged' WHERE number = 3");
        // As somebody would who owns the database, and has read how it is hashed.
        var previous = (await AllAsync())[1].Hash;
        foreach (var entry in (await AllAsync()).Skip(2))
        {
            var forged = Hash(entry with { Previous = previous });
            await HarmAsync($"UPDATE audit SET previous = '{previous}', hash = '{forged}' WHERE number = {entry.Number}");
            previous = forged;
        }

        await HarmAsync($"UPDATE audit_head SET hash = '{previous}'");
        Assert.Null((await VerifyAsync()).Fault);
        Assert.Equal(5, (await Log.VerifyAsync(kept, Cancellation)).Fault?.Number);
    }

    [Theory]
    [InlineData("UPDATE audit SET actor = 'eve'")]
    [InlineData("DELETE FROM audit WHERE number = 1")]
    public async Task The_database_itself_refuses_to_change_or_delete_an_entry(string harm)
    {
        await FillAsync(2);
        var error = await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => HarmAsync(isOwner: false, harm));
        Assert.Contains("only added to", error.Message, StringComparison.Ordinal);
        Assert.Null((await VerifyAsync()).Fault);
    }

    [Theory]
    [InlineData("DELETE FROM audit_head")]
    [InlineData("UPDATE audit_head SET hash = 'none', number = -7")]
    [InlineData("DELETE FROM audit WHERE number >= 4")]
    [InlineData("DELETE FROM audit")]
    [InlineData("UPDATE audit SET actor = 'eve'")]
    [InlineData(Copy + "6, " + Rest)]
    [InlineData("UPDATE audit SET number = 4611686018427387905 WHERE number = 5")]
    public async Task A_damaged_log_keeps_nobody_from_acting_and_stays_damaged(string harm)
    {
        await FillAsync(5);
        await HarmAsync(harm);
        await ExecuteAsync(State, "CREATE TABLE deeds (name TEXT NOT NULL)");

        for (var i = 0; i < 3; i++)
            await Log.RecordAsync(Act("go-on"), () => ChangeAsync(State, $"{i}", [StateScope.Rows]));
        Assert.Equal(3, await CountAsync("deeds"));
        Assert.Equal(3, (await Log.ListAsync(new(Action: "go-on"), 10, Cancellation)).Count);

        // A head that is lost is not made up: the log says for ever that it was.
        var lost = (await Log.ListAsync(new(Action: "note-lost-head"), 10, Cancellation)).Count;
        Assert.Equal(harm.Contains("audit_head", StringComparison.Ordinal) ? 1 : 0, lost);
        Assert.True((await VerifyAsync()).Fault is not null || lost == 1);

        var watch = new AuditWatch(Log, Health, Time, Microsoft.Extensions.Logging.Abstractions.NullLogger<AuditWatch>.Instance);
        await watch.VerifyAsync(Cancellation);
        Assert.Equal(lost == 0, Health.Problems().Any(p => p is { Component: "audit", State: HealthState.Degraded }));
    }

    private protected async Task FillAsync(int count)
    {
        for (var i = 1; i <= count; i++)
        {
            Time.Advance(TimeSpan.FromMilliseconds(1));
            await Log.AppendAsync(Record($"act-{i}"), Cancellation);
        }
    }

    private protected Task<AuditCheck> VerifyAsync() => Log.VerifyAsync(null, Cancellation);

    private protected static AuditRecord Record(string action) => new(
        new("ann", "person:7", "192.0.2.1"), action, AccessScope.Of(new ClusterId("acme", "prod")), "run-1", """{"note":"é"}""")
    { Outcome = AuditOutcome.Refused, Reason = "so" };

    private protected static AuditAct Act(string action) => new(new("ann", "person:7", "192.0.2.1"), action);

    private protected async Task<List<AuditEntry>> AllAsync()
    {
        List<AuditEntry> all = [];
        await foreach (var entry in Log.ExportAsync(new(), Cancellation))
            all.Add(entry);
        return all;
    }

    private protected static void AssertChain(IReadOnlyList<AuditEntry> entries)
    {
        var previous = new string('0', 64);
        for (var i = 0; i < entries.Count; i++)
        {
            Assert.Equal((i + 1, previous, Hash(entries[i])), (entries[i].Number, entries[i].Previous, entries[i].Hash));
            previous = entries[i].Hash;
        }
    }

    static string Hash(AuditEntry e)
    {
        string[] fields =
        [
            $"{e.Number}", $"{e.At.UtcDateTime:yyyy-MM-ddTHH:mm:ss.fff}Z", e.What.Actor.Name, e.What.Actor.Identity, e.What.Actor.From,
            e.What.Action, e.What.Scope.Tenant ?? "", e.What.Scope.Cluster ?? "", e.What.Subject, e.What.Details,
            $"{e.What.Outcome}".ToLowerInvariant(), e.What.Reason, e.Previous,
        ];
        var text = string.Concat(fields.Select(f => $"{Encoding.UTF8.GetByteCount(f)}:{f},"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    protected Task HarmAsync(params string[] harm) => HarmAsync(isOwner: true, harm);

    private protected async Task HarmAsync(bool isOwner, params string[] harm)
    {
        if (isOwner && !_isUnguarded)
        {
            foreach (var statement in Unguard)
                await ExecuteAsync(State, statement);
            _isUnguarded = true;
        }

        foreach (var statement in harm)
            await ExecuteAsync(State, statement);
    }

    bool _isUnguarded;

    private protected static async Task ExecuteAsync(StateDatabase state, string sql)
    {
        await using var connection = await state.OpenAsync(Cancellation);
        await connection.ExecuteAsync(sql, Cancellation);
    }

    private protected static async Task<bool> ChangeAsync(StateDatabase state, string name, StateScope[] scopes)
    {
        await using var connection = await state.OpenAsync(Cancellation);
        await using var transaction = await connection.BeginWriteAsync(scopes, Cancellation);
        await connection.ExecuteAsync("INSERT INTO deeds (name) VALUES ($name)", Cancellation, ("$name", name));
        await transaction.CommitAsync(Cancellation);
        return true;
    }

    private protected async Task<long> CountAsync(string table)
    {
        await using var connection = await State.OpenAsync(Cancellation);
        return (await connection.QueryAsync($"SELECT count(*) FROM {table}", r => r.GetInt64(0), Cancellation)).Single();
    }

    async Task<string> TextAsync(string column, long number)
    {
        await using var connection = await State.OpenAsync(Cancellation);
        return (await connection.QueryAsync(
            $"SELECT {column} FROM audit WHERE number = $number", r => r.GetString(0), Cancellation, ("$number", number))).Single();
    }

    async Task SetAsync(string column, long number, string text)
    {
        await using var connection = await State.OpenAsync(Cancellation);
        await connection.ExecuteAsync(
            $"UPDATE audit SET {column} = $text WHERE number = $number", Cancellation, ("$text", text), ("$number", number));
    }
}
