using Npgsql;

using Whistle.Data;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests.Stores;

/// <summary>Two processes want to do the same, and one of them may.</summary>
public sealed class StateLeaseTests(PostgreSqlServer server) : IClassFixture<PostgreSqlServer>
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_has_it_until_it_is_given_away_or_ends_and_who_lost_it_writes_nothing()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        using var state = StateDatabase.PostgreSql(database);
        using var otherState = StateDatabase.PostgreSql(database);
        await state.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        await otherState.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        var first = new StateLeases(state, "first", TimeProvider.System).Of("pages");
        var second = new StateLeases(otherState, "second", TimeProvider.System).Of("pages");

        Assert.True(await first.RunAsync(() => WriteAsync(state, "a"), Cancellation));
        Assert.False(await second.RunAsync(() => WriteAsync(otherState, "b"), Cancellation));
        Assert.True(await new StateLeases(otherState, "second", TimeProvider.System).Of("another").RunAsync(
            () => Task.CompletedTask, Cancellation));

        // The first is held up amid its work for longer than the lease lasts, and the second goes on.
        await Assert.ThrowsAsync<StateException>(() => first.RunAsync(
            async () =>
            {
                await RunAsync(database, "UPDATE leases SET until_at = 0 WHERE name = 'pages'");
                Assert.True(await second.RunAsync(() => WriteAsync(otherState, "c"), Cancellation));
                await WriteAsync(state, "d");
            },
            Cancellation));

        Assert.False(await first.RunAsync(() => WriteAsync(state, "e"), Cancellation));
        await second.TryReleaseAsync(Cancellation);
        Assert.True(await first.RunAsync(() => WriteAsync(state, "f"), Cancellation));
        Assert.Equal(["a", "c", "f"], await NamesAsync(database));
    }

    [Fact]
    public async Task On_SQLite_there_is_nobody_else()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-lease");
        using (var state = new StateDatabase(Path.Combine(folder.FullName, "state.sqlite")))
        {
            var ran = false;
            Assert.True(await new StateLeases(state, "x", TimeProvider.System).Of("pages").RunAsync(
                () =>
                {
                    ran = true;
                    return Task.CompletedTask;
                },
                Cancellation));
            Assert.True(ran);
        }

        folder.Delete(recursive: true);
    }

    // Any table of the state will do.
    static async Task WriteAsync(StateDatabase state, string name)
    {
        await using var connection = await state.OpenAsync(Cancellation);
        await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, Cancellation);
        await connection.ExecuteAsync("INSERT INTO rule_groups VALUES ($name, 1)", Cancellation, ("$name", name));
        await transaction.CommitAsync(Cancellation);
    }

    static async Task RunAsync(string database, string sql)
    {
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    static async Task<List<string>> NamesAsync(string database)
    {
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand("SELECT name FROM rule_groups ORDER BY name");
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        var names = new List<string>();
        while (await reader.ReadAsync(Cancellation))
            names.Add(reader.GetString(0));
        return names;
    }
}
