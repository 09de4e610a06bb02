using System.ComponentModel;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Control;
using Whistle.Remediation.Engine;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Remediation.Http;

/// <summary>What a runbook would have done about an incident.</summary>
/// <param name="At">The time for which the gates were asked: when the incident opened, or its signals were evidence enough.</param>
/// <param name="Verdict">would-act, refused, or no-plan.</param>
/// <param name="Why">The gate that refuses and its reason, or why no plan can be made; empty where it would have acted.</param>
/// <param name="Mode">As it is set now. The gates were asked as if it were automatic.</param>
/// <param name="Commands">What the plan has, step by step.</param>
sealed record ReplayAnswer(
    string Incident, string Title, string Tenant, string Cluster, string Node, DateTimeOffset At, string Runbook, string Verdict,
    string Why, RunbookMode Mode, IReadOnlyList<string> Commands);

/// <summary>
/// Asks the gates about past incidents with the runbooks in force. Incidents with their signals, pauses, freezes and runs are kept, and
/// clusters are read from the telemetry of the time; the kill switch, modes, removed windows and storms of the time are not, nor what came
/// and went within an incident: signals are taken to have fired from their beginning to their end and to have been evaluated on time.
/// </summary>
sealed class Replay(RemediationEnvironment environment, RemediationHost host, TimeProvider time)
{
    const int Most = 500;
    const int MostAsked = 10;

    public static void Map(RouteGroupBuilder group, RemediationEnvironment environment, RemediationHost host, TimeProvider time) =>
        group.MapGet("/runbook-replay", new Replay(environment, host, time).AnswerAsync).WithName("replayRunbooks").Needs(Permission.Read)
            .WithSummary("What the runbooks in force would have done about past incidents, as far as what was so then is kept.");

    async Task<Results<Ok<List<ReplayAnswer>>, BadRequest<ApiError>>> AnswerAsync(
        [Description("How far back the incidents opened that are looked at, such as 24h, which it is unless given.")] string? from,
        [Description("How far back it ends, such as 1h; now unless given.")] string? to, Caller caller,
        CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if (WhistleApi.Duration(from ?? "24h") is not { } since)
            return WhistleApi.BadDuration("from", from);
        if (WhistleApi.Duration(to ?? "0s") is not { } until)
            return WhistleApi.BadDuration("to", to);
        if (since <= until)
            return WhistleApi.BadRequest("from: it must be further back than to.");
        var all = (await environment.Incidents.SinceAsync(now - since, cancellation)).Where(i => caller.Sees(i.ClusterId)).ToList();
        var asked = all.Where(i => i.OpenedAt >= now - since && i.OpenedAt <= now - until).ToList();
        if (asked.Count > Most)
            return WhistleApi.BadRequest(
                $"from: {asked.Count} incidents opened in this time, and at most {Most} are looked at; ask for a shorter one.");
        var past = new StoredHistory(
            all,
            [
                .. (await environment.Runs.SinceAsync(now - since - TimeSpan.FromDays(1), cancellation))
                    .Where(r => caller.Sees(r.NodeId.ClusterId)),
            ],
            await environment.Control.ModesAsync(cancellation), await environment.Control.WindowsAsync(cancellation), now - until);
        var answers = new List<ReplayAnswer>();
        foreach (var incident in asked)
        {
            foreach (var runbook in host.Runbooks.Runbooks)
            {
                if (incident.Signals.FirstOrDefault(s => s.Labels.Has("node") && runbook.IsAnswerTo(s.Name, s.Labels)) is { } signal)
                    answers.Add(await AskAsync(past, incident, runbook, signal, cancellation));
            }
        }

        return TypedResults.Ok(answers);
    }

    async Task<ReplayAnswer> AskAsync(
        StoredHistory past, Incident incident, Runbook runbook, IncidentSignal signal, CancellationToken cancellation)
    {
        var at = incident.OpenedAt;
        var (run, _) = Proposal.Of(incident, new(runbook, runbook, runbook.Ladder), Fired(signal, at), [], at);
        var mode = ControlStore.ModeOf(past.Modes, runbook, incident.ClusterId).Mode;
        ReplayAnswer Answer(string verdict, string why, IReadOnlyList<string> commands) =>
            new(incident.Id, incident.Title, incident.Tenant, incident.Cluster, run.Node, at, runbook.Name, verdict, why, mode, commands);
        if (run.EndedAt is not null)
            return Answer("no-plan", run.Reason, []);
        var plan = Rendering.Plan(runbook, run.Labels);
        var commands = plan.Steps.Select(PlanStep.Of).Select(s => $"{s.Name}: {s.Action} {s.Parameters}").ToList();
        Refusal? refusal = null;
        for (var i = 0; i < MostAsked; i++)
        {
            var cluster = await environment.ClusterAt(incident.ClusterId, at, cancellation);
            refusal = GatePipeline.FirstRefusal(await SnapshotAsync(past, incident, runbook, run, plan, cluster, at, cancellation));
            // Evidence comes with time; what another gate says is the answer.
            if (refusal?.Gate is not GateName.Evidence
                || at + refusal.RetryAfter > (incident.ClosedAt < past.Until ? incident.ClosedAt : past.Until))
                break;
            at += refusal.RetryAfter;
        }

        return refusal is null
            ? Answer("would-act", "", commands)
            : Answer("refused", $"{refusal.Gate.Word()}: {refusal.Reason}", commands);
    }

    async Task<GateSnapshot> SnapshotAsync(
        StoredHistory past, Incident incident, Runbook runbook, Run run, Plan plan, ClusterFacts? cluster, DateTimeOffset at,
        CancellationToken cancellation) =>
        new()
        {
            Now = at,
            Kill = new(false, "", "", DateTimeOffset.UnixEpoch),
            Mode = RunbookMode.Automatic,
            ModeFrom = "replay",
            Approval = null,
            Cancellation = null,
            Acknowledgement = await environment.Incidents.AcknowledgementAsync(incident.Id, at, cancellation) is { } taken
                && taken.At <= at ? taken : null,
            Pauses = [.. (await environment.Control.PausesAsync(at, cancellation)).Where(p => p.From <= at)],
            Runbook = runbook,
            Run = run,
            Traits = plan.From(0),
            Signals = [.. incident.Signals.Where(s => run.Answers.Contains(s.Name) && s.Since <= at && !(s.ClearedAt <= at)).Select(
                s => Fired(s, at))],
            AtWork = await AtWorkAsync(past, incident, at, cancellation),
            Earlier =
            [
                .. past.Runs.Where(
                    r => r.Runbook == runbook.Name && r.HasTarget(run) && r.IsAttempt && r.EndedAt <= at && r.EndedAt > at.AddDays(-1))
                    .Select(r => new EarlierRun(r.Id, r.IncidentId, r.EndedAt!.Value)),
            ],
            Cluster = cluster,
            Troubled = past.Incidents
                .Where(i => i.ClusterId == incident.ClusterId && i.OpenedAt <= at && !(i.ClosedAt <= at) && i.Subject.Has("node"))
                .Select(i => i.Subject["node"]).ToHashSet(),
            Window = WindowView.Of(past.Windows.Where(w => w.SetAt <= at), incident.ClusterId, at),
            Freeze = (await environment.Control.FreezesAsync(at, cancellation)).FirstOrDefault(f => f.Covers(incident.ClusterId, at)),
            Onsets = [.. incident.Onsets.Where(o => o <= at)],
        };

    async Task<IReadOnlyList<Reservation>> AtWorkAsync(
        StoredHistory past, Incident incident, DateTimeOffset at, CancellationToken cancellation)
    {
        var places = new List<Reservation>();
        foreach (var run in past.Runs.Where(
            r => r.IncidentId != incident.Id && r.Reports.FirstOrDefault(p => p.Changed)?.At <= at && !(r.EndedAt <= at)))
            places.Add(await PlaceAsync(run, cancellation));
        return places;
    }

    // What its zone and its part in the cluster were is left out.
    async Task<Reservation> PlaceAsync(Run run, CancellationToken cancellation) => new(
        run.Id, run.Runbook, run.NodeId, "", run.Subject,
        await environment.Runs.RunbookOfAsync(run, cancellation) is not { } book || Rendering.Plan(book, run.Labels).From(0).Disruptive,
        ControlPlane: false);

    static Signal Fired(IncidentSignal signal, DateTimeOffset at) => new()
    {
        Rule = "",
        Name = signal.Name,
        Labels = signal.Labels,
        Element = signal.Labels,
        Condition = new(SignalState.Firing, signal.Since, at) { FiringSince = signal.Since },
    };

    sealed record StoredHistory(
        IReadOnlyList<Incident> Incidents, IReadOnlyList<Run> Runs, IReadOnlyList<ModeEntry> Modes,
        IReadOnlyList<MaintenanceWindow> Windows, DateTimeOffset Until);
}
