using Whistle.Data;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Runs;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class SqliteStoreTests : SealedStoreTests
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-stores-").FullName;

    protected override StateDatabase Open() => new(Path.Combine(_folder, "state.sqlite"));

    protected override ValueTask DropAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}

public sealed class InMemoryStoreTests : StoreTests
{
    protected override StateDatabase Open() => StateDatabase.InMemory();

    protected override StateDatabase Again() => Database;
}

public sealed class PostgreSqlTests(PostgreSqlServer server) : SealedStoreTests, IClassFixture<PostgreSqlServer>
{
    string _connectionString = "";

    protected override async ValueTask PrepareAsync(CancellationToken cancellation) =>
        _connectionString = await server.NewDatabaseAsync(cancellation);

    protected override StateDatabase Open() => StateDatabase.PostgreSql(_connectionString);

    [Fact]
    public async Task An_offer_of_one_process_is_heard_by_another()
    {
        var stores = await StoresAsync();
        using var other = Open();
        var (heard, listens) = (new TaskCompletionSource<string>(), new TaskCompletionSource());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var hears = other.ListenAsync(CommandBell.Channel, heard.SetResult, _ => listens.TrySetResult(), TimeProvider.System, stop.Token);
        await listens.Task.WaitAsync(Cancellation);

        Assert.Equal(1, await OwnAsync("a", Now));
        var decision = new RunDecision(Proposed with { State = RunState.Running, Issued = 1 }, []) { Offer = Offer };
        Assert.True(await stores.Runs.ApplyAsync(decision, "a", 1, Now, Cancellation));

        Assert.Equal($"{Offer.Tenant}\n{Offer.Cluster}\n{Offer.Node}", await heard.Task.WaitAsync(Cancellation));
        await stop.CancelAsync();
        await hears;
    }

    [Fact]
    public async Task A_poll_is_woken_by_what_another_process_tells()
    {
        var bell = new CommandBell();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var hears = bell.ListenAsync(Database, TimeProvider.System, stop.Token);
        var woken = bell.Next(new Sender(Offer.NodeId));
        await using (var connection = await Database.OpenAsync(Cancellation))
        {
            // What is said before the other listens is lost, which costs a look of its own.
            while (!woken.IsCompleted)
            {
                Cancellation.ThrowIfCancellationRequested();
                await CommandBell.RingOthersAsync(connection, Offer, Cancellation);
            }
        }

        Assert.Equal(TimeSpan.FromSeconds(30), bell.LookAgain);
        await stop.CancelAsync();
        await hears;
    }

    [Theory]
    [InlineData("Whistle")]
    [InlineData("whistle-prod")]
    [InlineData("select \"x\"")]
    public async Task Its_tables_may_be_in_a_schema_of_any_name(string schema)
    {
        var quoted = $"\"{schema.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
        await using (var connection = await Database.OpenAsync(Cancellation))
            await connection.RunScriptAsync($"CREATE SCHEMA {quoted}", Cancellation);
        using var state = StateDatabase.PostgreSql($"{_connectionString};Search Path='{quoted}'");
        await state.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        await state.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        await using (var connection = await state.OpenAsync(Cancellation))
            await connection.RunScriptAsync("DROP TABLE kill_switch", Cancellation);

        var error = await Assert.ThrowsAsync<StateException>(
            () => state.UpgradeAsync(StateStages.All, _ => { }, Cancellation));
        Assert.Contains("the table kill_switch is missing", error.Message, StringComparison.Ordinal);
    }
}
