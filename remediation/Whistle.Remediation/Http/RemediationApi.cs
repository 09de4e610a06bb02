using System.ComponentModel;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.Incidents;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Remediation.Http;

/// <summary>
/// Of <see cref="WhistleApi"/>: incidents, runs, runbooks, and what people set to hold repairs back or let them go. The author of a change
/// is the user.
/// </summary>
sealed class RemediationApi
{
    const string RunHelp = "The run's id.";
    const string SinceHelp = "How far back, such as 24h, which it is unless given. What has not ended is always listed.";

    readonly RemediationEnvironment _environment;
    readonly RemediationHost _host;
    readonly TimeProvider _time;

    RemediationApi(RemediationEnvironment environment, RemediationHost host, TimeProvider time)
    {
        _environment = environment;
        _host = host;
        _time = time;
    }

    public static void Map(IEndpointRouteBuilder routes, RemediationEnvironment environment, RemediationHost host, TimeProvider time)
    {
        var api = new RemediationApi(environment, host, time);
        api.MapIncidents(WhistleApi.Group(routes, "incidents"));
        api.MapRuns(WhistleApi.Group(routes, "runs"));
        api.MapControl(WhistleApi.Group(routes, "control"));
        WindowsApi.Map(WhistleApi.Group(routes, "control"), environment, host, time);
        Replay.Map(WhistleApi.Group(routes, "runs"), environment, host, time);
    }

    void MapIncidents(RouteGroupBuilder group)
    {
        group.MapGet("/incidents", IncidentsAsync).WithName("listIncidents").Needs(Permission.Read)
            .WithSummary("Incidents that are open or closed recently, the oldest first.");
        group.MapGet("/incidents/{id}", IncidentAsync).WithName("getIncident").Needs(Permission.Read)
            .WithSummary("An incident with its timeline and its runs.");
    }

    void MapRuns(RouteGroupBuilder group)
    {
        group.MapGet("/runs", RunsAsync).WithName("listRuns").Needs(Permission.Read)
            .WithSummary("Runs that are under way or ended recently, the oldest first.");
        group.MapGet("/runs/{id}", RunAsync).WithName("getRun").Needs(Permission.Read)
            .WithSummary("A run with its timeline, in which its plan stands.");
        group.MapGet("/runs/{id}/explain", ExplainAsync).WithName("explainRun").Needs(Permission.Read)
            .WithSummary("Why nothing happens with a run now, and what every gate says.");
        group.MapPost("/incidents/{id}/acknowledgement", AcknowledgeAsync).WithName("acknowledgeIncident").Needs(Permission.Respond)
            .WithSummary("Acknowledges an incident: nobody is paged for it until then.");
        group.MapDelete("/incidents/{id}/acknowledgement", ReleaseAsync).WithName("releaseIncident").Needs(Permission.Respond)
            .WithSummary("Releases an acknowledged incident: pages and repairs resume.");
        group.MapPost("/runs/{id}/cancel", CancelAsync).WithName("cancelRun").Needs(Permission.Operate)
            .WithSummary("Cancels a run. A step that is running on the node may finish.");
        group.MapPost("/runs/{id}/approve", ApproveAsync).WithName("approveRun").Needs(Permission.Approve)
            .WithSummary("Approves a run's plan, or one step that needs its own approval, for a time.");
        group.MapPost("/runs/{id}/tasks/{step}", CompleteAsync).WithName("completeTask").Needs(Permission.Operate)
            .WithSummary("Marks a step that a person had to do as done.");
    }

    void MapControl(RouteGroupBuilder group)
    {
        group.MapGet("/pauses", PausesAsync).WithName("listPauses").Needs(Permission.Read).WithSummary("The pauses in force.");
        group.MapPost("/pauses", AddPauseAsync).WithName("addPause").Needs(Permission.Operate)
            .WithSummary("Holds repairs back for a time.");
        group.MapDelete("/pauses/{id:long}", EndPauseAsync).WithName("endPause").Needs(Permission.Operate)
            .WithSummary("Ends a pause before its time.");
        group.MapGet("/kill-switch", KillSwitchAsync).WithName("getKillSwitch").Needs(Permission.Read).ReadsNoTenant()
            .WithSummary("Whether all repairs are stopped.");
        group.MapPut("/kill-switch", SetKillSwitchAsync).WithName("setKillSwitch").NeedsEverywhere(Permission.ManageServer)
            .WithSummary("Stops or resumes all repairs. Stopping needs no reason, resuming does.");
        group.MapGet("/runbooks", Runbooks).WithName("listRunbooks").Needs(Permission.Read).ReadsNoTenant()
            .WithSummary("The runbooks in force.");
        group.MapGet("/runbook-modes", ModesAsync).WithName("listModes").Needs(Permission.Read)
            .WithSummary("How far runbooks may go, as people have set it.");
        group.MapPut("/runbook-modes", SetModeAsync).WithName("setMode").Needs(Permission.Operate)
            .WithSummary("Sets how far a runbook may go, everywhere or in a cluster.");
        group.MapGet("/control-timeline", TimelineAsync).WithName("getControlTimeline").NeedsEverywhere(Permission.Read)
            .WithSummary("Every change of pauses, kill switch and modes, the latest first; at most 1000.");
    }

    async Task<Results<Ok<List<IncidentAnswer>>, BadRequest<ApiError>>> IncidentsAsync(
        [Description(SinceHelp)] string? since, Caller caller, CancellationToken cancellation) =>
        Since(since) is { } at
            ? TypedResults.Ok((await _environment.Incidents.SinceAsync(at, cancellation)).Where(i => caller.Sees(i.ClusterId))
                .Select(i => ToAnswer(i, null, null)).ToList())
            : WhistleApi.BadDuration("since", since);

    async Task<Results<Ok<IncidentAnswer>, NotFound<ApiError>>> IncidentAsync(
        [Description("The incident's id.")] string id, Caller caller, CancellationToken cancellation)
    {
        if (await FindIncidentAsync(id, caller, cancellation) is not { } incident)
            return WhistleApi.NotFound($"There is no incident {id}. List the open ones with `whistle incidents`, "
                + "and those of the last 24 hours with `whistle incidents --all`.");
        var timeline = (await _environment.Incidents.TimelineAsync(id, cancellation))
            .Select(e => new TimelineAnswer(e.Number, e.At, e.Kind.Word(), e.Text, e.Count)).ToList();
        return TypedResults.Ok(
            ToAnswer(incident, timeline, await ToAnswersAsync(await _environment.Runs.OfIncidentAsync(id, cancellation), cancellation)));
    }

    async Task<Results<Ok<Acknowledgement>, NotFound<ApiError>, BadRequest<ApiError>>> AcknowledgeAsync(
        [Description("The incident's id.")] string id, AcknowledgementRequest request, Caller caller, CancellationToken cancellation)
    {
        if (WhistleApi.Duration(request.For) is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (_environment.Limits.RefuseAcknowledgement(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        if (await FindIncidentAsync(id, caller, cancellation) is { } incident)
            await caller.RequireAsync(Permission.Respond, incident.ClusterId);
        else
            return NoOpenIncident(id);
        var now = _time.GetUtcNow();
        var acknowledgement = new Acknowledgement(id, caller.Name, now, now + duration);
        return await _environment.Incidents.AcknowledgeAsync(acknowledgement, cancellation)
            ? TypedResults.Ok(acknowledgement) : NoOpenIncident(id);
    }

    async Task<Results<NoContent, NotFound<ApiError>>> ReleaseAsync(
        [Description("The incident's id.")] string id, Caller caller, CancellationToken cancellation)
    {
        if (await FindIncidentAsync(id, caller, cancellation) is { } incident)
        {
            await caller.RequireAsync(Permission.Respond, incident.ClusterId);
            if (await _environment.Incidents.ReleaseAsync(id, caller.Name, _time.GetUtcNow(), cancellation))
                return TypedResults.NoContent();
        }

        return WhistleApi.NotFound($"There is no open, acknowledged incident {id}.");
    }

    async Task<Incident?> FindIncidentAsync(string id, Caller caller, CancellationToken cancellation) =>
        await _environment.Incidents.FindAsync(id, cancellation) is { } incident && caller.Sees(incident.ClusterId) ? incident : null;

    // What the caller may not see is not there.
    async Task<Run?> FindRunAsync(string id, Caller caller, CancellationToken cancellation) =>
        await _environment.Runs.FindAsync(id, cancellation) is { } run && caller.Sees(run.NodeId.ClusterId) ? run : null;

    static NotFound<ApiError> NoOpenIncident(string id) =>
        WhistleApi.NotFound($"There is no open incident {id}. List them with `whistle incidents`.");

    async Task<Results<Ok<Cancellation>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> CancelAsync(
        [Description(RunHelp)] string id, CancellationRequest request, Caller caller, CancellationToken cancellation)
    {
        if (string.IsNullOrWhiteSpace(request.Reason))
            return NoReason();
        if (await FindRunAsync(id, caller, cancellation) is not { } run)
            return NoRun(id);
        await caller.RequireAsync(Permission.Operate, run.NodeId.ClusterId);
        var cancelled = new Cancellation(id, caller.Name, request.Reason, _time.GetUtcNow());
        return await _environment.Runs.CancelAsync(cancelled, cancellation)
            ? TypedResults.Ok(cancelled)
            : WhistleApi.Conflict("The run has ended.");
    }

    async Task<List<RunAnswer>> ToAnswersAsync(IReadOnlyList<Run> runs, CancellationToken cancellation)
    {
        var answers = new List<RunAnswer>(runs.Count);
        foreach (var run in runs)
            answers.Add(await ToAnswerAsync(run, null, cancellation));
        return answers;
    }

    async Task<Results<Ok<List<RunAnswer>>, BadRequest<ApiError>>> RunsAsync(
        [Description(SinceHelp)] string? since, Caller caller, CancellationToken cancellation) =>
        Since(since) is { } at
            ? TypedResults.Ok(await ToAnswersAsync(
                [.. (await _environment.Runs.SinceAsync(at, cancellation)).Where(r => caller.Sees(r.NodeId.ClusterId))], cancellation))
            : WhistleApi.BadDuration("since", since);

    async Task<Results<Ok<RunAnswer>, NotFound<ApiError>>> RunAsync(
        [Description(RunHelp)] string id, Caller caller, CancellationToken cancellation)
    {
        if (await FindRunAsync(id, caller, cancellation) is not { } run)
            return NoRun(id);
        var timeline = await _environment.Runs.TimelineAsync(id, cancellation);
        return TypedResults.Ok(await ToAnswerAsync(
            run, [.. timeline.Select(e => new TimelineAnswer(e.Number, e.At, e.Kind.Word(), e.Text, e.Count))], cancellation));
    }

    async Task<Results<Ok<ExplanationAnswer>, NotFound<ApiError>>> ExplainAsync(
        [Description(RunHelp)] string id, Caller caller, CancellationToken cancellation) =>
        await FindRunAsync(id, caller, cancellation) is { } run
            ? TypedResults.Ok(new ExplanationAnswer(
                id, run.State, (await _host.ExplainAsync(id, cancellation))!, run.RetryAt, await _host.AskGatesAsync(id, cancellation)))
            : NoRun(id);

    async Task<Results<Ok<Approval>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> ApproveAsync(
        [Description(RunHelp)] string id, ApprovalRequest request, Caller caller, CancellationToken cancellation)
    {
        if (await FindRunAsync(id, caller, cancellation) is not { } run)
            return NoRun(id);
        await caller.RequireAsync(Permission.Approve, run.NodeId.ClusterId);
        if (run.EndedAt is not null)
            return WhistleApi.Conflict($"The run has ended: {run.Reason}");
        if (run.PlanHash != request.PlanHash)
            return WhistleApi.Conflict($"The run's plan is now {run.PlanHash}; look at it and approve that.");
        if (WhistleApi.Duration(request.For ?? "1h") is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (_environment.Limits.RefuseApproval(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        if (request.Step is { Length: > 0 } step
            && await NoStepAsync(run, step, "approval", "needs no approval of its own", cancellation) is { } mistake)
            return mistake;
        var now = _time.GetUtcNow();
        var approval = new Approval(id, request.PlanHash, caller.Name, now, now + duration, request.Step ?? "");
        return await _environment.Runs.ApproveAsync(approval, cancellation)
            ? TypedResults.Ok(approval)
            : WhistleApi.Conflict("The run has ended.");
    }

    async Task<Results<Ok<TaskDone>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> CompleteAsync(
        [Description(RunHelp)] string id, [Description("The step's name.")] string step, TaskRequest request, Caller caller,
        CancellationToken cancellation)
    {
        if (await FindRunAsync(id, caller, cancellation) is not { } run)
            return NoRun(id);
        await caller.RequireAsync(Permission.Operate, run.NodeId.ClusterId);
        if (string.IsNullOrWhiteSpace(request.Note))
            return WhistleApi.BadRequest("note: it is empty. Say what you did; it is recorded.");
        if (await NoStepAsync(run, step, "task", "is not a task for a person", cancellation) is { } mistake)
            return mistake;
        var done = new TaskDone(id, step, caller.Name, request.Note, _time.GetUtcNow());
        return await _environment.Runs.CompleteAsync(done, cancellation)
            ? TypedResults.Ok(done)
            : WhistleApi.Conflict($"The run has ended: {run.Reason}");
    }

    async Task<BadRequest<ApiError>?> NoStepAsync(Run run, string name, string kind, string isNot, CancellationToken cancellation)
    {
        var plan = await _environment.Runs.PlanOfAsync(run, cancellation);
        if (plan.Any(s => s.Name == name && s.Action == kind))
            return null;
        var able = plan.Where(s => s.Action == kind).Select(s => s.Name).ToList();
        return WhistleApi.BadRequest($"step: \"{name}\" {isNot}; "
            + $"{(able.Count == 0 ? "no step of this plan is of that kind" : $"the steps of that kind are {string.Join(", ", able)}")}.");
    }

    // One for all tenants is told to everybody whom it holds back.
    async Task<Ok<List<Pause>>> PausesAsync(Caller caller, CancellationToken cancellation) =>
        TypedResults.Ok((await _environment.Control.PausesAsync(_time.GetUtcNow(), cancellation)).Where(
            p => caller.Rights.SeesPartOf(p.Scope)).ToList());

    async Task<Results<Ok<Pause>, BadRequest<ApiError>>> AddPauseAsync(
        PauseRequest request, Caller caller, CancellationToken cancellation)
    {
        if (WhistleApi.Duration(request.For) is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (string.IsNullOrWhiteSpace(request.Reason))
            return NoReason();
        if (_environment.Limits.RefusePause(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        var now = _time.GetUtcNow();
        var (scope, mistake) = await ResolveAsync(
            new(request.Tenant, request.Cluster, request.Node, request.Runbook, request.Force), caller, cancellation);
        if (scope is null)
            return WhistleApi.BadRequest(mistake!);
        await caller.RequireAsync(Permission.Operate, scope.Scope);
        return TypedResults.Ok(await _environment.Control.AddAsync(
            new Pause(
                0, scope.Tenant, scope.Cluster, scope.Node, scope.Runbook, request.Reason, caller.Name, now, now + duration),
            cancellation));
    }

    async Task<Results<NoContent, NotFound<ApiError>>> EndPauseAsync(
        [Description("The pause's number.")] long id, Caller caller, CancellationToken cancellation)
    {
        var now = _time.GetUtcNow();
        var pause = (await _environment.Control.PausesAsync(now, cancellation)).FirstOrDefault(p => p.Id == id);
        if (pause is null || !caller.Rights.SeesPartOf(pause.Scope))
            return WhistleApi.NotFound($"No pause {id} is in force.");
        await caller.RequireAsync(Permission.Operate, pause.Scope);
        return await _environment.Control.EndPauseAsync(id, caller.Name, now, cancellation)
            ? TypedResults.NoContent()
            : WhistleApi.NotFound($"No pause {id} is in force.");
    }

    async Task<Ok<KillSwitch>> KillSwitchAsync(CancellationToken cancellation) =>
        TypedResults.Ok(await _environment.Control.KillSwitchAsync(cancellation));

    async Task<Results<Ok<KillSwitch>, BadRequest<ApiError>>> SetKillSwitchAsync(
        KillSwitchRequest request, Caller caller, CancellationToken cancellation)
    {
        if (request.On)
            AuditAct.CurrentGoesFirst();
        // In an emergency nobody must be stopped for want of a reason.
        // Whoever turned it on stays named, with the reason; one that is only taken to be on is written down.
        if (request.On && string.IsNullOrWhiteSpace(request.Reason)
            && await _environment.Control.KillSwitchAsync(cancellation) is { On: true } held && held.Since > DateTimeOffset.UnixEpoch)
            return TypedResults.Ok(held);
        var reason = string.IsNullOrWhiteSpace(request.Reason) ? request.On ? Control.KillSwitch.NoReason : null : request.Reason;
        if (reason is null)
            return NoReason();
        var kill = new KillSwitch(request.On, reason, caller.Name, _time.GetUtcNow());
        await _environment.Control.SetAsync(kill, cancellation);
        return TypedResults.Ok(kill);
    }

    Ok<List<RunbookAnswer>> Runbooks() =>
        TypedResults.Ok(
            _host.Runbooks.Runbooks.Select(r => new RunbookAnswer(r.Name, r.Summary, Path.GetFileName(r.File), r.Hash, r.Mode)).ToList());

    async Task<Ok<List<ModeAnswer>>> ModesAsync(Caller caller, CancellationToken cancellation) =>
        TypedResults.Ok((await _environment.Control.ModesAsync(cancellation)).Where(m => caller.Rights.SeesPartOf(m.Scope))
            .Select(ToAnswer).ToList());

    async Task<Results<Ok<ModeAnswer>, BadRequest<ApiError>>> SetModeAsync(
        ModeRequest request, Caller caller, CancellationToken cancellation)
    {
        var (scope, mistake) = await ResolveAsync(
            new(request.Tenant, request.Cluster, null, request.Runbook, request.Force), caller, cancellation);
        if (scope is null)
            return WhistleApi.BadRequest(mistake!);
        // The strictest counts: what was set without a tenant must be set again without one, or it would stay.
        var tenant = request.Tenant is null && (await _environment.Control.ModesAsync(cancellation)).Any(m => m.Tenant.Length == 0
            && m.Cluster == scope.Cluster && m.Runbook == scope.Runbook) ? "" : scope.Tenant;
        var entry = new ModeEntry(scope.Runbook, tenant, scope.Cluster, request.Mode, caller.Name, _time.GetUtcNow());
        await caller.RequireAsync(Permission.Operate, entry.Scope);
        await _environment.Control.SetAsync(entry, cancellation);
        return TypedResults.Ok(ToAnswer(entry));
    }

    async Task<Ok<IReadOnlyList<ControlEntry>>> TimelineAsync(CancellationToken cancellation) =>
        TypedResults.Ok(await _environment.Control.TimelineAsync(1000, cancellation));

    DateTimeOffset? Since(string? since) => WhistleApi.Duration(since ?? "24h") is { } duration ? _time.GetUtcNow() - duration : null;

    async Task<(BrakeScope? Scope, string? Mistake)> ResolveAsync(
        NamedScope named, Caller caller, CancellationToken cancellation) =>
        (await KnownNames.OfAsync(_environment, _host, caller.Rights, _time.GetUtcNow(), cancellation)).Resolve(named);

    static NotFound<ApiError> NoRun(string id) => WhistleApi.NotFound($"There is no run {id}. List them with `whistle runs list --all`.");

    internal static BadRequest<ApiError> NoReason() => WhistleApi.BadRequest("reason: it is empty. Say why; it is recorded.");

    static ModeAnswer ToAnswer(ModeEntry entry) => new(entry.Runbook, entry.Tenant, entry.Cluster, entry.Mode, entry.Author, entry.At);

    static IncidentAnswer ToAnswer(Incident incident, IReadOnlyList<TimelineAnswer>? timeline, IReadOnlyList<RunAnswer>? runs) => new(
        incident.Id, incident.Tenant, incident.Cluster, ToAnswer(incident.Subject), incident.Title, incident.Severity, incident.State,
        incident.OpenedAt, incident.ClosedAt, incident.ClearSince, incident.Reopened, incident.Inhibits, incident.Inhibits,
        [.. incident.Signals.Select(s => new IncidentSignalAnswer(
            s.Name, s.Severity, ToAnswer(s.Labels), s.Since, s.ClearedAt, s.Unknown, s.QuietSince, InhibitorAnswer.Of(s.InhibitedBy)))],
        timeline, runs);

    async Task<RunAnswer> ToAnswerAsync(Run run, IReadOnlyList<TimelineAnswer>? timeline, CancellationToken cancellation) => new(
        run.Id, run.IncidentId, run.Runbook, run.RunbookHash, run.Tenant, run.Cluster, run.Node, ToAnswer(run.Subject), run.State,
        run.Reason, run.Since, run.RetryAt, run.Attempt, run.PlanHash, run.CreatedAt, run.EndedAt,
        (await _host.ExplainAsync(run.Id, cancellation))!,
        [.. run.Reports.Select(r => new StepAnswer(r.Step, r.Action, r.Outcome, r.Summary, r.Output, r.At))], timeline);

    static Dictionary<string, string> ToAnswer(Labels labels) => labels.ToDictionary(l => l.Name, l => l.Value);
}
