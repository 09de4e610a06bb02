using System.Collections.Concurrent;

using Microsoft.Extensions.DependencyInjection;

using Npgsql;

using Whistle.Data;
using Whistle.Fixtures;
using Whistle.Inventory;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class PostgreSqlServerTests(PostgreSqlServer server) : IClassFixture<PostgreSqlServer>
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_keeps_its_state_in_the_database_that_it_is_given()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("whistle");
        string token;
        await using (var whistle = await InProcessServer.StartAsync(Cancellation, folder.FullName, o => o with { Database = database }))
        {
            token = await whistle.App.Credentials.EnrollAsync(new("default", "c1"), "n1", Cancellation);
            await whistle.App.Incidents.ReconcileAsync(TimeProvider.System.GetUtcNow(), Cancellation);
            await whistle.App.Remediation.AdvanceAsync(TimeProvider.System.GetUtcNow(), Cancellation);
            await whistle.App.Alerting.RunOnceAsync(TimeProvider.System.GetUtcNow(), Cancellation);
            foreach (var path in new[] { "incidents", "runs", "tickets", "pauses", "runbook-modes", "control-timeline" })
                await whistle.Http.GetStringAsync($"api/whistle/v1/{path}", Cancellation);
            Assert.True(whistle.App.Services.GetRequiredService<StateDatabase>().IsPostgreSql);
        }

        Assert.False(File.Exists(Path.Combine(folder.FullName, "state.sqlite")));
        using (var state = StateDatabase.PostgreSql(database))
            Assert.Equal("n1", (await new Credentials(state, TimeProvider.System).AuthenticateAsync(token, Cancellation))!.Node);
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData(false, "has no state, but")]
    [InlineData(true, "has another state than")]
    public async Task A_database_that_is_not_the_folders_is_refused_or_accepted_with_the_kill_switch_on(bool used, string why)
    {
        var (own, other) = (await server.NewDatabaseAsync(Cancellation), await server.NewDatabaseAsync(Cancellation));
        var folder = Directory.CreateTempSubdirectory("whistle");
        await (await StartAsync(own)).DisposeAsync();
        if (used)
        {
            using var state = StateDatabase.PostgreSql(other);
            await state.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        }

        var error = await Assert.ThrowsAsync<StartException>(() => StartAsync(other));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        if (!used)
        {
            using var state = StateDatabase.PostgreSql(other);
            await using var connection = await state.OpenAsync(Cancellation);
            Assert.Empty(await connection.QueryAsync("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", _ => true, Cancellation));
        }

        await (await StartAsync(own)).DisposeAsync();
        for (var accept = true; ; accept = false)
        {
            await using var whistle = await StartAsync(other, accept);
            Assert.Contains(
                "The state was accepted as it is", await whistle.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation),
                StringComparison.Ordinal);
            if (!accept)
                break;
        }

        await Assert.ThrowsAsync<StartException>(() => StartAsync(own));
        folder.Delete(recursive: true);

        Task<InProcessServer> StartAsync(string database, bool accept = false) =>
            InProcessServer.StartAsync(Cancellation, folder.FullName, o => o with { Database = database, AcceptState = accept });
    }

    [Fact]
    public async Task The_command_line_enrols_in_the_database_of_the_settings()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("whistle");
        PrivateText.Write(Path.Combine(folder.FullName, "database"), database);
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "appsettings.json"), """{ "DatabaseFile": "database" }""", Cancellation);
        using (var process = ChildProcess.StartProject(
            "Whistle", "whistle.dll", ["agents", "add", "--data", folder.FullName, "--cluster", "c", "--node", "n"]))
        {
            await process.WaitForExitAsync(Cancellation);
            Assert.Equal(0, process.ExitCode);
        }

        using (var state = StateDatabase.PostgreSql(database))
            Assert.Equal("n", Assert.Single(await new Credentials(state, TimeProvider.System).AgentsAsync(Cancellation)).NodeId.Node);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_first_start_that_may_make_no_tables_goes_well_once_it_may()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("whistle");
        await using var source = NpgsqlDataSource.Create(database);
        await RunAsync("CREATE ROLE limited LOGIN");
        var limited = new NpgsqlConnectionStringBuilder(database) { Username = "limited" }.ToString();

        // As PostgreSQL grants it since version 15.
        Assert.Contains("permission denied", (await Assert.ThrowsAsync<StartException>(StartAsync)).Message, StringComparison.Ordinal);
        await RunAsync("GRANT CREATE ON SCHEMA public TO limited");
        await (await StartAsync()).DisposeAsync();
        folder.Delete(recursive: true);

        Task<InProcessServer> StartAsync() => InProcessServer.StartAsync(Cancellation, folder.FullName, o => o with { Database = limited });

        async Task RunAsync(string sql)
        {
            await using var command = source.CreateCommand(sql);
            await command.ExecuteNonQueryAsync(Cancellation);
        }
    }

    [Fact]
    public async Task The_command_line_says_in_a_line_that_a_database_is_not_there()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("whistle");
        PrivateText.Write(
            Path.Combine(folder.FullName, "database"), new NpgsqlConnectionStringBuilder(database) { Database = "missing" }.ToString());
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "appsettings.json"), """{ "DatabaseFile": "database" }""", Cancellation);
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", ["agents", "list", "--data", folder.FullName]);
        var lines = new ConcurrentQueue<string>();
        process.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        await process.WaitForExitAsync(Cancellation);

        Assert.Equal(1, process.ExitCode);
        Assert.Contains(lines, line => line.Contains("\"missing\" does not exist", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("   at ", StringComparison.Ordinal));
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_database_that_is_not_there_is_told_without_the_password()
    {
        var database = await server.NewDatabaseAsync(Cancellation);
        var folder = Directory.CreateTempSubdirectory("whistle");
        var options = new WhistleOptions
        {
            DataFolder = folder.FullName,
            Listen = [new("http://127.0.0.1:0")],
            Agent = false,
            Database = new NpgsqlConnectionStringBuilder(database) { Database = "missing", Password = "s3cr3t" }.ToString(),
        };

        var error = await Assert.ThrowsAsync<StartException>(() => WhistleApp.OpenAsync(options, Cancellation));
        Assert.Contains("missing", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cr3t", error.Message + options, StringComparison.Ordinal);
        Assert.Equal(nameof(WhistleOptions.Database), Assert.Single(new WhistleOptions { Database = "s3cr3t" }.Errors()).Key);
        folder.Delete(recursive: true);
    }
}
