using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Backups;
using Whistle.Ingest.Stores;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What an earlier version kept, this one keeps: over an upgrade, a backup and a move.</summary>
public sealed class OldDataTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-old").FullName;

    string Data => Path.Combine(_folder, "data");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_upgrade_keeps_every_sample_and_all_state_and_so_does_the_upkeep_after_it()
    {
        OldData.Extract(Data);
        await using (var server = await StartAsync(Data))
        {
            await AssertKeptAsync(server);
            server.App.Services.GetRequiredService<DuckDbStore>().Maintain();
            await AssertKeptAsync(server);
        }

        await using var again = await StartAsync(Data);
        await AssertKeptAsync(again);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_backup_of_old_data_restores_every_sample_and_all_state(bool afterUpkeep)
    {
        OldData.Extract(Data);
        var backup = Path.Combine(_folder, "backup");
        await using (var server = await StartAsync(Data))
        {
            if (afterUpkeep)
                server.App.Services.GetRequiredService<DuckDbStore>().Maintain();
            await Backup.CreateAsync(server.App.Services.GetRequiredService<BackupSource>(), backup, _ => { }, Cancellation);
        }

        var restored = Path.Combine(_folder, "restored");
        Restore.Run(backup, restored, replace: false, TimeProvider.System, _ => { }, Cancellation);
        await using var other = await StartAsync(restored);
        await AssertKeptAsync(other);
        Assert.Contains(
            "restored from the backup of", await other.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_copied_folder_is_the_same_on_another_machine()
    {
        OldData.Extract(Data);
        await using (var server = await StartAsync(Data))
            await AssertKeptAsync(server);
        var moved = Path.Combine(_folder, "moved");
        using (var copy = ChildProcess.Start("cp", ["-a", Data, moved]))
            await copy.WaitForExitAsync(Cancellation);
        Directory.Delete(Data, recursive: true);
        await using var other = await StartAsync(moved);
        await AssertKeptAsync(other);
        Assert.Contains(
            "\"on\":false", await other.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation), StringComparison.Ordinal);
    }

    static Task<InProcessServer> StartAsync(string data) => InProcessServer.StartAsync(Cancellation, data, o => o with
    {
        Time = new FakeTimeProvider(OldData.StoppedAt),
        RunTimers = false,
        Rules = [OldData.Rules],
        Runbooks = [OldData.Runbooks],
    });

    static async Task AssertKeptAsync(InProcessServer server)
    {
        await OldData.AssertSamplesAsync(server.Http, Cancellation);
        await OldData.AssertStateAsync(server.Http, server.App, Cancellation);
    }
}
