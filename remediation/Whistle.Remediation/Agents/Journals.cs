using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Remediation.Commands;
using Whistle.Remediation.Engine;
using Whistle.Remediation.Restored;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;

namespace Whistle.Remediation.Agents;

/// <summary>
/// Learns from the agents what they did between the backup and the restore. A run in the state does not go on where one of its commands was
/// carried out since: that counts as indeterminate, and the signals decide whether it helped.
/// </summary>
static class Journals
{
    // As many as an agent's journal holds.
    const int MostOfNode = 10_000;

    // More than any id of a command or name of an action has.
    const int LongestName = 256;
    const int LongestSummary = 300;
    const int MostNamed = 10;

    /// <summary>
    /// Takes a part of what an agent remembers. False where it was asked for by another generation, or is more than a journal holds.
    /// </summary>
    public static async Task<bool> HearAsync(
        StateConnection connection, Sender sender, JournalReport report, DateTimeOffset now, CancellationToken cancellation)
    {
        if ((await Lineage.ReadAsync(connection, cancellation)).Generation != report.Generation || report.Generation.Length == 0
            || !report.Commands.All(Fits))
            return false;
        var fresh = new List<JournalEntry>();
        foreach (var entry in report.Commands)
        {
            if (!await RestoreStore.IsKnownAsync(connection, sender, report.Generation, entry.Id, cancellation))
                fresh.Add(entry with { Summary = Cut(entry.Summary) });
        }

        if (await RestoreStore.KeptAsync(connection, sender, report.Generation, cancellation) + fresh.Count > MostOfNode)
            return false;
        foreach (var entry in fresh)
            await RestoreStore.KeepAsync(
                connection, sender, report.Generation, entry, RunOf(entry.Id), IncidentOf(entry.Id), HasBegun(entry), cancellation);
        foreach (var run in fresh.GroupBy(e => RunOf(e.Id)))
            await FollowAsync(connection, sender, run.Key, [.. run], now, cancellation);
        if (!report.More)
        {
            var since = DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(report.KnownSince, 0, now.ToUnixTimeMilliseconds()));
            await RestoreStore.MarkReportedAsync(connection, sender, report.Generation, now, since, cancellation);
        }

        return true;
    }

    static bool Fits(JournalEntry entry) => entry is
    {
        Id.Length: > 0 and <= LongestName,
        Action.Length: > 0 and <= LongestName,
        Step: null or { Length: <= LongestName },
        Summary: not null
    };

    static string Cut(string summary) => summary.Length <= LongestSummary ? summary : summary[..LongestSummary];

    static async Task FollowAsync(
        StateConnection connection, Sender sender, string id, IReadOnlyList<JournalEntry> entries, DateTimeOffset now,
        CancellationToken cancellation)
    {
        foreach (var entry in entries)
            await EndAsync(connection, entry, cancellation);
        var begun = entries.Where(HasBegun).ToList();
        if (begun.Count == 0)
            return;
        if (await RunStore.FindAsync(connection, id, cancellation) is not { } run)
        {
            if (await IncidentStore.FindAsync(connection, IncidentOf(id), cancellation) is { } incident
                && incident.ClusterId == sender.ClusterId)
                await IncidentStore.AppendAsync(
                    connection, incident.Id, now, TimelineKind.Restored,
                    $"After the backup {sender.Node} was repaired by run {id}, which this state does not know ({Actions(begun)}). "
                    + "Nobody knows whether it helped; it counts as an attempt.",
                    cancellation: cancellation);
        }
        else if (run.EndedAt is null && run.ClusterId == sender.ClusterId)
        {
            await RunStore.OverruleAsync(
                connection, RunEngine.Lost(run, await RunStore.RunbookOfAsync(connection, run, cancellation), begun, now), now,
                cancellation);
        }
    }

    // A command that changed nothing has the end that its agent tells; of one that may have, the signals tell.
    static async Task EndAsync(StateConnection connection, JournalEntry entry, CancellationToken cancellation)
    {
        if (await CommandStore.FindAsync(connection, entry.Id, cancellation) is not { } command || command.State is CommandState.Done)
            return;
        if (HasBegun(entry))
        {
            await CommandStore.SaveAsync(connection, command with
            {
                State = CommandState.Done,
                Outcome = CommandOutcome.Indeterminate,
                Summary = entry.Summary,
                BegunAt = command.BegunAt ?? DateTimeOffset.FromUnixTimeMilliseconds(entry.At),
            }, cancellation);
        }
        else if (command.State is CommandState.Offered or CommandState.Leased or CommandState.Begun)
        {
            await CommandStore.SaveAsync(
                connection, command with { State = CommandState.Done, Outcome = entry.Outcome, Summary = entry.Summary }, cancellation);
        }
    }

    // Journals of earlier releases do not say whether the permit was given.
    static bool HasBegun(JournalEntry entry) =>
        entry.Began ?? (entry.Outcome is not CommandOutcome.Refused && !ActionCatalogue.TraitsOf(entry.Action, _ => null).ReadOnly);

    static string Actions(IEnumerable<JournalEntry> entries) => string.Join(", ", entries.Select(e => e.Action).Distinct().Take(MostNamed));

    static string RunOf(string command) => command.LastIndexOf('.') is > 0 and var dot ? command[..dot] : command;

    static string IncidentOf(string command) => command.IndexOf('-', StringComparison.Ordinal) is > 0 and var dash ? command[..dash] : "";
}
