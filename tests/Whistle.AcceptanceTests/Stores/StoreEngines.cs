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
    public void Its_tables_may_be_in_a_schema_of_any_name(string schema)
    {
        var quoted = $"\"{schema.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
        using (var connection = Database.Open())
            connection.Script($"CREATE SCHEMA {quoted}");
        using var state = StateDatabase.PostgreSql($"{_connectionString};Search Path='{quoted}'");
        state.Upgrade(StateStages.All, _ => { });
        state.Upgrade(StateStages.All, _ => { });
        using (var connection = state.Open())
            connection.Script("DROP TABLE kill_switch");

        Assert.Contains("the table kill_switch is missing", Assert.Throws<StateException>(() => state.Upgrade(StateStages.All, _ => { })).Message, StringComparison.Ordinal);
    }
}
