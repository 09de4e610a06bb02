using System.Text.Json;

using Whistle.Alerting.Deciding;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

namespace Whistle.Alerting.Stores;

/// <summary>Reads incidents where they are kept, with their runs as notifications show them.</summary>
sealed class IncidentReader(IncidentStore incidents, RunStore runs, TimeProvider time)
{
    // Where the ticket's largest directories come from.
    const string Measure = "disk.largest-directories";

    // A node may report any number, and tickets are listed by the hundred.
    const int MostDirectories = 50;
    const int LongestPath = 4096;

    /// <summary>All that are not closed, and those that closed at or after the instant.</summary>
    public async Task<IReadOnlyList<IncidentView>> SinceAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        var attempts = await runs.OfIncidentsAsync(since, cancellation);
        var taken = (await incidents.AllAcknowledgementsAsync(time.GetUtcNow(), cancellation)).ToDictionary(a => a.IncidentId);
        return [.. (await incidents.SinceAsync(since, cancellation)).Select(
            i => View(i, [.. attempts[i.Id]], taken.GetValueOrDefault(i.Id)))];
    }

    static IncidentView View(Incident incident, IReadOnlyList<Run> attempts, Acknowledgement? taken)
    {
        var largest = attempts.SelectMany(r => r.Reports).LastOrDefault(r => r is { Action: Measure, Output: not null });
        return new(incident, [.. attempts.Select(r => ToRepair(r, largest))], taken);
    }

    static Repair ToRepair(Run run, StepReport? largest)
    {
        var changes = run.Reports.Where(r => r.Changed).ToList();
        return new()
        {
            Id = run.Id,
            Runbook = run.Runbook,
            State = State(run.State),
            StartedAt = run.CreatedAt,
            EndedAt = run.EndedAt,
            Summary = run.State is RunState.Succeeded && changes.Count > 0 ? string.Join(" ", changes.Select(c => c.Summary)) : run.Reason,
            Changed = changes.Count > 0,
            Steps = [.. run.Reports.Select(r => $"{r.At:u} {r.Step} ({r.Action}) {r.Outcome.ToString().ToLowerInvariant()}: {r.Summary}")],
            LargestDirectories = largest is null ? [] : Directories(largest.Output!.Value),
        };
    }

    static RepairState State(RunState state) => state switch
    {
        RunState.Proposed or RunState.Waiting or RunState.AwaitingApproval or RunState.Running or RunState.Verifying =>
            RepairState.Underway,
        RunState.Succeeded => RepairState.Succeeded,
        RunState.Failed or RunState.RolledBack => RepairState.Failed,
        RunState.Escalated => RepairState.GaveUp,
        RunState.Cancelled => RepairState.Cancelled,
        _ => throw new InvalidOperationException($"{state} is not a state of a run."),
    };

    // The report comes from a node: what is not as expected is left out.
    internal static IReadOnlyList<DirectorySize> Directories(JsonElement output)
    {
        if (Property(output, "largestDirectories") is not { ValueKind: JsonValueKind.Array } list)
            return [];
        var directories = new List<DirectorySize>();
        foreach (var item in list.EnumerateArray().Take(MostDirectories))
        {
            if (Property(item, "path") is { ValueKind: JsonValueKind.String } path
                && Property(item, "bytes") is { ValueKind: JsonValueKind.Number } bytes && bytes.TryGetInt64(out var size))
                directories.Add(new(Cut(path.GetString()!), size));
        }

        return directories;
    }

    // As long as a path can be that a program opens.
    static string Cut(string path) => path.Length <= LongestPath ? path : $"{path.AsSpan(0, LongestPath)}…";

    static JsonElement? Property(JsonElement element, string name)
    {
        if (element.ValueKind is not JsonValueKind.Object)
            return null;
        foreach (var property in element.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return property.Value;
        }

        return null;
    }
}
