using System.Net.Http.Json;
using System.Text.Json;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>One process at a time has a data folder, whatever became of the files by which older versions told.</summary>
public sealed class ServerLockTests : IDisposable
{
    readonly string _base = Directory.CreateTempSubdirectory("whistle-lock").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    string Folder => Path.Combine(_base, "data");

    string Telemetry => Path.Combine(Folder, "telemetry");

    public void Dispose() => Directory.Delete(_base, recursive: true);

    [Fact]
    public async Task Without_its_databases_too_a_running_server_is_seen_and_nothing_is_made_in_its_folder()
    {
        await using var server = await StartAsync();
        var backup = Path.Combine(_base, "b");
        Assert.Equal(0, (await WhistleAsync(["backup", "create", backup, "--data", Folder, "--server", $"{server.Address}"])).Exit);
        foreach (var file in Directory.GetFiles(Folder, "state.*").Concat(Directory.GetFiles(Telemetry, "hot.*")))
            File.Delete(file);

        foreach (var arguments in new string[][]
        {
            ["serve", "--listen", "http://127.0.0.1:0", "--no-agent", "--accept-state"],
            ["backup", "restore", backup, "--replace"],
            ["data", "repair"],
        })
        {
            var (exit, output) = await WhistleAsync([.. arguments, "--data", Folder]);
            Assert.NotEqual(0, exit);
            Assert.Contains("whistle serve (process ", output, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.GetFiles(Folder, "state.sqlite*"));
    }

    [Fact]
    public async Task A_lock_file_that_is_deleted_under_a_running_server_is_told_of_and_made_again()
    {
        await using var server = await StartAsync();
        var file = Path.Combine(Folder, "server.lock");
        // .NET takes a lock of its own to read it, and is refused.
        var pid = Shell.Run($"cat '{file}'").Split(' ')[0];
        File.Delete(file);

        while (!(await HealthAsync(server)).Contains("server.lock was deleted or replaced", StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancellation);
        Assert.StartsWith(pid + " ", Shell.Run($"cat '{file}'"), StringComparison.Ordinal);
        Assert.Equal("600", Shell.Mode(file));
        var (exit, output) = await WhistleAsync(["serve", "--listen", "http://127.0.0.1:0", "--no-agent", "--data", Folder]);
        Assert.Equal(1, exit);
        Assert.Contains($"whistle serve (process {pid})", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_check_says_that_a_server_runs_and_what_was_not_looked_at_and_a_stopped_one_is_whole()
    {
        var server = await StartAsync();
        var (exit, output) = await WhistleAsync(["data", "check", "--data", Folder]);
        Assert.Equal(3, exit);
        Assert.DoesNotContain("DAMAGED", output, StringComparison.Ordinal);
        Assert.Contains("not looked at: state.sqlite, ", output, StringComparison.Ordinal);
        Assert.Contains("`whistle health`, or stop it", output, StringComparison.Ordinal);
        await server.DisposeAsync();

        (exit, output) = await WhistleAsync(["data", "check", "--data", Folder]);
        Assert.Equal(0, exit);
        Assert.Contains("Nothing is damaged.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repair_says_each_thing_that_it_did_and_what_it_set_aside_is_no_damage_later()
    {
        await (await StartAsync()).DisposeAsync();
        var hot = Path.Combine(Telemetry, "hot.duckdb");
        var bytes = await File.ReadAllBytesAsync(hot, Cancellation);
        for (var i = 0; i < bytes.Length; i += 7)
            bytes[i] ^= 0x55;
        await File.WriteAllBytesAsync(hot, bytes, Cancellation);

        var (exit, output) = await WhistleAsync(["data", "check", "--data", Folder]);
        Assert.Equal(1, exit);
        Assert.Contains("1 part is damaged. The telemetry: use `whistle data repair --data ", output, StringComparison.Ordinal);
        (exit, output) = await WhistleAsync(["data", "repair", "--data", Folder]);
        Assert.Equal(0, exit);
        Assert.Contains("- The hot store ", output, StringComparison.Ordinal);
        Assert.Contains("- The telemetry of hot was set aside in ", output, StringComparison.Ordinal);
        (exit, output) = await WhistleAsync(["data", "check", "--data", Folder]);
        Assert.Equal(0, exit);
        Assert.Contains("1 entry was set aside earlier", output, StringComparison.Ordinal);
        Assert.Contains("Nothing is damaged.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_is_no_data_folder_and_a_lock_that_was_left_in_it_is_no_part_of_it()
    {
        var backup = Path.Combine(_base, "b");
        await using (var server = await StartAsync())
            Assert.Equal(0, (await WhistleAsync(["backup", "create", backup, "--data", Folder, "--server", $"{server.Address}"])).Exit);

        foreach (var arguments in new string[][]
        {
            ["data", "check"],
            ["data", "repair"],
            ["serve", "--listen", "http://127.0.0.1:0", "--no-agent", "--accept-state"],
        })
        {
            var (exit, output) = await WhistleAsync([.. arguments, "--data", backup]);
            Assert.NotEqual(0, exit);
            Assert.Contains("is a backup", output, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(Path.Combine(backup, "server.lock")));
        await File.WriteAllTextAsync(Path.Combine(backup, "server.lock"), "1 whistle data check\n", Cancellation);
        Assert.Equal(0, (await WhistleAsync(["backup", "verify", backup])).Exit);
        Assert.Equal(0, (await WhistleAsync(["backup", "restore", backup, "--data", Path.Combine(_base, "again")])).Exit);
    }

    [Theory]
    [InlineData("check")]
    [InlineData("repair")]
    public async Task What_is_no_data_folder_is_refused_and_left_as_it_is(string verb)
    {
        Assert.Equal((2, true), Refused(await WhistleAsync(["data", verb, "--data", Folder]), "is not a folder that this user can see"));
        Directory.CreateDirectory(Folder);
        await File.WriteAllTextAsync(Path.Combine(Folder, "letter"), "Dear", Cancellation);
        Assert.Equal((2, true), Refused(await WhistleAsync(["data", verb, "--data", Folder]), "is not a data folder of a server"));
        Assert.Single(Directory.GetFileSystemEntries(Folder));

        static (int, bool) Refused((int Exit, string Output) answer, string says) =>
            (answer.Exit, answer.Output.Contains(says, StringComparison.Ordinal));
    }

    async Task<ServerProcess> StartAsync()
    {
        var server = new ServerProcess(Folder, "--no-agent");
        await server.StartAsync(Cancellation);
        return server;
    }

    static async Task<string> HealthAsync(ServerProcess server) =>
        (await server.Http.GetFromJsonAsync<JsonElement>("api/whistle/v1/health", Cancellation)).ToString();

    static async Task<(int Exit, string Output)> WhistleAsync(string[] arguments)
    {
        var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", arguments);
        process.OutputDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, string.Join('\n', lines));
    }
}
