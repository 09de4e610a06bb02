using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Whistle.Actions.Contract;
using Whistle.Actions.Disk;
using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Remediation.Runbooks;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>docs/actions.md is what people write policies and runbooks by.</summary>
public sealed class ActionDocumentTests
{
    const string Document = ActionTables.Document;
    const string PolicyDocument = "docs/node-policy.md";

    static readonly IReadOnlyList<ActionDescriptor> All = [.. NodeActions.All.Select(a => a.Descriptor)];

    [Fact]
    public void The_policy_of_the_documentation_is_taken_and_allows_what_it_says()
    {
        using var fixture = new ActionFixture();
        fixture.WritePolicy(Repository.Examples(PolicyDocument, "json")[0]);
        var policy = NodePolicy.Read(fixture.PolicyFile, [], out var refusal);

        Assert.Null(refusal);
        Assert.Equal(["/var/tmp/builds", "/data/spool"], policy!.CleanPaths.Select(r => r.Root));
        Assert.Equal(
            "all archived files but the newest 256.0 MiB and those with entries younger than 2d", new VacuumJournal().Allowance(policy));
        Assert.All(NodeActions.All, a => Assert.DoesNotContain("refused", a.Allowance(policy), StringComparison.Ordinal));
        Assert.All(
            NodeActions.All.Where(a => a.Descriptor.Mutates),
            a => Assert.StartsWith("refused: the node's policy ", a.Allowance(new NodePolicy()), StringComparison.Ordinal));
    }

    /// <summary>With WHISTLE_TEST_WRITE_DOCS=1 it writes them.</summary>
    [Fact]
    public void The_tables_of_actions_and_parameters_are_those_of_the_descriptors()
    {
        var filled = ActionTables.Fill(Repository.Document(Document));
        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_WRITE_DOCS") == "1")
            File.WriteAllText(Path.Combine(Repository.Root, Document), filled);
        Assert.True(
            filled == Repository.Document(Document),
            $"The tables of {Document} are not those of the descriptors. Write them with: "
            + "WHISTLE_TEST_WRITE_DOCS=1 dotnet test --project tests/Whistle.Tests -- --filter-class '*.ActionDocumentTests'");
        Assert.Equal(All.Select(a => a.Name), Repository.FirstCells(Document, "# Actions"));
    }

    [Fact]
    public void The_keys_of_the_policy_are_those_that_there_are_and_each_belongs_to_an_action()
    {
        Assert.Equal(Names(typeof(NodePolicy)).Order(), All.SelectMany(a => a.PolicyKeys).Distinct().Order());
        Assert.Equal(
            Names(typeof(NodePolicy)).Concat(Keys<CleanRule>("cleanPaths[]")).Concat(Keys<JournalRule>("vacuumJournal"))
                .Concat(Keys<UnitRule>("restartUnits[]")).Concat(Keys<SysctlRule>("raiseSysctls[]"))
                .Concat(Keys<CertificateRule>("certificates[]")).Concat(Keys<RenewRule>("renewCertificates"))
                .Concat(Keys<BackupRule>("pruneBackups[]")).Concat(Keys<DiagnosticsRule>("diagnostics")).Order(),
            Repository.FirstCells(PolicyDocument, "# The node's policy").Order());
    }

    [Fact]
    public void Every_action_of_the_program_has_added_itself()
    {
        var types = typeof(INodeAction).Assembly.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(INodeAction)));

        Assert.Equal(types.Select(t => t.Name).Order(), NodeActions.All.Select(a => a.GetType().Name).Order());
    }

    [Fact]
    public void The_server_knows_every_action_as_it_is() => Assert.All(All, a => Assert.Same(a, ActionCatalogue.Find(a.Name)));

    [Fact]
    public void Descriptors_say_all_that_people_and_gates_need()
    {
        Assert.Equal(All.Count, All.DistinctBy(a => a.Name).Count());
        Assert.All(All, a => Assert.Matches(@"^[a-z]+\.[a-z-]+$", a.Name));
        Assert.All(All, a => Assert.EndsWith(".", a.Summary, StringComparison.Ordinal));
        Assert.All(All, a => Assert.NotNull(a.Report));
        Assert.All(All, a => Assert.Equal((a.Name, a.Mutates), (a.Name, a.DryRun is not null)));
        Assert.All(All.Where(a => a.Mutates), a => Assert.NotEmpty(a.PolicyKeys));
        Assert.All(All.Where(a => a.Undo is not null), a => Assert.True(ActionCatalogue.Find(a.Undo!)!.Mutates));
        Assert.All(All.SelectMany(a => a.Parameters), p => Assert.Equal((p.Name, true), (p.Name, !p.Required || p.Example is not null)));
    }

    [Fact]
    public void Each_report_is_shown_once_with_all_its_fields()
    {
        Assert.All(All.DistinctBy(a => a.Report!.Type), a => AssertShown(a.Report!, ActionTables.Example(a)));
        AssertShown(
            CleanJson.Default.CleanedRoot, ActionTables.Example(All.Single(a => a.Name == "disk.clean-paths")).GetProperty("roots")[0]);
    }

    [Fact]
    public void The_folders_that_are_never_cleaned_are_refused()
    {
        var folders = FoldersUnder("## Folders that are never a root", "A root that is");

        Assert.Equal(36, folders.Count);
        Assert.All(folders, f => Assert.NotNull(VitalFolders.Refusal(f, [], [f])));
        var unlessNamed = FoldersUnder("## Folders that need a second entry", "The same applies")
            .ConvertAll(f => f.Replace("*", "bob", StringComparison.Ordinal));
        Assert.Equal(16, unlessNamed.Count);
        Assert.All(unlessNamed, f => Assert.NotNull(VitalFolders.Refusal($"{f}/x", [], [])));
        Assert.All(unlessNamed, f => Assert.Null(VitalFolders.Refusal($"{f}/x", [], [$"{f}/x"])));
    }

    static List<string> FoldersUnder(string heading, string end) =>
        [.. Repository.Document(PolicyDocument).Split(heading)[1].Split(end)[0].Split('`').Where(p => p.StartsWith('/'))];

    static IEnumerable<string> Keys<T>(string mapping) => Names(typeof(T)).Select(k => $"{mapping}.{k}");

    static IEnumerable<string> Names(Type type) => PolicyJson.Default.GetTypeInfo(type)!.Properties.Select(p => p.Name);

    // All but what is told only where it applies.
    static void AssertShown(JsonTypeInfo type, JsonElement shown) => Assert.Equal(
        type.Properties.Select(p => p.Name).Except(["stopped", "notCleaned", "servicesUnknown"]).Order(),
        shown.EnumerateObject().Select(p => p.Name).Order());
}
