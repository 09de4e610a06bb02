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

    protected override async ValueTask PrepareAsync(CancellationToken cancellation) => _connectionString = await server.NewDatabaseAsync(cancellation);

    protected override StateDatabase Open() => StateDatabase.PostgreSql(_connectionString);

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
