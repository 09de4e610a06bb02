using Xunit;

namespace Whistle.Tests;

/// <summary>The section "Projects and folders" of docs/architecture.md is what the project files and <c>folders.txt</c> say.</summary>
public sealed class ProjectDrawingTests
{
    const string Document = "docs/architecture.md";
    const string Heading = "## Projects and folders";

    // The section that a missing one is put after.
    const string Before = "## Projects";

    static readonly string[] Stages = ["ingest", "detectors", "remediation", "alerting"];

    /// <summary>With WHISTLE_TEST_WRITE_DOCS=1 it writes it.</summary>
    [Fact]
    public void The_drawing_is_made_from_the_project_files_and_the_order_of_folders()
    {
        var filled = Fill(Repository.Document(Document));
        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_WRITE_DOCS") == "1")
            File.WriteAllText(Path.Combine(Repository.Root, Document), filled);
        Assert.True(
            filled == Repository.Document(Document),
            $"The section \"{Heading[3..]}\" of {Document} is not what the project files and folders.txt say. Write it with: "
            + "WHISTLE_TEST_WRITE_DOCS=1 dotnet test --project tests/Whistle.Tests -- --filter-class '*.ProjectDrawingTests'");
    }

    [Fact]
    public void The_drawing_has_every_project_and_each_reference_is_drawn_or_follows_from_drawn_ones()
    {
        Assert.Equal(Stages.Order(), ProjectGraph.Projects.Select(p => p.Stage).Distinct().Order());
        Assert.Equal(ProjectGraph.Folders.Keys.Order(), ProjectGraph.Projects.Select(p => p.Name).Order());
        var arrows = Drawing().Where(l => l.Contains("-->", StringComparison.Ordinal)).Select(l => l.Trim().Split(" --> "))
            .ToLookup(l => l[0], l => l[1]);
        foreach (var project in ProjectGraph.Projects)
            Assert.Empty(project.References.Select(Short).Except(Reached(Short(project.Name))));

        IEnumerable<string> Reached(string from) => arrows[from].SelectMany(to => Reached(to).Append(to));
    }

    static string Fill(string document)
    {
        var sections = document.Split("\n## ").ToList();
        var section = string.Join('\n', Section())[3..];
        var at = sections.FindIndex(s => s.StartsWith($"{Heading[3..]}\n", StringComparison.Ordinal));
        if (at < 0)
            sections.Insert(at = sections.FindIndex(s => s.StartsWith($"{Before[3..]}\n", StringComparison.Ordinal)) + 1, "");
        sections[at] = section;
        return string.Join("\n## ", sections);
    }

    static IEnumerable<string> Section() =>
    [
        Heading, "",
        "An arrow leads from a project to one that it refers to. Those that follow from others are left out; the table has them all.", "",
        "```mermaid", .. Drawing(), "```", "",
        "A folder refers only to those before it (`tests/Whistle.Tests/folders.txt`). *Root* is the project's own folder.", "",
        "| project | refers to | folders, in order |", "| --- | --- | --- |",
        .. ProjectGraph.Projects.Select(Row), "",
    ];

    static IEnumerable<string> Drawing() =>
    [
        "flowchart LR",
        .. Stages.SelectMany(s => (IEnumerable<string>)
            [$"  subgraph {s}", .. ProjectGraph.Projects.Where(p => p.Stage == s).Select(p => $"    {Short(p.Name)}"), "  end"]),
        .. ProjectGraph.Projects.SelectMany(p => ProjectGraph.Direct(p).Select(r => $"  {Short(p.Name)} --> {Short(r)}")),
    ];

    static string Row(Project project)
    {
        var references = ProjectGraph.Projects.Select(p => p.Name).Intersect(project.References).Select(Short).DefaultIfEmpty("nothing");
        return $"| `{project.Stage}/{project.Name}` | {string.Join(", ", references)} | {Folders(project.Name)} |";
    }

    static string Folders(string project) =>
        string.Join(", ", ProjectGraph.Folders[project].Where(f => f[0] != '.' || f.Length == 1).Select(Folder));

    static string Folder(string name) => name switch { "." => "*root*", "*" => "*the others*", _ => name };

    static string Short(string project) => project == "Whistle" ? project : project["Whistle.".Length..];
}
