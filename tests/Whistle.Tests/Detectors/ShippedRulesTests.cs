using Whistle.Detectors.Testing;
using Whistle.Detectors.Yaml;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>Every file of tests/Whistle.Tests/rules, as <c>whistle rules test</c> runs it.</summary>
public sealed class ShippedRulesTests
{
    static readonly string Folder = Path.Combine(Repository.Root, "tests/Whistle.Tests/rules");

    [Fact]
    public async Task Every_test_of_the_shipped_rules_holds()
    {
        foreach (var file in Directory.Exists(Folder) ? YamlFiles.Expand([Folder]) : [])
        {
            var report = await RuleTester.RunAsync(file, TestContext.Current.CancellationToken);
            Assert.Empty(report.Errors);
            Assert.Empty(report.Warnings);
        }
    }
}
