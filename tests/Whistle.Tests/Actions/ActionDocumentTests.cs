using System.Text.Json;

using Whistle.Actions;
using Whistle.Actions.Disk;
using Whistle.Actions.Files;
using Whistle.Remediation.Runbooks;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>docs/actions.md is what people write policies and runbooks by.</summary>
public sealed class ActionDocumentTests
{
    const string Document = "docs/actions.md";

    static readonly IReadOnlyList<string> Examples = Repository.Examples(Document, "json");

    [Fact]
    public void The_policy_of_the_documentation_is_taken_and_allows_what_it_says()
    {
        using var fixture = new ActionFixture();
        fixture.WritePolicy(Examples[0]);
        var policy = NodePolicy.Read(fixture.PolicyFile, [], out var refusal);

        Assert.Null(refusal);
        Assert.Equal(["/var/tmp/builds", "/data/spool"], policy!.CleanPaths.Select(r => r.Root));
        Assert.Equal("all archived files but the newest 256.0 MiB and those with entries younger than 2d", new VacuumJournal().Allowance(policy));
    }

    [Fact]
    public void The_actions_and_their_parameters_are_those_that_there_are()
    {
        Assert.Equal(NodeActions.All.Select(a => a.Name), Repository.FirstCells(Document, "# Actions"));
        Assert.Equal(Names<LargestParameters>(), Repository.FirstCells(Document, "## disk.largest-directories"));
        Assert.Equal(Names<CleanParameters>().Order(), Repository.FirstCells(Document, "## disk.clean-paths").TakeWhile(c => c != "not-matching").Order());
        Assert.Equal(Names<VacuumParameters>(), Repository.FirstCells(Document, "## disk.vacuum-journal"));
        Assert.Equal(
            Names<NodePolicy>().Concat(Names<CleanRule>().Select(k => $"cleanPaths[].{k}")).Concat(Names<JournalRule>().Select(k => $"vacuumJournal.{k}")).Order(),
            Repository.FirstCells(Document, "## The node's policy").Order());
    }

    [Fact]
    public void The_server_knows_every_action_and_which_only_read() =>
        Assert.All(NodeActions.All, a => Assert.Equal((a.Name, !a.Mutates), (a.Name, ActionCatalogue.Find(a.Name)?.Traits.ReadOnly)));

    [Fact]
    public void The_reports_have_the_fields_that_are_shown()
    {
        Assert.Equal(4, Examples.Count);
        AssertShown<LargestReport>(Examples[1]);
        AssertShown<CleanReport>(Examples[2]);
        AssertShown<CleanedRoot>(JsonDocument.Parse(Examples[2]).RootElement.GetProperty("roots")[0].GetRawText());
        AssertShown<VacuumReport>(Examples[3]);
    }

    [Fact]
    public void The_folders_that_are_never_cleaned_are_refused()
    {
        var folders = Repository.Document(Document).Split("Some folders cannot be named")[1].Split("found out")[0].Split('`').Where(p => p.StartsWith('/')).ToList();

        Assert.Equal(30, folders.Count);
        Assert.All(folders, f => Assert.NotNull(VitalFolders.Refusal(f, [])));
    }

    static IEnumerable<string> Names<T>() => ActionsJson.Default.GetTypeInfo(typeof(T))!.Properties.Select(p => p.Name);

    // All but what is told only where it applies.
    static void AssertShown<T>(string json) => Assert.Equal(
        Names<T>().Except(["stopped", "notCleaned"]).Order(), JsonDocument.Parse(json).RootElement.EnumerateObject().Select(p => p.Name).Order());
}
