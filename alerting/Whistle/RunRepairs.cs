using System.Text.Json;

using Whistle.Alerting.Deciding;
using Whistle.Detectors.Incidents;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle;

/// <summary>Shows alerting the incidents with the runs that work on them.</summary>
sealed class RunRepairs(IncidentStore incidents, RunStore runs)
{
    public IReadOnlyList<IncidentView> Since(DateTimeOffset since) =>
        [.. incidents.Since(since).Select(i => new IncidentView(i, [.. runs.OfIncident(i.Id).Select(ToRepair)]))];

    static Repair ToRepair(Run run) => new()
    {
        Id = run.Id,
        Runbook = run.Runbook,
        State = StateOf(run.State),
        StartedAt = run.CreatedAt,
        EndedAt = run.EndedAt,
        Summary = run.Reason.Length > 0 ? run.Reason : $"{run.Runbook}, attempt {run.Attempt}",
        // A command whose end is unknown may have changed something.
        Changed = run.Reports.Any(r => r.Action != Measurement && r.Outcome is CommandOutcome.Succeeded or CommandOutcome.Indeterminate),
        Steps = [.. run.Reports.Select(r => $"{r.Step}: {r.Summary}")],
        LargestDirectories = [.. run.Reports.Where(r => r.Action == Measurement).TakeLast(1).SelectMany(Directories)],
    };

    const string Measurement = "disk.largest-directories";

    static IEnumerable<DirectorySize> Directories(StepReport report)
    {
        if (report.Output is not { ValueKind: JsonValueKind.Object } output || !output.TryGetProperty("largestDirectories", out var list) || list.ValueKind != JsonValueKind.Array)
            yield break;
        foreach (var directory in list.EnumerateArray())
        {
            // What an agent says is not to be trusted to have a shape.
            if (directory.ValueKind == JsonValueKind.Object && directory.TryGetProperty("path", out var path) && path.ValueKind == JsonValueKind.String
                && directory.TryGetProperty("bytes", out var bytes) && bytes.TryGetInt64(out var size))
                yield return new DirectorySize(path.GetString()!, size);
        }
    }

    static RepairState StateOf(RunState state) => state switch
    {
        RunState.Proposed or RunState.Waiting or RunState.AwaitingApproval or RunState.Running or RunState.Verifying => RepairState.Underway,
        RunState.Succeeded => RepairState.Succeeded,
        RunState.Failed or RunState.RolledBack => RepairState.Failed,
        RunState.Escalated => RepairState.GaveUp,
        RunState.Cancelled => RepairState.Cancelled,
        _ => throw new InvalidOperationException($"Unknown run state {state}."),
    };
}
