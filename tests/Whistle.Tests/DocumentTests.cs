using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.Tests;

/// <summary>The documents do not contradict each other.</summary>
public sealed partial class DocumentTests
{
    static readonly string[] Stages = ["alerting", "detectors", "ingest", "remediation"];

    static IEnumerable<(string Name, string Text)> Documents =>
        Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories).Select(f => (Path.GetFileName(f), File.ReadAllText(f)));

    [Fact]
    public void There_is_one_systemd_unit_of_the_server() =>
        Assert.Equal("operations.md", Assert.Single(Documents.SelectMany(d => Unit().Matches(d.Text).Select(_ => d.Name))));

    [Fact]
    public void Each_program_ships_one_unit_and_the_document_has_that_of_the_server()
    {
        string[] units =
        [
            .. Stages
                .SelectMany(s => Directory.EnumerateFiles(Path.Combine(Repository.Root, s), "*.service", SearchOption.AllDirectories))
                .Select(f => Path.GetRelativePath(Repository.Root, f)).Order(),
        ];

        Assert.Equal(["alerting/Whistle/whistle.service", "ingest/Whistle.Agent/whistle-agent.service"], units);
        Assert.Contains(Repository.Document(units[0]), Repository.Examples("docs/operations.md", "ini"));
    }

    [Fact]
    public void The_agent_keeps_certificates_elsewhere_than_the_server_its_backups()
    {
        var folder = BackupFolder().Match(Documents.Single(d => d.Name == "node-policy.md").Text).Groups[1].Value;

        Assert.StartsWith("/", folder, StringComparison.Ordinal);
        Assert.DoesNotContain(folder, Documents.Single(d => d.Name == "operations.md").Text, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"^ExecStart=\S*whistle serve", RegexOptions.Multiline)]
    private static partial Regex Unit();

    [GeneratedRegex("\"backupFolder\": \"([^\"]+)\"")]
    private static partial Regex BackupFolder();
}
