using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Ingest;

using Xunit;

namespace Whistle.Tests;

/// <summary>Who has the lock of a data folder, and what becomes of it when its file goes away.</summary>
public sealed class ServerLockTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-lock").FullName;
    readonly HealthBoard _health = new(TimeProvider.System);

    string LockFile => Path.Combine(_folder, ServerLock.FileName);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_second_is_told_who_the_first_is_and_the_file_stays_when_the_lock_goes()
    {
        using (ServerLock.Take(_folder, "whistle data repair"))
        {
            var refusal = Assert.Throws<StartException>(() => ServerLock.TakeForServer(_folder)).Message;
            Assert.Contains($"whistle data repair (process {Environment.ProcessId}) uses {_folder}", refusal, StringComparison.Ordinal);
            Assert.False(Assert.Throws<FolderInUseException>(() => ServerLock.Take(_folder, "whistle data check")).IsServer);
        }

        Assert.True(File.Exists(LockFile));
        using var server = ServerLock.TakeForServer(_folder);
        Assert.True(Assert.Throws<FolderInUseException>(() => ServerLock.Take(_folder, "whistle data check")).IsServer);
    }

    [Fact]
    public void A_lock_whose_file_was_deleted_is_taken_again_and_the_board_says_so()
    {
        using var held = ServerLock.TakeForServer(_folder);
        var watch = new ServerLockWatch(held, _health, NullLogger<ServerLockWatch>.Instance);
        watch.Look();
        Assert.Empty(_health.Problems());

        File.Delete(LockFile);
        watch.Look();
        Assert.Throws<StartException>(() => ServerLock.TakeForServer(_folder));
        watch.Look();
        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("data-folder", "lock", HealthState.Degraded), (problem.Component, problem.Subject, problem.State));
    }

    [Fact]
    public void A_lock_that_another_process_took_in_the_meantime_is_a_failure_until_it_is_back()
    {
        using var held = ServerLock.TakeForServer(_folder);
        var watch = new ServerLockWatch(held, _health, NullLogger<ServerLockWatch>.Instance);
        File.Delete(LockFile);
        using (ServerLock.TakeForServer(_folder))
        {
            watch.Look();
            var problem = Assert.Single(_health.Problems());
            Assert.Equal(HealthState.Failed, problem.State);
            Assert.Contains("two processes work on one folder", problem.Reason, StringComparison.Ordinal);
        }

        watch.Look();
        Assert.Equal(HealthState.Degraded, Assert.Single(_health.Problems()).State);
        Assert.Throws<StartException>(() => ServerLock.TakeForServer(_folder));
    }
}
