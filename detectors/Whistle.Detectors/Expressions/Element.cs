using Whistle.Telemetry;

namespace Whistle.Detectors.Expressions;

/// <summary>An element of a rule's result.</summary>
readonly record struct Element(Labels Labels, double Value);
