using System.ComponentModel;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.Detectors.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Remediation;

/// <summary>
/// Of <see cref="WhistleApi"/>: incidents, runs, runbooks, and what people set to hold repairs back or let them go. The author of a change is
/// the user.
/// </summary>
public sealed class RemediationApi
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
        group.MapGet("/incidents", Incidents).WithName("listIncidents").WithSummary("Incidents that are open or closed recently, the oldest first.");
        group.MapGet("/incidents/{id}", Incident).WithName("getIncident").WithSummary("An incident with its timeline and its runs.");
    }

    void MapRuns(RouteGroupBuilder group)
    {
        group.MapGet("/runs", Runs).WithName("listRuns").WithSummary("Runs that are under way or ended recently, the oldest first.");
        group.MapGet("/runs/{id}", Run).WithName("getRun").WithSummary("A run with its timeline, in which its plan stands.");
        group.MapGet("/runs/{id}/explain", Explain).WithName("explainRun").WithSummary("Why nothing happens with a run now, and what every gate says.");
        group.MapPost("/incidents/{id}/acknowledgement", Acknowledge).WithName("acknowledgeIncident").WithSummary("Acknowledges an incident: nobody is paged for it until then.");
        group.MapDelete("/incidents/{id}/acknowledgement", Release).WithName("releaseIncident").WithSummary("Releases an acknowledged incident: pages and repairs resume.");
        group.MapPost("/runs/{id}/cancel", Cancel).WithName("cancelRun").WithSummary("Cancels a run. A step that is running on the node may finish.");
        group.MapPost("/runs/{id}/approve", Approve).WithName("approveRun").WithSummary("Approves a run's plan, or one step that needs its own approval, for a time.");
        group.MapPost("/runs/{id}/tasks/{step}", Complete).WithName("completeTask").WithSummary("Marks a step that a person had to do as done.");
    }

    void MapControl(RouteGroupBuilder group)
    {
        group.MapGet("/pauses", Pauses).WithName("listPauses").WithSummary("The pauses in force.");
        group.MapPost("/pauses", AddPause).WithName("addPause").WithSummary("Holds repairs back for a time.");
        group.MapDelete("/pauses/{id:long}", EndPause).WithName("endPause").WithSummary("Ends a pause before its time.");
        group.MapGet("/kill-switch", KillSwitch).WithName("getKillSwitch").WithSummary("Whether all repairs are stopped.");
        group.MapPut("/kill-switch", SetKillSwitch).WithName("setKillSwitch").WithSummary("Stops or resumes all repairs. Stopping needs no reason, resuming does.");
        group.MapGet("/runbooks", Runbooks).WithName("listRunbooks").WithSummary("The runbooks in force.");
        group.MapGet("/runbook-modes", Modes).WithName("listModes").WithSummary("How far runbooks may go, as people have set it.");
        group.MapPut("/runbook-modes", SetMode).WithName("setMode").WithSummary("Sets how far a runbook may go, everywhere or in a cluster.");
        group.MapGet("/control-timeline", Timeline).WithName("getControlTimeline").WithSummary("Every change of pauses, kill switch and modes, the latest first; at most 1000.");
    }

    Results<Ok<List<IncidentAnswer>>, BadRequest<ApiError>> Incidents([Description(SinceHelp)] string? since) => Since(since) is { } at
        ? TypedResults.Ok(_environment.Incidents.Since(at).Select(i => ToAnswer(i, null, null)).ToList())
        : WhistleApi.BadDuration("since", since);

    Results<Ok<IncidentAnswer>, NotFound<ApiError>> Incident([Description("The incident's id.")] string id)
    {
        if (_environment.Incidents.Find(id) is not { } incident)
            return WhistleApi.NotFound($"There is no incident {id}. List the open ones with `whistle incidents`, and those of the last 24 hours with `whistle incidents --all`.");
        var timeline = _environment.Incidents.Timeline(id).Select(e => new TimelineAnswer(e.Number, e.At, e.Kind, e.Text, e.Count)).ToList();
        return TypedResults.Ok(ToAnswer(incident, timeline, [.. _environment.Runs.OfIncident(id).Select(r => ToAnswer(r, null))]));
    }

    Results<Ok<Acknowledgement>, NotFound<ApiError>, BadRequest<ApiError>> Acknowledge(
        [Description("The incident's id.")] string id, AcknowledgementRequest request, HttpContext context)
    {
        if (WhistleApi.Duration(request.For) is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (_environment.Limits.RefuseAcknowledgement(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        var now = _time.GetUtcNow();
        var acknowledgement = new Acknowledgement(id, Author(context), now, now + duration);
        return _environment.Incidents.Acknowledge(acknowledgement) ? TypedResults.Ok(acknowledgement) : WhistleApi.NotFound($"There is no open incident {id}. List them with `whistle incidents`.");
    }

    Results<NoContent, NotFound<ApiError>> Release([Description("The incident's id.")] string id, HttpContext context) =>
        _environment.Incidents.Release(id, Author(context), _time.GetUtcNow()) ? TypedResults.NoContent() : WhistleApi.NotFound($"There is no open, acknowledged incident {id}.");

    Results<Ok<Cancellation>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>> Cancel(
        [Description(RunHelp)] string id, CancellationRequest request, HttpContext context)
    {
        if (string.IsNullOrWhiteSpace(request.Reason))
            return NoReason();
        if (_environment.Runs.Find(id) is null)
            return NoRun(id);
        var cancellation = new Cancellation(id, Author(context), request.Reason, _time.GetUtcNow());
        return _environment.Runs.Cancel(cancellation) ? TypedResults.Ok(cancellation) : WhistleApi.Conflict("The run has ended.");
    }

    Results<Ok<List<RunAnswer>>, BadRequest<ApiError>> Runs([Description(SinceHelp)] string? since) => Since(since) is { } at
        ? TypedResults.Ok(_environment.Runs.Since(at).Select(r => ToAnswer(r, null)).ToList())
        : WhistleApi.BadDuration("since", since);

    Results<Ok<RunAnswer>, NotFound<ApiError>> Run([Description(RunHelp)] string id) => _environment.Runs.Find(id) is { } run
        ? TypedResults.Ok(ToAnswer(run, [.. _environment.Runs.Timeline(id).Select(e => new TimelineAnswer(e.Number, e.At, e.Kind, e.Text, e.Count))]))
        : NoRun(id);

    Results<Ok<ExplanationAnswer>, NotFound<ApiError>> Explain([Description(RunHelp)] string id) => _environment.Runs.Find(id) is { } run
        ? TypedResults.Ok(new ExplanationAnswer(id, run.State, _host.Explain(id)!, run.RetryAt, _host.AskGates(id)))
        : NoRun(id);

    Results<Ok<Approval>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>> Approve(
        [Description(RunHelp)] string id, ApprovalRequest request, HttpContext context)
    {
        if (_environment.Runs.Find(id) is not { } run)
            return NoRun(id);
        if (run.EndedAt is not null)
            return WhistleApi.Conflict($"The run has ended: {run.Reason}");
        if (run.PlanHash != request.PlanHash)
            return WhistleApi.Conflict($"The run's plan is now {run.PlanHash}; look at it and approve that.");
        if (WhistleApi.Duration(request.For ?? "1h") is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (_environment.Limits.RefuseApproval(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        if (request.Step is { Length: > 0 } step && NoStep(run, step, "approval", "needs no approval of its own") is { } mistake)
            return mistake;
        var now = _time.GetUtcNow();
        var approval = new Approval(id, request.PlanHash, Author(context), now, now + duration, request.Step ?? "");
        return _environment.Runs.Approve(approval) ? TypedResults.Ok(approval) : WhistleApi.Conflict("The run has ended.");
    }

    Results<Ok<TaskDone>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>> Complete(
        [Description(RunHelp)] string id, [Description("The step's name.")] string step, TaskRequest request, HttpContext context)
    {
        if (_environment.Runs.Find(id) is not { } run)
            return NoRun(id);
        if (string.IsNullOrWhiteSpace(request.Note))
            return WhistleApi.BadRequest("note: it is empty. Say what you did; it is recorded.");
        if (NoStep(run, step, "task", "is not a task for a person") is { } mistake)
            return mistake;
        var done = new TaskDone(id, step, Author(context), request.Note, _time.GetUtcNow());
        return _environment.Runs.Complete(done) ? TypedResults.Ok(done) : WhistleApi.Conflict($"The run has ended: {run.Reason}");
    }

    BadRequest<ApiError>? NoStep(Run run, string name, string kind, string isNot)
    {
        var plan = _environment.Runs.PlanOf(run);
        if (plan.Any(s => s.Name == name && s.Action == kind))
            return null;
        var able = plan.Where(s => s.Action == kind).Select(s => s.Name).ToList();
        return WhistleApi.BadRequest($"step: \"{name}\" {isNot}; {(able.Count == 0 ? "no step of this plan is of that kind" : $"the steps of that kind are {string.Join(", ", able)}")}.");
    }

    Ok<IReadOnlyList<Pause>> Pauses() => TypedResults.Ok(_environment.Control.Pauses(_time.GetUtcNow()));

    Results<Ok<Pause>, BadRequest<ApiError>> AddPause(PauseRequest request, HttpContext context)
    {
        if (WhistleApi.Duration(request.For) is not { } duration || duration <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (string.IsNullOrWhiteSpace(request.Reason))
            return NoReason();
        if (_environment.Limits.RefusePause(duration) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        var now = _time.GetUtcNow();
        var (scope, mistake) = Resolve(new(request.Tenant, request.Cluster, request.Node, request.Runbook, request.Force));
        return scope is null ? WhistleApi.BadRequest(mistake!) : TypedResults.Ok(_environment.Control.Add(new Pause(
            0, scope.Tenant, scope.Cluster, scope.Node, scope.Runbook, request.Reason, Author(context), now, now + duration)));
    }

    Results<NoContent, NotFound<ApiError>> EndPause([Description("The pause's number.")] long id, HttpContext context) =>
        _environment.Control.EndPause(id, Author(context), _time.GetUtcNow()) ? TypedResults.NoContent() : WhistleApi.NotFound($"No pause {id} is in force.");

    Ok<KillSwitch> KillSwitch() => TypedResults.Ok(_environment.Control.KillSwitch());

    Results<Ok<KillSwitch>, BadRequest<ApiError>> SetKillSwitch(KillSwitchRequest request, HttpContext context)
    {
        // In an emergency nobody must be stopped for want of a reason.
        // Whoever turned it on stays named, with the reason; one that is only taken to be on is written down.
        if (request.On && string.IsNullOrWhiteSpace(request.Reason) && _environment.Control.KillSwitch() is { On: true } held && held.Since > DateTimeOffset.UnixEpoch)
            return TypedResults.Ok(held);
        var reason = string.IsNullOrWhiteSpace(request.Reason) ? request.On ? Control.KillSwitch.NoReason : null : request.Reason;
        if (reason is null)
            return NoReason();
        var kill = new KillSwitch(request.On, reason, Author(context), _time.GetUtcNow());
        _environment.Control.Set(kill);
        return TypedResults.Ok(kill);
    }

    Ok<List<RunbookAnswer>> Runbooks() =>
        TypedResults.Ok(_host.Runbooks.Runbooks.Select(r => new RunbookAnswer(r.Name, r.Summary, Path.GetFileName(r.File), r.Hash, r.Mode)).ToList());

    Ok<List<ModeAnswer>> Modes() => TypedResults.Ok(_environment.Control.Modes().Select(ToAnswer).ToList());

    Results<Ok<ModeAnswer>, BadRequest<ApiError>> SetMode(ModeRequest request, HttpContext context)
    {
        var (scope, mistake) = Resolve(new(request.Tenant, request.Cluster, null, request.Runbook, request.Force));
        if (scope is null)
            return WhistleApi.BadRequest(mistake!);
        // The strictest counts: what was set without a tenant must be set again without one, or it would stay.
        var tenant = request.Tenant is null && _environment.Control.Modes().Any(m => m.Tenant.Length == 0 && m.Cluster == scope.Cluster && m.Runbook == scope.Runbook) ? "" : scope.Tenant;
        var entry = new ModeEntry(scope.Runbook, tenant, scope.Cluster, request.Mode, Author(context), _time.GetUtcNow());
        _environment.Control.Set(entry);
        return TypedResults.Ok(ToAnswer(entry));
    }

    Ok<IReadOnlyList<ControlEntry>> Timeline() => TypedResults.Ok(_environment.Control.Timeline(1000));

    DateTimeOffset? Since(string? since) => WhistleApi.Duration(since ?? "24h") is { } duration ? _time.GetUtcNow() - duration : null;

    (BrakeScope? Scope, string? Mistake) Resolve(NamedScope named) => KnownNames.Of(_environment, _host, _time.GetUtcNow()).Resolve(named);

    static NotFound<ApiError> NoRun(string id) => WhistleApi.NotFound($"There is no run {id}. List them with `whistle runs list --all`.");

    internal static BadRequest<ApiError> NoReason() => WhistleApi.BadRequest("reason: it is empty. Say why; it is recorded.");

    internal static string Author(HttpContext context) => context.User.Identity?.Name ?? "operator";

    static ModeAnswer ToAnswer(ModeEntry entry) => new(entry.Runbook, entry.Tenant, entry.Cluster, entry.Mode, entry.Author, entry.At);

    static IncidentAnswer ToAnswer(Incident incident, IReadOnlyList<TimelineAnswer>? timeline, IReadOnlyList<RunAnswer>? runs) => new(
        incident.Id, incident.Tenant, incident.Cluster, ToAnswer(incident.Subject), incident.Title, incident.Severity, incident.State, incident.OpenedAt,
        incident.ClosedAt, incident.ClearSince, incident.Reopened, incident.Hides,
        [.. incident.Signals.Select(s => new IncidentSignalAnswer(s.Name, s.Severity, ToAnswer(s.Labels), s.Since, s.ClearedAt, s.Unknown, s.QuietSince, InhibitorAnswer.Of(s.InhibitedBy)))], timeline, runs);

    RunAnswer ToAnswer(Run run, IReadOnlyList<TimelineAnswer>? timeline) => new(
        run.Id, run.IncidentId, run.Runbook, run.RunbookHash, run.Tenant, run.Cluster, run.Node, ToAnswer(run.Subject), run.State, run.Reason, run.Since,
        run.RetryAt, run.Attempt, run.PlanHash, run.CreatedAt, run.EndedAt, _host.Explain(run.Id)!,
        [.. run.Reports.Select(r => new StepAnswer(r.Step, r.Action, r.Outcome, r.Summary, r.Output, r.At))], timeline);

    static Dictionary<string, string> ToAnswer(Labels labels) => labels.ToDictionary(l => l.Name, l => l.Value);
}
