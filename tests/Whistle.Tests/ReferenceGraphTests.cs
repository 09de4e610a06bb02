using Xunit;

namespace Whistle.Tests;

public sealed class ReferenceGraphTests
{
    // What each project may refer to, as docs/architecture.md has it.
    static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Whistle.Telemetry"] = [],
        ["Whistle.State"] = [],
        ["Whistle.Inventory"] = ["Whistle.Telemetry", "Whistle.State"],
        ["Whistle.Agent"] = ["Whistle.Telemetry", "Whistle.Actions"],
        ["Whistle.Ingest"] = ["Whistle.Telemetry", "Whistle.State", "Whistle.Inventory"],
        ["Whistle.PromQL"] = ["Whistle.Telemetry"],
        ["Whistle.Detectors"] = ["Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.Ingest", "Whistle.PromQL"],
        ["Whistle.Incidents"] = ["Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.Detectors"],
        ["Whistle.Actions"] = ["Whistle.Telemetry"],
        ["Whistle.Remediation"] =
        [
            "Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.PromQL", "Whistle.Detectors", "Whistle.Incidents",
            "Whistle.Actions",
        ],
        ["Whistle.Alerting"] =
        [
            "Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.PromQL", "Whistle.Detectors", "Whistle.Incidents",
            "Whistle.Actions", "Whistle.Remediation",
        ],
        ["Whistle.Web"] =
        [
            "Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.PromQL", "Whistle.Detectors", "Whistle.Incidents",
            "Whistle.Actions", "Whistle.Remediation", "Whistle.Alerting",
        ],
        ["Whistle"] =
        [
            "Whistle.Telemetry", "Whistle.State", "Whistle.Inventory", "Whistle.Agent", "Whistle.Ingest", "Whistle.PromQL",
            "Whistle.Detectors", "Whistle.Incidents", "Whistle.Actions", "Whistle.Remediation", "Whistle.Alerting", "Whistle.Web",
        ],
    };

    [Fact]
    public void Projects_refer_only_upstream()
    {
        Assert.Equal(Allowed.Keys.Order(), ProjectGraph.Projects.Select(p => p.Name).Order());
        foreach (var project in ProjectGraph.Projects)
            Assert.Equal(Allowed[project.Name].Order(), project.References.Order());
    }

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "Whistle.sln"));

        foreach (var project in Directory.EnumerateFiles(Repository.Root, "*.csproj", SearchOption.AllDirectories))
            Assert.Contains(Path.GetFileName(project), solution, StringComparison.Ordinal);
    }
}
