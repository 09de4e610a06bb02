using System.Diagnostics;
using System.Text.Json;

using Whistle.Actions;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Runs while no other test does, since it measures what the whole process allocates.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>The clean-up on a file system of its own: mounts below the root, and a million files.</summary>
[Collection(nameof(Alone))]
public sealed class CleanPathsAtScaleTests : IDisposable
{
    const int Folders = 100;
    const int FilesEach = 10_000;

    readonly string _base = Directory.CreateTempSubdirectory("whistle-clean").FullName;
    readonly Stack<string> _mounts = new();

    string Root => Path.Join(_base, "disk", "root");

    public void Dispose()
    {
        while (_mounts.TryPop(out var mount))
            Run("umount", mount);
        Directory.Delete(_base, recursive: true);
    }

    [Fact]
    public async Task Neither_another_file_system_nor_a_bind_mount_below_the_root_is_entered()
    {
        Prepare();
        var other = Mount("-t", "tmpfs", "whistle-test", Path.Join(Root, "other"));
        var outside = Directory.CreateDirectory(Path.Join(_base, "disk", "outside")).FullName;
        File.WriteAllText(Path.Join(outside, "treasure"), "gold");
        File.WriteAllText(Path.Join(other, "treasure"), "gold");
        var bound = Mount("--bind", outside, Path.Join(Root, "bound"));
        File.WriteAllText(Path.Join(Root, "waste"), "x");

        var report = await RunAsync("disk.clean-paths");
        Assert.Equal(1, report.GetProperty("files").GetInt64());
        Assert.Equal(2, report.GetProperty("roots")[0].GetProperty("left").GetProperty("other-mount").GetInt64());
        Assert.All([Path.Join(other, "treasure"), Path.Join(bound, "treasure")], path => Assert.Equal("gold", File.ReadAllText(path)));
    }

    [Fact]
    public async Task A_million_files_are_measured_and_deleted_in_memory_that_does_not_grow_with_them()
    {
        Prepare();
        for (var i = 0; i < Folders; i++)
        {
            var folder = Directory.CreateDirectory(Path.Join(Root, $"d{i}")).FullName;
            for (var j = 0; j < FilesEach; j++)
                File.OpenHandle(Path.Join(folder, $"f{j}"), FileMode.CreateNew, FileAccess.Write).Dispose();
        }

        var before = GC.GetTotalAllocatedBytes(precise: true);
        var measured = await RunAsync("disk.largest-directories", $$"""{ "mountPoint": "{{Root}}" }""");
        var planned = await RunAsync("disk.clean-paths", dryRun: true);
        var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        var cleaned = await RunAsync("disk.clean-paths");

        Assert.Equal(Folders * FilesEach, measured.GetProperty("files").GetInt64());
        Assert.Equal(Folders * FilesEach, planned.GetProperty("files").GetInt64());
        Assert.Equal(Folders * FilesEach, cleaned.GetProperty("files").GetInt64());
        Assert.Empty(Directory.EnumerateFiles(Root, "*", SearchOption.AllDirectories));
        // All that both walks ever allocated, so the peak is far below it. A debug build makes one short-lived state machine for each file.
        Assert.InRange(allocated, 0, 160L << 20);
    }

    void Prepare()
    {
        Requirement.Root();
        Mount("-t", "tmpfs", "whistle-test", Path.Join(_base, "disk"));
        Directory.CreateDirectory(Root);
        File.WriteAllText(Path.Join(_base, "policy.json"), $$"""
            { "acceptUnseenProcesses": true, "cleanPaths": [ { "root": "{{Root}}", "patterns": ["*"], "minimumAge": "0s" } ] }
            """);
    }

    async Task<JsonElement> RunAsync(string action, string parameters = "{}", bool dryRun = false)
    {
        using var json = JsonDocument.Parse(parameters);
        var time = TimeProvider.System;
        var report = await NodeActions.All.Single(a => a.Name == action).RunAsync(
            json.RootElement,
            new ActionContext
            {
                DryRun = dryRun,
                Guard = new MutationGuard(time, _ => ValueTask.FromResult(new BeginAnswer(true, 10, null)), _ => ValueTask.FromResult<string?>(null)),
                Time = time,
                PolicyFile = Path.Join(_base, "policy.json"),
            },
            TestContext.Current.CancellationToken);
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        return report.Output!.Value;
    }

    string Mount(params string[] arguments)
    {
        Directory.CreateDirectory(arguments[^1]);
        Run("mount", arguments);
        _mounts.Push(arguments[^1]);
        return arguments[^1];
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
