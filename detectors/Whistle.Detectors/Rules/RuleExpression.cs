using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Rules;

/// <summary>One selector of an expression; <paramref name="Metric"/> is null where the name is not fixed.</summary>
public sealed record RuleInput(IReadOnlyList<LabelMatcher> Matchers, string? Metric, TimeSpan ReadsBack);
