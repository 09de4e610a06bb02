using Whistle.Detectors.Signals;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>Whether what is known is enough to act on.</summary>
static class EvidenceGates
{
    /// <summary>Repaired is the cause, not what follows from it. A run that has begun goes on.</summary>
    public static GateAnswer Inhibited(GateSnapshot s) =>
        s.Run.Reports.Count == 0 && s.Signals.Count > 0 && s.Signals.All(x => x.InhibitedBy is not null)
            ? new($"Its signals are inhibited by {Inhibitors(s)}. It starts if they still fire once that has cleared.", Soon)
            : GateAnswer.Allow;

    static string Inhibitors(GateSnapshot s) =>
        string.Join(", ", s.Signals.Select(x => x.InhibitedBy!.ToString()).Distinct().Order(StringComparer.Ordinal));

    public static GateAnswer Evidence(GateSnapshot s)
    {
        if (s.Signals.FirstOrDefault(x => x.State is SignalState.Unknown) is { } unknown)
            return new($"{unknown.Name} is unknown because its source does not report. Nothing is repaired on a guess.", Soon);
        if (s.Cluster is { } cluster && s.Now - cluster.LatestData > s.Runbook.Gates.Freshness)
            return new($"The telemetry of {s.Run.Cluster} is late: its newest report is from {Clock(cluster.LatestData)}.", Soon);
        var firing = s.Signals.Where(x => x.State is SignalState.Firing).ToList();
        if (firing.Count == 0)
            return new("No signal that this runbook handles is firing.", Soon);
        // Warning and critical of one alert say the same thing twice.
        if (firing.DistinctBy(x => x.Name).Count() >= 2)
            return GateAnswer.Allow;
        var sustained = firing.Min(x => x.Condition.FiringSince ?? s.Now) + s.Runbook.Gates.Sustained;
        return s.Now >= sustained
            ? GateAnswer.Allow
            : new($"{firing[0].Name} is the only signal and must keep firing until {Clock(sustained)}.", sustained - s.Now);
    }

    public static GateAnswer Fresh(GateSnapshot s) =>
        s.Signals.Where(x => x.State is SignalState.Firing).MinBy(x => x.Condition.LastEvaluation) is { } oldest
            && s.Now - oldest.Condition.LastEvaluation > s.Runbook.Gates.Freshness
            ? new($"{oldest.Name} was last evaluated at {Clock(oldest.Condition.LastEvaluation)}, too long ago to act on.", Soon)
            : GateAnswer.Allow;

    /// <summary>A signal that comes and goes is damped: it may begin only so often before it is left to people.</summary>
    public static GateAnswer Flapping(GateSnapshot s)
    {
        var numbers = s.Runbook.Gates;
        var recent = s.Onsets.Where(at => s.Now - at < numbers.FlappingWithin).Order().ToList();
        if (recent.Count < numbers.FlappingOnsets)
            return GateAnswer.Allow;
        var calm = recent[^numbers.FlappingOnsets] + numbers.FlappingWithin;
        return new($"Flapping: it started {recent.Count} times within {numbers.FlappingWithin.TotalMinutes:0.#} min. Repairs wait until {Clock(calm)}.", calm - s.Now);
    }
}
