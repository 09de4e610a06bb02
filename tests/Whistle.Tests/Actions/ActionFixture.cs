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
        Directory.CreateDirectory(Root);
        Directory.CreateDirectory(Outside);
        File.WriteAllText(Path.Join(Outside, "treasure.log"), "gold");
        WritePolicy($$"""{ "cleanPaths": [ { "root": "{{Root}}", "patterns": ["*.log"], "minimumAge": "7d" } ] }""");
    }

    public string Root => Path.Join(_folder, "root");

    public string Outside => Path.Join(_folder, "outside");

    public string PolicyFile => Path.Join(_folder, "policy.json");

    // Files of now are old by then.
    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow().AddDays(30));

    public Func<BeginAnswer> Begin { get; set; } = () => new BeginAnswer(true, 10, null);

    public int Begins { get; private set; }

    public Action<string>? BetweenLookAndAct { get; set; }

    public IReadOnlyList<string> JournalPrograms { get; set; } = ["/nowhere/journalctl"];

    public IReadOnlyList<string> JournalFolders { get; set; } = [];

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
            BetweenLookAndAct = BetweenLookAndAct,
            JournalPrograms = JournalPrograms,
            JournalFolders = JournalFolders,
        };
        return await NodeActions.All.Single(a => a.Name == action).RunAsync(json.RootElement, context, CancellationToken.None);
    }

    public void AssertOutsideIsWhole() => Assert.Equal("gold", File.ReadAllText(Path.Join(Outside, "treasure.log")));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    BeginAnswer Ask()
    {
        Begins++;
        return Begin();
    }
}
