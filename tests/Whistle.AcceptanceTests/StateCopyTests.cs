using System.Diagnostics;
using System.Globalization;

using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;

using Npgsql;

using Whistle.Data;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A state that goes from SQLite to PostgreSQL. What is on both sides is read here without the code that copies.</summary>
public sealed class StateCopyTests : IClassFixture<PostgreSqlServer>, IDisposable
{
    const int Many = 150_000;

    readonly PostgreSqlServer _server;
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-copy").FullName;

    public StateCopyTests(PostgreSqlServer server) => _server = server;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    string Data => Path.Combine(_folder, "data");

    string DatabaseFile => Path.Combine(_folder, "database");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_server_goes_on_in_the_database_with_every_row_and_no_server_starts_on_the_file()
    {
        var database = await PrepareAsync();
        var before = await InSqliteAsync();
        Assert.True(before.Values.Count(t => t.Rows.Count > 0) > 15, "The old data fill too few tables.");

        var (exit, output, error) = await CopyAsync();

        Assert.Equal((0, ""), (exit, error));
        Assert.Contains($"All {before.Values.Sum(t => t.Rows.Count)} rows of the state", output, StringComparison.Ordinal);
        AssertSame(before, await InPostgreSqlAsync(database, before));
        foreach (var (table, last) in await NumbersAsync(database))
            Assert.True(last >= before[table].LastNumber, $"{table} would give the number {last + 1} again.");
        var refused = await Assert.ThrowsAsync<StartException>(async () => await (await StartAsync(null)).DisposeAsync());
        Assert.Contains("was copied to PostgreSQL", refused.Message, StringComparison.Ordinal);
        await using (var whistle = await StartAsync(database))
            await OldData.AssertStateAsync(whistle.Http, whistle.App, Cancellation);

        (exit, _, error) = await CopyAsync();
        Assert.Equal(1, exit);
        Assert.Contains("already has this state", error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 300_000)]
    public async Task A_copy_that_is_killed_or_cut_off_again_and_again_goes_on_and_ends_the_same()
    {
        var database = await PrepareAsync();
        await FillAsync(TestContext.Current.CancellationToken);
        var before = await InSqliteAsync();
        var random = Seed.New();
        foreach (var part in new[] { 0.0, 0.3, 0.6 })
        {
            using var process = StartCopy();
            var until = (long)(Many * (part + (random.NextDouble() * 0.3)));
            await process.UntilAsync(async _ => await CountAsync(database) > until, Cancellation);
            if (part > 0.5)
            {
                await NumberAsync(
                    database,
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    + "WHERE pid <> pg_backend_pid() AND datname = current_database()");
                await process.WaitForExitAsync(Cancellation);
                Assert.Equal(1, process.ExitCode);
            }
            else
                await process.KillAndWaitAsync();
            Assert.InRange(await CountAsync(database), 1, Many - 1);
            var refused = await Assert.ThrowsAsync<StartException>(async () => await (await StartAsync(database)).DisposeAsync());
            Assert.Contains("has not come to its end", refused.Message, StringComparison.Ordinal);
        }

        var (exit, _, error) = await CopyAsync();

        Assert.Equal((0, ""), (exit, error));
        AssertSame(before, await InPostgreSqlAsync(database, before));
        Assert.Equal(0, await NumberAsync(database, "SELECT count(*) FROM pg_tables WHERE tablename = 'state_copy'"));
        await using var whistle = await StartAsync(database);
    }

    [Theory]
    [InlineData("other", "already has another state")]
    [InlineData("changed", "before it was changed")]
    [InlineData("newer", "made by a newer version of Whistle")]
    [InlineData("damaged", "is damaged: since holds a String where INTEGER belongs")]
    [InlineData("in use", "whistle data check")]
    [InlineData("no database", "cannot be used")]
    public async Task What_cannot_be_copied_is_refused_with_what_to_do(string what, string why)
    {
        var database = await PrepareAsync();
        ServerLock? held = null;
        switch (what)
        {
            case "other":
                using (var state = StateDatabase.PostgreSql(database))
                    await state.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
                break;
            case "changed":
                await NumberAsync(database, "CREATE TABLE state_copy (name TEXT PRIMARY KEY, value TEXT NOT NULL)");
                await NumberAsync(database, "INSERT INTO state_copy VALUES ('source', 'another 7')");
                break;
            case "newer":
                await SqliteAsync("INSERT INTO migrations VALUES ('people', 99, 'x')");
                break;
            case "damaged":
                await SqliteAsync("UPDATE signals SET since = 'yesterday'");
                break;
            case "in use":
                held = ServerLock.Take(Data, "whistle data check");
                break;
            default:
                await File.WriteAllTextAsync(DatabaseFile, new NpgsqlConnectionStringBuilder(database) { Database = "none" }.ToString());
                break;
        }

        using (held)
        {
            var (exit, _, error) = await CopyAsync();
            Assert.Equal(1, exit);
            Assert.Contains(why, error, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(Path.Combine(Data, "state-moved")));
    }

    async Task<string> PrepareAsync()
    {
        var database = await _server.NewDatabaseAsync(Cancellation);
        await File.WriteAllTextAsync(DatabaseFile, database, Cancellation);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(DatabaseFile, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        OldData.Extract(Data);
        await using (var old = await StartAsync(null))
            await OldData.AssertStateAsync(old.Http, old.App, Cancellation);
        return database;
    }

    Task<InProcessServer> StartAsync(string? database) => InProcessServer.StartAsync(Cancellation, Data, o => o with
    {
        Time = new FakeTimeProvider(OldData.StoppedAt),
        RunTimers = false,
        Rules = [OldData.Rules],
        Runbooks = [OldData.Runbooks],
        Database = database,
    });

    string[] Copy => ["state", "copy", "--from", "sqlite", "--to", "postgres", "--data", Data, "--database-file", DatabaseFile];

    Task<(int Exit, string Output, string Error)> CopyAsync() => Programs.WhistleAsync(Copy);

    Process StartCopy() => ChildProcess.StartProject("Whistle", "whistle.dll", Copy);

    // Texts that are hard to keep and to order, and enough of them to be killed amid.
    async Task FillAsync(CancellationToken cancellation)
    {
        await SqliteAsync(
            $"""
            WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {Many})
            INSERT INTO runbook_versions (hash, text)
            SELECT printf('%s%06d', char(33 + i % 90, 200 + i % 3000, 128512 + i % 50), i), char(9, 10, 34, 39, 92, 8364) || i FROM n
            """);
        cancellation.ThrowIfCancellationRequested();
    }

    static Task<long> CountAsync(string database) => NumberAsync(database, "SELECT count(*) FROM runbook_versions");

    sealed record Table(IReadOnlyList<string> Columns, List<string> Rows, long LastNumber);

    async Task<Dictionary<string, Table>> InSqliteAsync()
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(Data, "state.sqlite")};Pooling=False");
        await connection.OpenAsync(Cancellation);
        List<string> names = [];
        await using (var command = new SqliteCommand("SELECT name FROM sqlite_master WHERE type = 'table'", connection))
        await using (var reader = await command.ExecuteReaderAsync(Cancellation))
        {
            while (await reader.ReadAsync(Cancellation))
                names.Add(reader.GetString(0));
        }

        Dictionary<string, Table> tables = [];
        foreach (var name in names.Where(n => !n.StartsWith("sqlite_", StringComparison.Ordinal) && n is not ("migrations" or "reserve")))
        {
            await using var command = new SqliteCommand($"SELECT * FROM \"{name}\"", connection);
            await using var reader = await command.ExecuteReaderAsync(Cancellation);
            string[] columns = [.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetName)];
            var rows = await RowsAsync(reader);
            await reader.DisposeAsync();
            await using var last = new SqliteCommand("SELECT seq FROM sqlite_sequence WHERE name = $name", connection);
            last.Parameters.AddWithValue("$name", name);
            tables[name] = new(columns, rows, await last.ExecuteScalarAsync(Cancellation) as long? ?? 0);
        }

        return tables;
    }

    static async Task<Dictionary<string, Table>> InPostgreSqlAsync(string database, Dictionary<string, Table> like)
    {
        await using var source = NpgsqlDataSource.Create(database);
        Dictionary<string, Table> tables = [];
        foreach (var (name, table) in like)
        {
            await using var command = source.CreateCommand(
                $"SELECT {string.Join(", ", table.Columns.Select(c => $"\"{c}\""))} FROM \"{name}\"");
            await using var reader = await command.ExecuteReaderAsync(Cancellation);
            tables[name] = table with { Rows = await RowsAsync(reader) };
        }

        return tables;
    }

    static async Task<List<string>> RowsAsync(System.Data.Common.DbDataReader reader)
    {
        List<string> rows = [];
        while (await reader.ReadAsync(Cancellation))
            rows.Add(string.Join('\u001f', Enumerable.Range(0, reader.FieldCount).Select(i => $"{reader.GetValue(i).GetType().Name} "
                + Convert.ToString(reader.GetValue(i), CultureInfo.InvariantCulture))));
        rows.Sort(StringComparer.Ordinal);
        return rows;
    }

    static void AssertSame(Dictionary<string, Table> before, Dictionary<string, Table> after)
    {
        foreach (var (name, table) in before)
            Assert.True(table.Rows.SequenceEqual(after[name].Rows), $"{name} has {after[name].Rows.Count} rows of {table.Rows.Count}.");
    }

    static async Task<List<(string Table, long Last)>> NumbersAsync(string database)
    {
        await using var source = NpgsqlDataSource.Create(database);
        List<(string, string)> sequences = [];
        await using (var command = source.CreateCommand(
            "SELECT table_name::text, pg_get_serial_sequence(table_name::text, column_name::text) FROM information_schema.columns "
            + "WHERE is_identity = 'YES'"))
        await using (var reader = await command.ExecuteReaderAsync(Cancellation))
        {
            while (await reader.ReadAsync(Cancellation))
                sequences.Add((reader.GetString(0), reader.GetString(1)));
        }

        List<(string, long)> numbers = [];
        foreach (var (table, sequence) in sequences)
            numbers.Add((table, await NumberAsync(database, $"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")));
        Assert.NotEmpty(numbers);
        return numbers;
    }

    async Task SqliteAsync(string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(Data, "state.sqlite")};Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var command = new SqliteCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    static async Task<long> NumberAsync(string database, string sql)
    {
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand(sql);
        try
        {
            return Convert.ToInt64(await command.ExecuteScalarAsync(Cancellation), CultureInfo.InvariantCulture);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return -1;
        }
    }
}
