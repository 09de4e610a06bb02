using System.Xml.Linq;

namespace Whistle.Tests;

/// <summary>A project of the product.</summary>
/// <param name="Stage">The folder that it lies in, such as <c>ingest</c>.</param>
/// <param name="References">The projects that it refers to.</param>
sealed record Project(string Name, string Stage, IReadOnlyList<string> References);

/// <summary>The product's projects and their references, from the project files; and their folders, from <c>folders.txt</c>.</summary>
static class ProjectGraph
{
    public static IReadOnlyList<Project> Projects { get; } = Sorted(
    [
        .. Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories)
            .Select(f => (File: f, Parts: Path.GetRelativePath(Repository.Root, f).Split(Path.DirectorySeparatorChar)))
            .Where(f => f.Parts[0] is not ("tests" or "artifacts"))
            .Select(f => new Project(Name(f.File), f.Parts[0], [.. References(f.File)])),
    ]);

    /// <summary>
    /// A line a project: its folders in the order in which they may refer to one another. A dot is the project's own folder; a dot with a
    /// name is one type there.
    /// </summary>
    public static IReadOnlyDictionary<string, string[]> Folders { get; } =
        File.ReadAllLines(Path.Combine(Repository.Root, "tests/Whistle.Tests/folders.txt"))
            .Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split(':'))
            .ToDictionary(l => l[0].Trim(), l => l[1].Split(' ', StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Without those that another of its references leads to.</summary>
    public static IEnumerable<string> Direct(Project project) =>
        project.References.Where(r => !project.References.Any(o => o != r && Reaches(o, r)));

    static bool Reaches(string from, string to) => Projects.Single(p => p.Name == from).References.Any(r => r == to || Reaches(r, to));

    // Upstream first; by name where nothing else says which.
    static List<Project> Sorted(List<Project> projects)
    {
        List<Project> sorted = [];
        while (projects.Count > 0)
        {
            var ready = projects.Where(p => p.References.All(r => sorted.Exists(s => s.Name == r))).ToList();
            if (ready.Count == 0)
                throw new InvalidOperationException($"These refer to one another in a circle: {string.Join(", ", projects)}.");
            sorted.Add(ready.MinBy(p => p.Name, StringComparer.Ordinal)!);
            projects.Remove(sorted[^1]);
        }

        return sorted;
    }

    static string Name(string project) => Path.GetFileNameWithoutExtension(project);

    static IEnumerable<string> References(string project) =>
        XDocument.Load(project).Descendants("ProjectReference").Select(r => Name(r.Attribute("Include")!.Value.Replace('\\', '/')));
}
