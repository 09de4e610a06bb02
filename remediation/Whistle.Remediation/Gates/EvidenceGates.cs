using Whistle.Detectors.Signals;

using static Whistle.Remediation.Gates.GatePipeline;

namespace Whistle.Remediation.Gates;

/// <summary>Whether what is known is enough to act on.</summary>
static class EvidenceGates
{
    /// <summary>Repaired is the cause, not what follows from it. A run that has begun goes on.</summary>
    public static GateAnswer Inhibited(GateSnapshot s) =>
        s.Run.Reports.Count == 0 && s.Signals.Count > 0 && s.Signals.All(x => x.InhibitedBy is not null)
            ? new(new GateReason.Inhibited(Inhibitors(s)), Soon)
            : GateAnswer.Allow;

    static List<string> Inhibitors(GateSnapshot s) =>
        [.. s.Signals.Select(x => x.InhibitedBy!.ToString()).Distinct().Order(StringComparer.Ordinal)];

    public static GateAnswer Evidence(GateSnapshot s)
    {
        if (s.Signals.FirstOrDefault(x => x.State is SignalState.Unknown) is { } unknown)
            return new(new GateReason.SignalUnknown(unknown.Name), Soon);
        if (s.Cluster is { } cluster && s.Now - cluster.LatestData > s.Runbook.Gates.Freshness)
            return new(new GateReason.TelemetryLate(s.Run.Cluster, cluster.LatestData), Soon);
        var firing = s.Signals.Where(x => x.State is SignalState.Firing).ToList();
        if (firing.Count == 0)
            return new(new GateReason.NothingFires(), Soon);
        // Warning and critical of one alert say the same thing twice.
        if (firing.DistinctBy(x => x.Name).Count() >= 2)
            return GateAnswer.Allow;
        var sustained = firing.Min(x => x.Condition.FiringSince ?? s.Now) + s.Runbook.Gates.Sustained;
        return s.Now >= sustained
            ? GateAnswer.Allow
            : new(new GateReason.NotSustained(firing[0].Name, sustained), sustained - s.Now);
    }

    public static GateAnswer Fresh(GateSnapshot s) =>
        s.Signals.Where(x => x.State is SignalState.Firing).MinBy(x => x.Condition.LastEvaluation) is { } oldest
            && s.Now - oldest.Condition.LastEvaluation > s.Runbook.Gates.Freshness
            ? new(new GateReason.EvaluatedLongAgo(oldest.Name, oldest.Condition.LastEvaluation), Soon)
            : GateAnswer.Allow;

    /// <summary>A signal that comes and goes is damped: it may begin only so often before it is left to people.</summary>
    public static GateAnswer Flapping(GateSnapshot s)
    {
        var numbers = s.Runbook.Gates;
        var recent = s.Onsets.Where(at => s.Now - at < numbers.FlappingWithin).Order().ToList();
        if (recent.Count < numbers.FlappingOnsets)
            return GateAnswer.Allow;
        var calm = recent[^numbers.FlappingOnsets] + numbers.FlappingWithin;
        return new(new GateReason.IsFlapping(recent.Count, numbers.FlappingWithin, calm), calm - s.Now);
    }
}
