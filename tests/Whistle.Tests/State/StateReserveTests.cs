using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.State;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.State;

public sealed class StateReserveTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-reserve").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // A restored state has no log yet, and the folders above the data may be links.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_restored_state_gets_its_room_wherever_its_folder_is(bool linked)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Blocks are allocated ahead on Linux.");
        var data = Directory.CreateDirectory(Path.Combine(_folder, "real", "data")).FullName;
        if (linked)
        {
            Directory.CreateSymbolicLink(Path.Combine(_folder, "link"), Path.Combine(_folder, "real"));
            data = Path.Combine(_folder, "link", "data");
        }

        var file = Path.Combine(data, "state.sqlite");
        using (var made = new StateDatabase(file))
            await made.MigrateAsync(StateReserve.Tables, TestContext.Current.CancellationToken);
        using (var plain = new SqliteConnection($"Data Source={file};Pooling=False"))
        {
            plain.Open();
            using var command = plain.CreateCommand();
            command.CommandText = "PRAGMA journal_mode = DELETE";
            Assert.Equal("delete", command.ExecuteScalar());
        }

        using var reserve = new StateReserve(data, file, 1 << 20);
        reserve.Open();
        using var state = new StateDatabase(file);

        Assert.True(await reserve.ReserveAsync(state, TestContext.Current.CancellationToken));
        Assert.True(File.Exists(Path.Combine(data, "reserve", "space")));
    }

    [Fact]
    public async Task A_state_that_is_deleted_while_it_is_in_use_is_reported_until_it_is_back()
    {
        var file = Path.Combine(_folder, "state.sqlite");
        var health = new HealthBoard(TimeProvider.System);
        using var state = new StateDatabase(file);
        state.Watch(health, NullLogger.Instance);
        await state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Empty(health.Problems());

        File.Move(file, file + ".away");
        await state.LookAtFileAsync(TestContext.Current.CancellationToken);
        var problem = Assert.Single(health.Problems());
        Assert.Equal(HealthState.Failed, problem.State);
        Assert.Contains($"{file} was deleted or moved", problem.Reason, StringComparison.Ordinal);

        File.Move(file + ".away", file);
        await state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Empty(health.Problems());
    }

    [Fact]
    public async Task A_state_that_is_replaced_while_it_is_in_use_is_reported_and_the_other_file_is_not_used()
    {
        var (file, other) = (Path.Combine(_folder, "state.sqlite"), Path.Combine(_folder, "other.sqlite"));
        var health = new HealthBoard(TimeProvider.System);
        using (new StateDatabase(other))
        {
        }

        using var state = new StateDatabase(file);
        state.Watch(health, NullLogger.Instance);
        await using var held = await state.OpenAsync(TestContext.Current.CancellationToken);
        File.Move(file, file + ".away");
        File.Move(other, file);

        await state.LookAtFileAsync(TestContext.Current.CancellationToken);
        var problem = Assert.Single(health.Problems());
        Assert.Equal(HealthState.Failed, problem.State);
        Assert.Contains($"{file} was replaced by another file", problem.Reason, StringComparison.Ordinal);
        Assert.Contains(
            "was replaced by another file",
            (await Assert.ThrowsAsync<StateException>(async () => await state.OpenAsync(TestContext.Current.CancellationToken))).Message,
            StringComparison.Ordinal);

        File.Move(file, other);
        File.Move(file + ".away", file);
        await state.LookAtFileAsync(TestContext.Current.CancellationToken);
        Assert.Empty(health.Problems());
        await using var back = await state.OpenAsync(TestContext.Current.CancellationToken);
    }
}
