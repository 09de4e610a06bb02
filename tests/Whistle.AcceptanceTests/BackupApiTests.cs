using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

using Whistle.Backups;
using Whistle.Ingest.Stores;
using Whistle.Remediation.Control;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class BackupApiTests(PostgreSqlServer postgreSql) : IClassFixture<PostgreSqlServer>, IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-backups").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Only_the_operators_token_begins_a_backup_and_a_folder_that_will_not_do_is_refused()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var browser = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = server.App.Address };
        using (var login = await browser.GetAsync(new Uri(server.App.LoginLink()), Cancellation))
            Assert.True(login.IsSuccessStatusCode);
        using (var page = await browser.GetAsync(new Uri("/", UriKind.Relative), Cancellation))
            Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        var folder = Path.Combine(_folder, "b");
        browser.DefaultRequestHeaders.Add("Origin", server.App.Address.GetLeftPart(UriPartial.Authority));
        using (var cookie = await browser.PostAsJsonAsync(
            new Uri("api/whistle/v1/backups", UriKind.Relative), new { folder }, Cancellation))
            Assert.Equal(HttpStatusCode.Unauthorized, cookie.StatusCode);
        Assert.False(Directory.Exists(folder));
        foreach (var bad in new[] { "b", Path.Combine(server.Folder, "b"), server.Folder, Path.Combine(_folder, "no", "b"), "" })
        {
            using var answer = await StartAsync(server, bad);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }

        using var started = await StartAsync(server, folder);
        Assert.Equal(HttpStatusCode.Accepted, started.StatusCode);
        Assert.Equal("done", (await EndAsync(server, started)).GetProperty("state").GetString());
        Backup.Verify(folder, _ => { }, Cancellation);
        using var next = await StartAsync(server, folder + "-2");
        await EndAsync(server, next);
        // Whoever began the first may still look how it ended.
        Assert.Equal("done", (await EndAsync(server, started)).GetProperty("state").GetString());
        using var none = await server.Http.GetAsync(new Uri("api/whistle/v1/backups/99", UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    [Fact]
    public async Task A_disk_that_becomes_full_in_the_midst_of_it_leaves_no_backup_and_the_server_goes_on()
    {
        using var disk = LoopDisk.Mount(160);
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var sender = await server.SenderAsync();
        await SendAsync(sender, 1);
        var folder = Path.Combine(disk.Folder, "b");
        var source = (BackupSource)server.App.Services.GetService(typeof(BackupSource))!;
        var error = await Assert.ThrowsAsync<BackupException>(
            async () => await Backup.CreateAsync(source, folder, _ => disk.Fill(), Cancellation));
        Assert.Contains("was not made", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder));
        Assert.False(Directory.Exists(folder + Backup.Partial));
        await SendAsync(sender, 2);
        // Said before anything is written, where it is known.
        Assert.Contains("MiB free", (await Assert.ThrowsAsync<BackupException>(async () => await Backup.CreateAsync(
            source, folder, _ => { }, Cancellation))).Message, StringComparison.Ordinal);
        disk.Free();
        using var started = await StartAsync(server, folder);
        Assert.Equal("done", (await EndAsync(server, started)).GetProperty("state").GetString());
        Backup.Verify(folder, _ => { }, Cancellation);
        // Beside what the server records of itself.
        using var copy = new DuckDbStore(
            new StoreOptions(Path.Combine(folder, Backup.Telemetry), TimeSpan.FromDays(1)), TimeProvider.System);
        Assert.Equal(2, copy.Select([new(Labels.MetricName, MatchOperator.Equal, "m")], 0, long.MaxValue).Sum(s => s.Values.Length));
    }

    [Fact]
    public async Task While_a_server_runs_its_folder_is_not_restored_and_a_backup_does_not_take_its_lock_away()
    {
        await using var server = new ServerProcess(Path.Combine(_folder, "data"), "--no-agent");
        await server.StartAsync(Cancellation);
        var backup = Path.Combine(_folder, "b");
        Assert.Equal(
            (0, true),
            await WhistleAsync(["backup", "create", backup, "--data", server.DataFolder, "--server", $"{server.Address}"], "is whole: "));
        Assert.Equal((1, true), await WhistleAsync(
            ["backup", "restore", backup, "--data", server.DataFolder, "--replace"], $"uses {server.DataFolder}. Stop it first"));
        // The lock that the backup must leave in place keeps a second server out.
        Assert.Equal((1, true), await WhistleAsync(
            ["serve", "--data", server.DataFolder, "--listen", "http://127.0.0.1:0", "--no-agent"], "whistle serve (process "));
        await server.KillAsync();
        // The server that was named, and no folder that happens to be there.
        Assert.Equal((3, true), await WhistleAsync(
            ["backup", "create", backup + "-4", "--data", server.DataFolder, "--server", $"{server.Address}"], "does not answer"));
        Assert.False(Path.Exists(backup + "-4"));
        Assert.Equal((0, true), await WhistleAsync(["backup", "create", backup + "-2", "--data", server.DataFolder], "It holds secrets"));
        Assert.Equal((0, true), await WhistleAsync(["backup", "verify", backup + "-2"], "Whole: "));
        string[] again = ["backup", "create", backup + "-3", "--data", _folder];
        Assert.Equal((1, true), await WhistleAsync(again, "not a data folder of a server"));
    }

    [Fact]
    public async Task A_running_server_whose_hot_file_was_deleted_keeps_its_folder()
    {
        await using var server = new ServerProcess(Path.Combine(_folder, "data"), "--no-agent");
        await server.StartAsync(Cancellation);
        var backup = Path.Combine(_folder, "b");
        Assert.Equal(
            (0, true),
            await WhistleAsync(["backup", "create", backup, "--data", server.DataFolder, "--server", $"{server.Address}"], "is whole: "));
        File.Delete(Path.Combine(server.DataFolder, "telemetry", "hot.duckdb"));

        Assert.Equal((1, true), await WhistleAsync(
            ["backup", "restore", backup, "--data", server.DataFolder, "--replace"], $"uses {server.DataFolder}. Stop it first"));

        await server.KillAsync();
        Assert.Equal(
            (0, true), await WhistleAsync(["backup", "restore", backup, "--data", server.DataFolder, "--replace"], "Restored to "));
    }

    [Fact]
    public async Task With_the_state_in_PostgreSQL_the_dump_comes_first_and_the_server_on_the_loaded_dump_begins_a_generation()
    {
        var database = await postgreSql.NewDatabaseAsync(Cancellation);
        var (data, backup) = (Path.Combine(_folder, "data"), Path.Combine(_folder, "b"));
        await using (var server = await InProcessServer.StartAsync(Cancellation, data, o => o with { Database = database }))
        {
            using var sender = await server.SenderAsync();
            await SendAsync(sender, 1);
            using var started = await StartAsync(server, backup);
            var end = await EndAsync(server, started);
            Assert.Equal(("done", false), (end.GetProperty("state").GetString(), end.GetProperty("stateIncluded").GetBoolean()));
        }

        var manifest = Backup.Verify(backup, _ => { }, Cancellation);
        Assert.Equal("postgresql", manifest.State);
        Assert.DoesNotContain(manifest.Files, f => f.Path.StartsWith("state.", StringComparison.Ordinal));
        // By it the restored folder knows the dump that belongs to it.
        Assert.Contains(manifest.Files, f => f.Path == StateDatabase.FolderMark);
        var restored = Path.Combine(_folder, "restored");
        Restore.Run(backup, restored, replace: false, TimeProvider.System, _ => { }, Cancellation);
        await using (var server = await InProcessServer.StartAsync(Cancellation, restored, o => o with { Database = database }))
        {
            using var state = StateDatabase.PostgreSql(database);
            await using (var connection = await state.OpenAsync(Cancellation))
                Assert.True((await Lineage.ReadAsync(connection, Cancellation)).IsRestored);
            Assert.True((await new ControlStore(state).KillSwitchAsync(Cancellation)).On);
        }

        Assert.False(File.Exists(Path.Combine(restored, "restored.json")));
    }

    static Task<HttpResponseMessage> StartAsync(InProcessServer server, string folder) =>
        server.Http.PostAsJsonAsync(new Uri("api/whistle/v1/backups", UriKind.Relative), new { folder }, Cancellation);

    static async Task<JsonElement> EndAsync(InProcessServer server, HttpResponseMessage started)
    {
        while (true)
        {
            var backup = await server.Http.GetFromJsonAsync<JsonElement>(started.Headers.Location, Cancellation);
            if (backup.GetProperty("state").GetString() != "running")
                return backup;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation);
        }
    }

    static async Task SendAsync(RemoteWriteClient sender, double value)
    {
        TimeSeries[] series = [new(Labels.OfMetric("m"), [new(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(), value)])];
        using var answer = await sender.SendAsync(series, Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    static async Task<(int ExitCode, bool Says)> WhistleAsync(string[] arguments, string says)
    {
        var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", arguments);
        process.OutputDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, lines.Any(l => l.Contains(says, StringComparison.Ordinal)));
    }
}
