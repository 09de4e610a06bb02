using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Telemetry;
using Whistle.Web.Places;

namespace Whistle.Web.Signals;

/// <summary>A signal as a line of the page. Texts may come from telemetry: they are shown, never trusted.</summary>
public sealed record SignalView
{
    static readonly string[] ShownElsewhere = ["alertname", "severity", "tenant", "cluster", "node"];

    public required ulong Fingerprint { get; init; }

    public required string Name { get; init; }

    /// <summary><c>firing</c>, <c>pending</c>, <c>unknown</c>, or how it ended: <c>cleared</c>, <c>gone</c>, <c>withdrawn</c>.</summary>
    public required string State { get; init; }

    /// <summary>What an unknown signal was while its source was heard.</summary>
    public string? Was { get; init; }

    public required string Severity { get; init; }

    public required NodeId Node { get; init; }

    /// <summary>Labels that tell it from other signals of its node.</summary>
    public required IReadOnlyList<Label> Where { get; init; }

    public required DateTimeOffset Since { get; init; }

    /// <summary>When it ended; null while it is active.</summary>
    public DateTimeOffset? Ended { get; init; }

    public required double Value { get; init; }

    public required string Summary { get; init; }

    public required string Description { get; init; }

    /// <summary>Only http and https: an annotation may carry anything.</summary>
    public Uri? Runbook { get; init; }

    /// <summary>What inhibits it; null if nothing does.</summary>
    public Inhibitor? InhibitedBy { get; init; }

    public required string Mountpoint { get; init; }

    /// <summary>It says that a disk will be full, not that it is.</summary>
    public bool IsForecast => Name.EndsWith("SpaceFillingUp", StringComparison.Ordinal);

    public int Rank => SignalOrder.Rank(State, Severity);

    public static IReadOnlyList<SignalView> Active(IEnumerable<Signal> signals) =>
        [.. signals.Select(Of).OrderBy(s => s.Rank).ThenBy(s => s.Since).ThenBy(s => s.Name, StringComparer.Ordinal)];

    public static SignalView Of(Signal signal)
    {
        var condition = signal.Condition;
        return new SignalView
        {
            Fingerprint = signal.Fingerprint,
            Name = signal.Name,
            State = (condition.Reason?.ToString() ?? signal.State.ToString()).ToLowerInvariant(),
            Was = signal.State is SignalState.Unknown ? condition.Before.ToString().ToLowerInvariant() : null,
            Severity = signal.Labels["severity"].ToLowerInvariant(),
            Node = TelemetryNode.Of(signal.Labels),
            Where = [.. signal.Labels.Where(l => !ShownElsewhere.Contains(l.Name)).OrderBy(l => l.Name != "mountpoint")],
            Since = signal.State switch
            {
                SignalState.Unknown => condition.UnknownSince ?? condition.Since,
                SignalState.Pending => condition.Since,
                _ => condition.FiringSince ?? condition.Since,
            },
            Ended = condition.EndedAt,
            Value = signal.Value,
            Summary = Annotation(signal, "summary"),
            Description = Annotation(signal, "description"),
            Runbook = Uri.TryCreate(Annotation(signal, "runbook_url"), UriKind.Absolute, out var uri)
                && uri.Scheme is "http" or "https" ? uri : null,
            Mountpoint = signal.Labels["mountpoint"],
            InhibitedBy = signal.InhibitedBy,
        };
    }

    static string Annotation(Signal signal, string name) => signal.Annotations.FirstOrDefault(a => a.Name == name).Value ?? "";
}
