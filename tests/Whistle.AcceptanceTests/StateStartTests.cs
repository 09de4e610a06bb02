using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

using Whistle.Ingest.Stores;
using Whistle.Remediation.Control;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// <c>whistle serve</c> on a data folder whose state something has befallen: it starts with all that was set, or says in one message why
/// not.
/// </summary>
public sealed class StateStartTests : IAsyncLifetime
{
    static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly string _base = Directory.CreateTempSubdirectory("whistle-base-").FullName;
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-start-").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await using (var server = await InProcessServer.StartAsync(Cancellation, _base))
            await server.App.Credentials.EnrollAsync(new("default", "c"), "n", Cancellation);
        File.Copy(Path.Combine(_base, "state.sqlite"), Path.Combine(_base, "older"));
        using var state = new StateDatabase(Path.Combine(_base, "state.sqlite"));
        for (var i = 0; i < 300; i++)
            await new ControlStore(state).SetAsync(new KillSwitch(i % 2 == 1, "stop", "ann", Now), Cancellation);
        // As a killed server leaves it: the last changes are in the log alone.
        foreach (var file in Directory.GetFiles(_base, "*", SearchOption.AllDirectories).Where(
            f => !f.EndsWith("-shm", StringComparison.Ordinal)))
        {
            var copy = Path.Combine(_folder, Path.GetRelativePath(_base, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_base, recursive: true);
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData("state.sqlite", "missing", "is missing")]
    [InlineData("state.sqlite", "empty", "is empty")]
    [InlineData("state.sqlite", "cut", "damaged")]
    [InlineData("state.sqlite", "garbled", "damaged")]
    [InlineData("state.sqlite", "zeroed", "damaged")]
    [InlineData("state.sqlite", "older", "is older than")]
    [InlineData("state.sqlite", "folder", "is a folder")]
    [InlineData("state.sqlite", "letter", "damaged")]
    [InlineData("state.sqlite", "unreadable", "is not this user's alone")]
    [InlineData("state.sqlite-wal", "missing", "is older than it was")]
    [InlineData("state.sqlite-wal", "empty", "is older than it was")]
    [InlineData("state.sqlite-wal", "garbled", "is older than it was")]
    [InlineData("state.sqlite-wal", "folder", "is a folder")]
    [InlineData("state.sqlite-wal", "unreadable", "is not this user's alone")]
    [InlineData("state.sqlite-shm", "folder", "is a folder")]
    [InlineData("state.sqlite-instance", "garbled", "cannot be read")]
    [InlineData("state.sqlite-instance", "folder", "is a folder")]
    [InlineData("state.sqlite-instance", "missing", "is missing")]
    public async Task A_start_is_refused_in_one_message(string name, string fate, string says)
    {
        Befall(Path.Combine(_folder, name), fate);
        var (exit, error) = await RefusedAsync();

        Assert.Equal(1, exit);
        Assert.Contains(says, error, StringComparison.Ordinal);
        Assert.Contains(name == "state.sqlite-shm" ? name : "state.sqlite", error, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled exception", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Theory]
    [InlineData("state.sqlite-shm", "missing")]
    [InlineData("state.sqlite-shm", "garbled")]
    public async Task What_can_be_made_again_holds_up_no_start(string name, string fate)
    {
        Befall(Path.Combine(_folder, name), fate);
        await using var server = new ServerProcess(_folder, "--no-agent");
        await server.StartAsync(Cancellation);

        Assert.True(await KillSwitchAsync(server));
    }

    [Fact]
    public async Task A_lost_state_goes_on_empty_where_that_is_accepted_with_the_kill_switch_on()
    {
        File.Delete(Path.Combine(_folder, "state.sqlite"));
        File.Delete(Path.Combine(_folder, "state.sqlite-wal"));
        File.Delete(Path.Combine(_folder, "state.sqlite-instance"));
        var (_, refusal) = await RefusedAsync();
        Assert.Contains("its folder holds what a server left", refusal, StringComparison.Ordinal);
        Assert.Contains("--accept-state", refusal, StringComparison.Ordinal);

        await using (var server = new ServerProcess(_folder, "--no-agent", "--accept-state"))
        {
            await server.StartAsync(Cancellation);
            Assert.True(await KillSwitchAsync(server));
            using var off = await server.Http.PutAsJsonAsync(
                "api/whistle/v1/kill-switch", new { on = false, reason = "looked" }, Cancellation);
            Assert.Equal(HttpStatusCode.OK, off.StatusCode);
        }

        await using var again = new ServerProcess(_folder, "--no-agent");
        await again.StartAsync(Cancellation);
        Assert.False(await KillSwitchAsync(again));
    }

    [Fact]
    public async Task A_start_that_accepts_the_state_and_fails_before_the_kill_switch_is_on_leaves_it_refused()
    {
        File.Delete(Path.Combine(_folder, "state.sqlite-wal"));
        using (new DuckDbStore(new StoreOptions(Path.Combine(_folder, "telemetry"), TimeSpan.MaxValue), TimeProvider.System))
        {
            // Another process has the store.
            var (exit, failed) = await RefusedAsync("--accept-state");
            Assert.Equal(1, exit);
            Assert.DoesNotContain("Or start with --accept-state", failed, StringComparison.Ordinal);
        }

        var (_, refused) = await RefusedAsync();
        Assert.Contains("Or start with --accept-state", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task While_the_state_cannot_be_used_the_api_says_so_and_the_server_goes_on()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var state = (StateDatabase)server.App.Services.GetService(typeof(StateDatabase))!;
        state.Fault = _ => throw new StateException("The disk of state.sqlite is full.");

        using var refused = await server.Http.PutAsJsonAsync("api/whistle/v1/kill-switch", new { on = true, reason = "odd" }, Cancellation);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        // Why is the operator's business, and in the log.
        Assert.Matches(
            "^The state cannot be used for now. Try again. The server's log says why, under fault-[0-9a-f]{8}.$",
            (await refused.Content.ReadFromJsonAsync<JsonElement>(Cancellation)).GetProperty("error").GetString()!);
        state.Fault = null;
        using var taken = await server.Http.PutAsJsonAsync("api/whistle/v1/kill-switch", new { on = true, reason = "odd" }, Cancellation);
        Assert.Equal(HttpStatusCode.OK, taken.StatusCode);
    }

    static async Task<bool> KillSwitchAsync(ServerProcess server) =>
        (await server.Http.GetFromJsonAsync<JsonElement>("api/whistle/v1/kill-switch", Cancellation)).GetProperty("on").GetBoolean();

    async Task<(int Exit, string Error)> RefusedAsync(params string[] options)
    {
        using var process = ChildProcess.StartProject(
            "Whistle", "whistle.dll",
            ["serve", "--no-agent", "--data", _folder, "--listen", $"http://127.0.0.1:{ChildProcess.FreePort()}", .. options]);
        var error = new StringWriter();
        process.ErrorDataReceived += (_, line) => error.Write(line.Data is null ? "" : line.Data + "\n");
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, error.ToString());
    }

    void Befall(string path, string fate)
    {
        var bytes = File.Exists(path) ? File.ReadAllBytes(path) : new byte[32768];
        File.Delete(path);
        switch (fate)
        {
            case "missing":
                break;
            case "empty":
                File.WriteAllText(path, "");
                break;
            case "cut":
                File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
                break;
            case "garbled" or "zeroed":
                for (var i = 40; i < bytes.Length; i++)
                    bytes[i] = fate == "zeroed" ? (byte)0 : (byte)(bytes[i] ^ (i * 37));
                File.WriteAllBytes(path, bytes);
                break;
            case "older":
                File.Copy(Path.Combine(_folder, "older"), path);
                break;
            case "folder":
                Directory.CreateDirectory(path);
                break;
            case "letter":
                File.WriteAllText(path, string.Concat(Enumerable.Repeat("This is a letter.\n", 1000)));
                break;
            case "unreadable":
                // For root too: it leads to itself.
                File.CreateSymbolicLink(path, path);
                break;
        }
    }
}
