using System.Diagnostics;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A mounted file system with a root that may be cleaned and a folder outside of it that must never change.</summary>
sealed class ActionDisk : IDisposable
{
    readonly MountFolder _base = MountFolder.Create();

    ActionDisk()
    {
    }

    public string Disk => Path.Join(_base.FullPath, "disk");

    public string Root => Path.Join(Disk, "root");

    public string Outside => Path.Join(Disk, "outside");

    public string PolicyFile => Path.Join(_base.FullPath, "policy.json");

    public Action<string>? BetweenLookAndAct { get; set; }

    public IReadOnlyList<string> ProtectedFolders { get; set; } = [];

    public static ActionDisk Memory()
    {
        Requirement.Root();
        return new ActionDisk().With(d => d.Mount("-t", "tmpfs", "-o", "nr_inodes=0", "whistle-test", d.Disk));
    }

    /// <summary>A real ext4 in a file.</summary>
    public static ActionDisk Ext4()
    {
        Requirement.LoopDevice();
        return new ActionDisk().With(d => d._base.MountExt4(64, d.Disk));
    }

    /// <summary>Whatever its age and name.</summary>
    public void AllowAll(params string[] roots) => File.WriteAllText(PolicyFile, $$"""
        {
          // The machine of a test may hide a process of its own.
          "acceptUnseenProcesses": true,
          "cleanPaths": [ {{string.Join(", ", roots.Select(r => $$"""{ "root": "{{r}}", "patterns": ["*"], "minimumAge": "0s" }"""))}} ]
        }
        """);

    public void AllowVital(string root) => File.WriteAllText(PolicyFile, $$"""
        { "acceptUnseenProcesses": true, "cleanPaths": [{ "root": "{{root}}", "patterns": ["*"], "minimumAge": "0s" }],
          "vitalCleanRoots": ["{{root}}"] }
        """);

    public string Write(string path)
    {
        var full = Path.Join(Disk, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, "gold");
        return full;
    }

    public async Task<ActionReport> RunAsync(string action, string parameters = "{}", bool dryRun = false)
    {
        using var json = JsonDocument.Parse(parameters);
        var time = TimeProvider.System;
        var context = new ActionContext
        {
            DryRun = dryRun,
            Guard = new MutationGuard(
                time, _ => ValueTask.FromResult(new BeginAnswer(true, 10, null)), _ => ValueTask.FromResult<string?>(null)),
            Time = time,
            PolicyFile = PolicyFile,
            ProtectedFolders = ProtectedFolders,
            BetweenLookAndAct = BetweenLookAndAct,
        };
        return await NodeActions.All.Single(a => a.Descriptor.Name == action)
            .RunAsync(json.RootElement, context, TestContext.Current.CancellationToken);
    }

    /// <summary>As <c>mount</c> has it; the last argument, where it is mounted, is made.</summary>
    public string Mount(params string[] arguments) => _base.Mount(arguments);

    public static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}");
    }

    public void Dispose() => _base.Dispose();

    ActionDisk With(Action<ActionDisk> mount)
    {
        mount(this);
        Directory.CreateDirectory(Root);
        Directory.CreateDirectory(Outside);
        AllowAll(Root);
        return this;
    }
}
