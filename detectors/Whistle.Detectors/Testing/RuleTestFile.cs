using Whistle.Detectors.Expressions;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Testing;

/// <summary>A file of rule tests in promtool's format, with Whistle's <c>agents</c> and <c>exp_state</c>.</summary>
sealed record RuleTestFile
{
    /// <summary>The files that the patterns meet.</summary>
    public required IReadOnlyList<string> RuleFiles { get; init; }

    /// <summary>How far apart every group is evaluated, whatever interval it has.</summary>
    public required TimeSpan Interval { get; init; }

    public required IReadOnlyList<string> GroupOrder { get; init; }

    /// <summary>Values are the same also where they are neighbours among the doubles.</summary>
    public required bool Fuzzy { get; init; }

    /// <summary>Enrolled when each test begins.</summary>
    public required IReadOnlyList<EnrolledAgent> Agents { get; init; }

    public required IReadOnlyList<RuleTest> Tests { get; init; }
}

/// <summary>Series, and what is expected of the rules over them.</summary>
sealed record RuleTest
{
    public required YamlNode Place { get; init; }

    public required string Name { get; init; }

    public required DateTimeOffset Start { get; init; }

    /// <summary>How far apart the samples are.</summary>
    public required TimeSpan Interval { get; init; }

    public required IReadOnlyList<TimeSeries> Series { get; init; }

    public required IReadOnlyList<AlertCheck> Alerts { get; init; }

    public required IReadOnlyList<ExpressionCheck> Expressions { get; init; }
}

/// <summary>The signals of an alert at a time after the test's start.</summary>
sealed record AlertCheck(YamlNode Place, TimeSpan At, string Alert, IReadOnlyList<ExpectedAlert> Expected)
{
    /// <summary>Where no state is named, only what fires is compared, as promtool does.</summary>
    public bool NamesStates => Expected.Any(e => e.State is not null);
}

sealed record ExpectedAlert(SignalState? State, Labels Labels, IReadOnlyList<Label> Annotations);

/// <summary>What an expression yields at a time after the test's start.</summary>
sealed record ExpressionCheck(YamlNode Place, TimeSpan At, RuleExpression Expression, IReadOnlyList<VectorSample> Expected);
