using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;

using Npgsql;

using Prometheus;

using Whistle.Jobs;
using Whistle.State;
using Whistle.State.Health;
using Whistle.State.Jobs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Jobs on a state that several servers share, and through the API.</summary>
public sealed class JobsTests(PostgreSqlServer server) : IClassFixture<PostgreSqlServer>
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact(Timeout = 120_000)]
    public async Task Two_servers_on_one_database_run_a_job_once_when_it_is_due()
    {
        var database = await server.NewDatabaseAsync(TestContext.Current.CancellationToken);
        var (runs, enough) = (0, new TaskCompletionSource());
        var job = new ScheduledJob("tick", "Counts.", "* * * * * ?", MissedRun.Skip, _ =>
        {
            if (Interlocked.Increment(ref runs) == 12)
                enough.SetResult();
            return Task.CompletedTask;
        });

        var began = TimeProvider.System.GetUtcNow();
        await using (await ScheduledServer.StartAsync(database, "a", job))
        await using (await ScheduledServer.StartAsync(database, "b", job))
            await enough.Task.WaitAsync(Cancellation);

        // It was due at each full second since, and in the one in which it was first known.
        Assert.InRange(runs, 12, (TimeProvider.System.GetUtcNow() - began).TotalSeconds + 2);
    }

    [Fact(Timeout = 120_000)]
    public async Task What_was_due_while_no_server_ran_is_made_up_for_once_or_left_out()
    {
        var database = await server.NewDatabaseAsync(TestContext.Current.CancellationToken);
        var (retentions, made) = (0, new TaskCompletionSource());
        const string yearly = "0 0 0 1 1 ?";
        ScheduledJob[] jobs =
        [
            new("retention", "Drops.", yearly, MissedRun.RunOnce, _ =>
            {
                Interlocked.Increment(ref retentions);
                made.TrySetResult();
                return Task.CompletedTask;
            }),
            new("digest", "Sends.", yearly, MissedRun.Skip, _ => throw new InvalidOperationException("a digest came late")),
        ];
        await using (await ScheduledServer.StartAsync(database, "a", jobs))
            await UntilAsync(async () => await NumberAsync(database, "SELECT count(*) FROM qrtz_triggers") == 2);
        // Three years go by.
        await NumberAsync(
            database, "UPDATE qrtz_triggers SET next_fire_time = next_fire_time - 3 * 365 * 864000000000 RETURNING 1");

        await using (await ScheduledServer.StartAsync(database, "b", jobs))
        await using (await ScheduledServer.StartAsync(database, "c", jobs))
        {
            await made.Task.WaitAsync(Cancellation);
            // Both are due in the future again.
            await UntilAsync(async () => await NumberAsync(
                database, $"SELECT count(*) FROM qrtz_triggers WHERE next_fire_time > {TimeProvider.System.GetUtcNow().UtcTicks}") == 2);
        }

        Assert.Equal(1, retentions);
        Assert.Equal(0, await NumberAsync(database, "SELECT count(*) FROM jobs WHERE name = 'digest' AND started_at IS NOT NULL"));
    }

    [Fact(Timeout = 240_000)]
    public async Task What_a_killed_server_had_begun_another_begins_again()
    {
        var database = await server.NewDatabaseAsync(TestContext.Current.CancellationToken);
        var folder = Directory.CreateTempSubdirectory("whistle-jobs");
        await using var a = new ServerProcess(Path.Combine(folder.FullName, "a"), "--no-agent");
        await using var b = new ServerProcess(Path.Combine(folder.FullName, "b"), "--no-agent");
        foreach (var one in new[] { a, b })
        {
            one.Environment["WHISTLE_Database"] = database;
            await one.StartAsync(Cancellation);
        }

        await UntilAsync(async () => await NumberAsync(database, "SELECT count(*) FROM qrtz_triggers") >= 4);
        await using var source = NpgsqlDataSource.Create(database);
        string killed;
        await using (var blocker = await source.OpenConnectionAsync(Cancellation))
        {
            // The job waits for the table.
            await using var transaction = await blocker.BeginTransactionAsync(Cancellation);
            await using (var command = new NpgsqlCommand("LOCK TABLE signal_events IN ACCESS EXCLUSIVE MODE", blocker, transaction))
                await command.ExecuteNonQueryAsync(Cancellation);
            await NumberAsync(
                database,
                $"UPDATE qrtz_triggers SET next_fire_time = {TimeProvider.System.GetUtcNow().UtcTicks} "
                + "WHERE trigger_name = 'signal-retention' RETURNING 1");
            await UntilAsync(async () => await RunningAsync() is not null);
            killed = (await RunningAsync())!;
            await (await InstanceOfAsync(a) == killed ? a : b).KillAsync();
        }

        await UntilAsync(async () => await NumberAsync(
            database, $"SELECT count(*) FROM jobs WHERE name = 'signal-retention' AND instance <> '{killed}' AND outcome = 'Done'") == 1);
        folder.Delete(recursive: true);

        async Task<string?> RunningAsync()
        {
            await using var command = source.CreateCommand(
                "SELECT instance FROM jobs WHERE name = 'signal-retention' AND started_at IS NOT NULL AND ended_at IS NULL");
            return (string?)await command.ExecuteScalarAsync(Cancellation);
        }

        static async Task<string> InstanceOfAsync(ServerProcess of) =>
            $"{Environment.MachineName}-{(await File.ReadAllTextAsync(Path.Combine(of.DataFolder, "owner"), Cancellation))[..8]}";
    }

    [Fact]
    public async Task A_person_lists_and_runs_jobs_and_the_audit_says_who()
    {
        await using var whistle = await InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });
        var begun = await whistle.Http.PostAsync("api/whistle/v1/jobs/alert-retention/run", null, Cancellation);
        Assert.Equal(HttpStatusCode.Accepted, begun.StatusCode);
        await UntilAsync(async () => (await JobAsync()).GetProperty("endedAt").ValueKind is JsonValueKind.String);
        Assert.Equal("done", (await JobAsync()).GetProperty("outcome").GetString());

        var unknown = await whistle.Http.PostAsync("api/whistle/v1/jobs/nothing/run", null, Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        var audit = await whistle.Http.GetStringAsync("api/whistle/v1/audit", Cancellation);
        Assert.Contains("run-job", audit, StringComparison.Ordinal);
        Assert.Contains("alert-retention", audit, StringComparison.Ordinal);

        async Task<JsonElement> JobAsync() =>
            (await whistle.Http.GetFromJsonAsync<JsonElement>("api/whistle/v1/jobs", Cancellation)).EnumerateArray()
                .First(j => j.GetProperty("name").GetString() == "alert-retention");
    }

    [Fact(Timeout = 120_000)]
    public async Task Backups_are_made_when_they_are_due_and_the_newest_stay()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-backups");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(folder.FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateDirectory(Path.Combine(folder.FullName, "whistle-20200101T000000Z.partial"));
        Directory.CreateDirectory(Path.Combine(folder.FullName, "other"));
        await using (var whistle = await InProcessServer.StartAsync(TestContext.Current.CancellationToken, change: o => o with
        {
            Backup = new() { Schedule = "* * * * * ?", Folder = folder.FullName, Keep = 2 },
        }))
        {
            var seen = new HashSet<string>();
            await UntilAsync(() =>
            {
                seen.UnionWith(
                    Directory.GetDirectories(folder.FullName, "whistle-*Z").Where(f => File.Exists(Path.Combine(f, "backup.json"))));
                return Task.FromResult(seen.Count >= 4);
            });
        }

        Assert.InRange(Directory.GetDirectories(folder.FullName, "whistle-*").Length, 2, 3);
        Assert.True(Directory.Exists(Path.Combine(folder.FullName, "other")));
        folder.Delete(recursive: true);
    }

    static async Task UntilAsync(Func<Task<bool>> isSo)
    {
        while (!await isSo())
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancellation);
    }

    static async Task<long> NumberAsync(string database, string sql)
    {
        await using var source = NpgsqlDataSource.Create(database);
        await using var command = source.CreateCommand(sql);
        try
        {
            return Convert.ToInt64(await command.ExecuteScalarAsync(Cancellation), System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return -1;
        }
    }

    sealed class ScheduledServer(StateDatabase state, JobsHost host) : IAsyncDisposable
    {
        public static async Task<ScheduledServer> StartAsync(string database, string instance, params ScheduledJob[] jobs)
        {
            var state = StateDatabase.PostgreSql(database);
            state.Add(JobStore.Tables);
            var store = new JobStore(state, instance);
            var health = new HealthBoard(TimeProvider.System);
            var runner = new JobRunner(
                jobs, store, health, Metrics.WithCustomRegistry(Metrics.NewCustomRegistry()), TimeProvider.System,
                NullLogger<JobRunner>.Instance);
            var host = new JobsHost(
                runner, store, takesPart: true, () => database, health, TimeProvider.System, NullLoggerFactory.Instance);
            await host.StartAsync(Cancellation);
            return new(state, host);
        }

        public async ValueTask DisposeAsync()
        {
            await host.StopAsync(CancellationToken.None);
            host.Dispose();
            state.Dispose();
        }
    }
}
