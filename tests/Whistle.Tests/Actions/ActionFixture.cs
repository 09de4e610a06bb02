using System.Diagnostics;
using System.Text.Json;

using Microsoft.Extensions.Time.Testing;

using Whistle.Actions;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>A root with a policy for it, and a folder outside that must never change. A policy is root's, so the tests need to be.</summary>
sealed class ActionFixture : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-actions").FullName;

    public ActionFixture()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "A policy file must be root's, so this test needs root.");
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
    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow().AddDays(30));

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

    public void WritePolicy(string json) => File.WriteAllText(PolicyFile, json);

    public async Task<ActionReport> RunAsync(string action, string parameters = "{}", bool dryRun = false)
    {
        using var json = JsonDocument.Parse(parameters);
        var context = new ActionContext
        {
            DryRun = dryRun,
            Guard = new MutationGuard(Time, _ => ValueTask.FromResult(Ask()), _ => ValueTask.FromResult<string?>(null)),
            Time = Time,
            PolicyFile = PolicyFile,
            ProcPath = ProcPath,
            SysPath = SysPath,
            BetweenLookAndAct = BetweenLookAndAct,
        };
        return await NodeActions.All.Single(a => a.Name == action).RunAsync(json.RootElement, context, Cancellation);
    }

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
