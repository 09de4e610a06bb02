using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests;

/// <summary>Who has the lock of a data folder, and what happens when its file is deleted.</summary>
public sealed class ServerLockTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-lock").FullName;
    readonly HealthBoard _health = new(TimeProvider.System);

    string LockFile => Path.Combine(_folder, ServerLock.FileName);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_server_waits_for_a_command_and_says_for_which()
    {
        var told = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<ServerLock> waiting;
        using (ServerLock.Take(_folder, "whistle data repair"))
        {
            waiting = Task.Factory.StartNew(
                () => ServerLock.TakeForServer(_folder, told.SetResult), TestContext.Current.CancellationToken,
                TaskCreationOptions.LongRunning, TaskScheduler.Default);
            Assert.StartsWith(
                $"whistle data repair (process {Environment.ProcessId}) works on {_folder}", await told.Task, StringComparison.Ordinal);
            Assert.False(waiting.IsCompleted);
        }

        using var server = await waiting;
        Assert.True(Assert.Throws<FolderInUseException>(() => ServerLock.Take(_folder, "whistle data check")).IsServer);
    }

    [Fact]
    public void A_lock_that_was_given_back_is_free_while_a_program_that_was_started_still_has_the_file_open()
    {
        Assert.SkipUnless(Native.IsKnown, "The lock is the kernel's on Linux alone.");
        // As a fork has it, until it runs its program.
        int copy;
        using (ServerLock.TakeForServer(_folder))
        {
            var opened = Directory.GetFiles("/proc/self/fd").First(f => new FileInfo(f).LinkTarget == LockFile);
            copy = Duplicate(int.Parse(Path.GetFileName(opened), System.Globalization.CultureInfo.InvariantCulture));
            Assert.True(copy > 0);
        }

        using var held = new Microsoft.Win32.SafeHandles.SafeFileHandle(copy, ownsHandle: true);
        using var again = ServerLock.TakeForServer(_folder);
    }

    // The generated code would be unsafe, which this project has none of; libc is not looked for here.
#pragma warning disable SYSLIB1054, CA5392
    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "dup")]
    static extern int Duplicate(int file);
#pragma warning restore SYSLIB1054, CA5392

    [Fact]
    public void A_folder_that_was_away_and_is_back_is_no_failure_for_ever()
    {
        using var held = ServerLock.TakeForServer(_folder);
        var watch = new ServerLockWatch(held, _health, NullLogger<ServerLockWatch>.Instance);
        Directory.Move(_folder, _folder + "-away");
        watch.Look();
        Assert.Equal(HealthState.Failed, Assert.Single(_health.Problems()).State);

        Directory.Move(_folder + "-away", _folder);
        watch.Look();
        var problem = Assert.Single(_health.Problems());
        Assert.Equal(HealthState.Degraded, problem.State);
        Assert.Contains("is there again", problem.Reason, StringComparison.Ordinal);
        Assert.Throws<StartException>(() => ServerLock.TakeForServer(_folder));
    }

    [Fact]
    public void What_root_locks_behind_a_link_stays_its_owners()
    {
        Assert.SkipUnless(Native.IsKnown && Native.EffectiveUser == 0, "Only root can make the folder of another user.");
        var (real, link) = (Path.Combine(_folder, "real"), Path.Combine(_folder, "link"));
        Directory.CreateDirectory(real);
        Directory.CreateSymbolicLink(link, real);
        Assert.Equal(0, Native.OpenFolder(real, out var opened));
        using (var folder = new Microsoft.Win32.SafeHandles.SafeFileHandle(opened, ownsHandle: true))
            Assert.Equal(0, Native.Give(opened, 4711));

        for (var time = 0; time < 2; time++)
        {
            using var held = ServerLock.Take(link, "whistle data check");
            Assert.Equal(0, Native.Stat(Path.Combine(real, ServerLock.FileName), out var stat));
            Assert.Equal(4711u, stat.Owner);
        }
    }

    [Fact]
    public void The_second_is_told_who_the_first_is_and_the_file_stays_when_the_lock_goes()
    {
        using (ServerLock.Take(_folder, "whistle data repair"))
        {
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
