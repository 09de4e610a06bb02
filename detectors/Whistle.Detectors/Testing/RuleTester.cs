using Whistle.Detectors.Rules;
using Whistle.Detectors.Yaml;

namespace Whistle.Detectors.Testing;

/// <summary>
/// How a file of tests went. The checks are alerts and expressions. Without errors all hold; a warning is what promtool lets pass, though
/// it can hardly be meant.
/// </summary>
public sealed record RuleTestReport(int Tests, int Checks, IReadOnlyList<YamlError> Errors, IReadOnlyList<YamlError> Warnings);

/// <summary>Runs files of rule tests in promtool's format through the engine that evaluates the rules of a server.</summary>
public static class RuleTester
{
    public static async Task<RuleTestReport> RunAsync(string file, CancellationToken cancellation)
    {
        var (errors, warnings) = (new List<YamlError>(), new List<YamlError>());
        if (YamlFiles.Read(file, errors) is not { } text)
            return new(0, 0, errors, warnings);
        var yaml = new YamlReader(file, text, errors);
        var tests = new RuleTestReader(file, yaml, warnings).Read();
        var load = RuleSet.Load(tests.RuleFiles);
        errors.AddRange(load.Errors);
        if (errors.Count == 0)
        {
            var rules = load.Rules!.Paced(tests.Interval, tests.GroupOrder);
            WarnOfUnknown(tests, rules, file, warnings);
            foreach (var test in tests.Tests)
                await RuleTestRun.RunAsync(tests, test, rules, yaml, cancellation);
        }

        return new(tests.Tests.Count, tests.Tests.Sum(t => t.Alerts.Count + t.Expressions.Count), errors, warnings);
    }

    static void WarnOfUnknown(RuleTestFile tests, RuleSet rules, string file, List<YamlError> warnings)
    {
        var names = rules.Groups.SelectMany(g => g.Rules.OfType<AlertRule>()).Select(r => r.Name).ToHashSet();
        warnings.AddRange(tests.Tests.SelectMany(t => t.Alerts).Where(a => !names.Contains(a.Alert))
            .Select(a => new YamlError(file, a.Place.Start.Line, a.Place.Start.Column, $"no alert of the rule files is named {a.Alert}")));
    }
}
