using System.Diagnostics;
using System.Text.Json;

using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>
/// A root with a policy for it, and a folder outside that must never change. A policy is root's, so the tests need to be.
/// </summary>
sealed class ActionFixture : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-actions").FullName;

    public ActionFixture()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && Environment.UserName == "root", "A policy file must be root's, so this test needs root.");
        ProcPath = Path.Join(_folder, "proc");
        Directory.CreateDirectory(Root);
        Directory.CreateDirectory(Outside);
        File.WriteAllText(Path.Join(Outside, "treasure.log"), "gold");
        WriteProcess(1);
        WritePolicy($$"""{ "cleanPaths": [ { "root": "{{Root}}", "patterns": ["*.log"], "minimumAge": "7d" } ] }""");
    }

    public string Root => Path.Join(_folder, "root");

    public string Outside => Path.Join(_folder, "outside");

    public string PolicyFile => Path.Join(_folder, "policy.json");

    /// <summary>A written one with one process that has nothing open; the machine's own may hide some.</summary>
    public string ProcPath { get; set; }

    public string SysPath { get; set; } = "/nowhere";

    public CancellationToken Cancellation { get; set; }

    // Files of now are old by then.
    public FakeTimeProvider Time { get; init; } = new(TimeProvider.System.GetUtcNow().AddDays(30));

    /// <summary>Fake programs, before the machine's own.</summary>
    public string Programs => Path.Join(_folder, "programs");

    public string Kubernetes => Path.Join(_folder, "kubernetes");

    public bool ClockSynchronised { get; set; } = true;

    public Func<BeginAnswer> Begin { get; set; } = () => new BeginAnswer(true, 10, null);

    public int Begins { get; private set; }

    public Action<string>? BetweenLookAndAct { get; set; }

    public string Write(string path, string content = "x")
    {
        var full = Path.Join(Root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
        return full;
    }

    /// <summary>
    /// A program of shell, which runs in the folder of the programs and writes down its arguments. It is put there by another process: of a
    /// file that this one had open for writing, a child that another test starts at that moment may hold a copy, and it could not be run.
    /// </summary>
    public void WriteProgram(string name, string body)
    {
        Directory.CreateDirectory(Programs);
        var source = Path.Join(_folder, name + ".source");
        File.WriteAllText(source, $"#!/bin/sh\ncd {Programs}\nprintf '%s\\n' \"$*\" >> {name}.calls\n{body}\n");
        Run("install", "-m", "0755", source, Path.Join(Programs, name));
    }

    /// <summary>The arguments of each call of a program.</summary>
    public string[] Calls(string name) =>
        File.Exists(Path.Join(Programs, name + ".calls")) ? File.ReadAllLines(Path.Join(Programs, name + ".calls")) : [];

    /// <summary>A file that fake programs can read.</summary>
    public void WriteForPrograms(string name, string content)
    {
        Directory.CreateDirectory(Programs);
        File.WriteAllText(Path.Join(Programs, name), content);
    }

    public string WriteProc(string path, string content)
    {
        var full = Path.Join(ProcPath, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
        return full;
    }

    public void WritePolicy(string json) => File.WriteAllText(PolicyFile, json);

    public async Task<ActionReport> RunAsync(string action, string parameters = "{}", bool dryRun = false)
    {
        using var json = JsonDocument.Parse(parameters);
        return await NodeActions.All.Single(a => a.Descriptor.Name == action).RunAsync(json.RootElement, Context(dryRun), Cancellation);
    }

    internal ActionContext Context(bool dryRun) => new()
    {
        DryRun = dryRun,
        Guard = new MutationGuard(Time, _ => ValueTask.FromResult(Ask()), _ => ValueTask.FromResult<string?>(null)),
        Time = Time,
        PolicyFile = PolicyFile,
        ProcPath = ProcPath,
        SysPath = SysPath,
        KubernetesFolder = Kubernetes,
        ProgramFolders = [Programs, "/usr/sbin", "/usr/bin", "/sbin", "/bin"],
        ReadClock = () => ClockReading.From(ClockSynchronised ? 0 : 5, ClockSynchronised ? 0x2001 : 0x40, 2_500_000, 16_000, 500),
        BetweenLookAndAct = BetweenLookAndAct,
    };

    /// <summary>The first process names the namespace of all, as the kernel's own does.</summary>
    public string WriteProcess(int id, string maps = "")
    {
        var process = Path.Join(ProcPath, $"{id}");
        Directory.CreateDirectory(Path.Join(process, "fd"));
        Directory.CreateDirectory(Path.Join(process, "ns"));
        File.WriteAllText(Path.Join(process, "maps"), maps);
        File.WriteAllText(Path.Join(process, "comm"), $"program{id}\n");
        File.CreateSymbolicLink(Path.Join(process, "ns/pid"), "pid:[4026531836]");
        return process;
    }

    public void AssertOutsideIsWhole() => Assert.Equal("gold", File.ReadAllText(Path.Join(Outside, "treasure.log")));

    public static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    // A tree may be too deep for paths.
    public void Dispose() => Run("rm", "-rf", _folder);

    BeginAnswer Ask()
    {
        Begins++;
        return Begin();
    }
}

/// <summary>A clock on which whoever waits has waited at once.</summary>
sealed class LeapingTime() : FakeTimeProvider(TimeProvider.System.GetUtcNow())
{
    /// <summary>Called before each wait.</summary>
    public Action? Waits { get; set; }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Waits?.Invoke();
        if (dueTime > TimeSpan.Zero)
            Advance(dueTime);
        return base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? TimeSpan.Zero : dueTime, period);
    }
}
