using Whistle.Telemetry;

namespace Whistle.Detectors.Rules;

/// <summary>
/// While a signal that <see cref="Source"/> selects is firing, it inhibits those that <see cref="Target"/> selects and that have the same
/// values of <see cref="Equal"/>. As in Alertmanager, a label that both lack counts as equal.
/// </summary>
sealed record InhibitRule
{
    // A signal never inhibits one of another cluster, whatever a file says.
    static readonly string[] Always = ["tenant", "cluster"];

    public required string File { get; init; }

    public required InhibitSide Source { get; init; }

    public required InhibitSide Target { get; init; }

    /// <summary>As the file has them.</summary>
    public required IReadOnlyList<string> Equal { get; init; }

    string[] Common => field ??= [.. Always.Union(Equal)];

    /// <summary>The same for two signals if one may inhibit the other.</summary>
    public Labels KeyOf(Labels labels) => labels.Keep(Common);
}

/// <summary>Conditions on labels, all of which must hold.</summary>
sealed record InhibitSide(IReadOnlyList<LabelMatcher> Matchers)
{
    public bool Matches(Labels labels)
    {
        foreach (var matcher in Matchers)
        {
            if (!matcher.IsMatch(labels))
                return false;
        }

        return true;
    }

    /// <summary>False where no alert of this name is taken, whatever its other labels are.</summary>
    public bool MayMatch(string alert)
    {
        foreach (var matcher in Matchers)
        {
            if (matcher.Name == "alertname" && !matcher.IsMatch(alert))
                return false;
        }

        return true;
    }
}
