using System.Text.Json;

using Whistle.Actions;
using Whistle.Actions.Certificates;
using Whistle.Actions.Diagnostics;
using Whistle.Actions.Disk;
using Whistle.Actions.Files;
using Whistle.Actions.Kernel;
using Whistle.Actions.Packages;
using Whistle.Actions.Units;
using Whistle.Remediation.Runbooks;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>docs/actions.md is what people write policies and runbooks by.</summary>
public sealed class ActionDocumentTests
{
    const string Document = "docs/actions.md";
    const string PolicyDocument = "docs/node-policy.md";

    // Where a report is shown under another action already, it is null here.
    static readonly (string Action, Type Parameters, Type? Report)[] Shapes =
    [
        ("disk.largest-directories", typeof(LargestParameters), typeof(LargestReport)), ("disk.clean-paths", typeof(CleanParameters), typeof(CleanReport)),
        ("disk.vacuum-journal", typeof(VacuumParameters), typeof(VacuumReport)), ("disk.prune-backups", typeof(PruneBackupsParameters), typeof(PruneBackupsReport)),
        ("images.prune", typeof(PruneImagesParameters), typeof(PruneImagesReport)), ("logs.rotate", typeof(RotateParameters), typeof(RotateReport)),
        ("diagnostics.capture", typeof(CaptureParameters), typeof(CaptureReport)), ("unit.restart", typeof(RestartParameters), typeof(RestartReport)),
        ("sysctl.raise", typeof(RaiseParameters), typeof(SysctlReport)), ("sysctl.restore", typeof(RestoreParameters), null),
        ("clock.check", typeof(ClockParameters), typeof(ClockReport)), ("certificates.check", typeof(CheckParameters), typeof(CheckReport)),
        ("certificates.renew", typeof(RenewParameters), typeof(RenewReport)), ("packages.check", typeof(CheckPackagesParameters), typeof(CheckPackagesReport)),
        ("packages.pin", typeof(PinParameters), typeof(PinReport)), ("packages.unpin", typeof(PinParameters), null),
    ];

    static readonly IReadOnlyList<string> Examples = Repository.Examples(Document, "json");

    [Fact]
    public void The_policy_of_the_documentation_is_taken_and_allows_what_it_says()
    {
        using var fixture = new ActionFixture();
        fixture.WritePolicy(Repository.Examples(PolicyDocument, "json")[0]);
        var policy = NodePolicy.Read(fixture.PolicyFile, [], out var refusal);

        Assert.Null(refusal);
        Assert.Equal(["/var/tmp/builds", "/data/spool"], policy!.CleanPaths.Select(r => r.Root));
        Assert.Equal("all archived files but the newest 256.0 MiB and those with entries younger than 2d", new VacuumJournal().Allowance(policy));
        Assert.All(NodeActions.All, a => Assert.DoesNotContain("refused", a.Allowance(policy), StringComparison.Ordinal));
        Assert.All(NodeActions.All.Where(a => a.Mutates), a => Assert.StartsWith("refused: the node's policy ", a.Allowance(new NodePolicy()), StringComparison.Ordinal));
    }

    [Fact]
    public void The_actions_their_parameters_and_the_keys_of_the_policy_are_those_that_there_are()
    {
        Assert.Equal(NodeActions.All.Select(a => a.Name), Repository.FirstCells(Document, "# Actions"));
        Assert.Equal(NodeActions.All.Select(a => a.Name), Shapes.Select(s => s.Action));
        Assert.All(Shapes, s => Assert.Equal(
            Names(s.Parameters).Order(), Repository.FirstCells(Document, $"## {s.Action}").TakeWhile(c => c != "not-matching").Order()));
        Assert.Equal(
            Names(typeof(NodePolicy)).Concat(Keys<CleanRule>("cleanPaths[]")).Concat(Keys<JournalRule>("vacuumJournal")).Concat(Keys<UnitRule>("restartUnits[]"))
                .Concat(Keys<SysctlRule>("raiseSysctls[]")).Concat(Keys<CertificateRule>("certificates[]")).Concat(Keys<RenewRule>("renewCertificates"))
                .Concat(Keys<BackupRule>("pruneBackups[]")).Concat(Keys<DiagnosticsRule>("diagnostics")).Order(),
            Repository.FirstCells(PolicyDocument, "# The node's policy").Order());
    }

    [Fact]
    public void The_server_knows_every_action_and_which_only_read() =>
        Assert.All(NodeActions.All, a => Assert.Equal((a.Name, !a.Mutates), (a.Name, ActionCatalogue.Find(a.Name)?.Traits.ReadOnly)));

    [Fact]
    public void The_reports_have_the_fields_that_are_shown()
    {
        var shown = Shapes.Where(s => s.Report is not null).ToList();
        Assert.Equal(shown.Count, Examples.Count);
        Assert.All(shown.Zip(Examples), e => AssertShown(e.First.Report!, e.Second));
        AssertShown(typeof(CleanedRoot), JsonDocument.Parse(Examples[1]).RootElement.GetProperty("roots")[0].GetRawText());
    }

    [Fact]
    public void The_folders_that_are_never_cleaned_are_refused()
    {
        var folders = Repository.Document(PolicyDocument).Split("Some folders cannot be named")[1].Split("found out")[0].Split('`').Where(p => p.StartsWith('/')).ToList();

        Assert.Equal(36, folders.Count);
        Assert.All(folders, f => Assert.NotNull(VitalFolders.Refusal(f, [], [f])));
        var unlessNamed = Repository.Document(PolicyDocument).Split("`vitalCleanRoots` as well")[1].Split("So is somebody")[0].Split('`').Where(p => p.StartsWith('/'))
            .Select(f => f.Replace("*", "bob", StringComparison.Ordinal)).ToList();
        Assert.Equal(16, unlessNamed.Count);
        Assert.All(unlessNamed, f => Assert.NotNull(VitalFolders.Refusal($"{f}/x", [], [])));
        Assert.All(unlessNamed, f => Assert.Null(VitalFolders.Refusal($"{f}/x", [], [$"{f}/x"])));
    }

    static IEnumerable<string> Keys<T>(string mapping) => Names(typeof(T)).Select(k => $"{mapping}.{k}");

    static IEnumerable<string> Names(Type type) => ActionsJson.Default.GetTypeInfo(type)!.Properties.Select(p => p.Name);

    // All but what is told only where it applies.
    static void AssertShown(Type type, string json) => Assert.Equal(
        Names(type).Except(["stopped", "notCleaned", "servicesUnknown"]).Order(), JsonDocument.Parse(json).RootElement.EnumerateObject().Select(p => p.Name).Order());
}
