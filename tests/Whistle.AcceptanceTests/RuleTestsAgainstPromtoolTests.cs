using Whistle.Detectors.Testing;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Files of rule tests through <c>whistle rules test</c>'s class and through promtool: those named <c>holds-…</c> must pass both, those
/// named <c>fails-…</c> neither.
/// </summary>
public sealed class RuleTestsAgainstPromtoolTests
{
    static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "promtool");

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Files =>
        [.. Directory.EnumerateFiles(Folder).Select(f => Path.GetFileName(f)).Where(f => f.Contains('-')).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task A_file_of_rule_tests_has_the_verdict_that_promtool_gives(string name)
    {
        var file = Path.Combine(Folder, name);
        var report = await RuleTester.RunAsync(file, Cancellation);
        Assert.True(
            report.Errors.Count == 0 == name.StartsWith("holds-", StringComparison.Ordinal),
            $"Whistle: {string.Join('\n', report.Errors)}");

        using var promtool = ChildProcess.Start(Requirement.Promtool(), ["test", "rules", file]);
        await promtool.WaitForExitAsync(Cancellation);
        Assert.Equal(report.Errors.Count == 0 ? 0 : 1, promtool.ExitCode);
    }
}
