using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Incidents;
using Whistle.PromQL;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Remediation;

/// <param name="QuietSince">Since when it no longer holds and is only kept firing by its rule.</param>
public sealed record SignalAnswer(string Name, string Severity, IReadOnlyDictionary<string, string> Labels, DateTimeOffset Since, DateTimeOffset? ClearedAt, bool Unknown,
    DateTimeOffset? QuietSince);

public sealed record TimelineAnswer(long Number, DateTimeOffset At, string Kind, string Text, int Count);

/// <param name="State">open, mitigating, recovering, closed.</param>
/// <param name="Timeline">Null in lists.</param>
public sealed record IncidentAnswer(
    string Id, string Tenant, string Cluster, IReadOnlyDictionary<string, string> Subject, string Title, string Severity, string State, DateTimeOffset OpenedAt,
    DateTimeOffset? ClosedAt, DateTimeOffset? ClearSince, int Reopened, IReadOnlyList<SignalAnswer> Signals, IReadOnlyList<TimelineAnswer>? Timeline,
    IReadOnlyList<RunAnswer>? Runs);

public sealed record StepAnswer(string Step, string Action, string Outcome, string Summary, JsonElement? Output, DateTimeOffset At);

/// <param name="State">proposed, waiting, awaiting-approval, running, verifying, succeeded, failed, rolled-back, escalated, cancelled.</param>
/// <param name="Explanation">One sentence: why nothing happens now, and when that is looked at again.</param>
/// <param name="PlanHash">What an approval names.</param>
/// <param name="Timeline">Null in lists.</param>
public sealed record RunAnswer(
    string Id, string Incident, string Runbook, string RunbookHash, string Tenant, string Cluster, string Node, IReadOnlyDictionary<string, string> Subject,
    string State, string Reason, DateTimeOffset Since, DateTimeOffset? RetryAt, int Attempt, string PlanHash, DateTimeOffset CreatedAt, DateTimeOffset? EndedAt,
    string Explanation, IReadOnlyList<StepAnswer> Steps, IReadOnlyList<TimelineAnswer>? Timeline);

public sealed record ExplanationAnswer(string Run, string State, string Explanation, DateTimeOffset? RetryAt);

/// <param name="For">Such as 2h; every pause ends.</param>
public sealed record PauseRequest(string? Tenant, string? Cluster, string? Node, string? Runbook, string Reason, string For);

public sealed record KillSwitchRequest(bool On, string Reason);

/// <param name="Mode">off, observe, approve, automatic.</param>
public sealed record ModeRequest(string? Runbook, string? Tenant, string? Cluster, string Mode);

public sealed record ModeAnswer(string Runbook, string Tenant, string Cluster, string Mode, string Author, DateTimeOffset At);

public sealed record RunbookAnswer(string Name, string Summary, string File, string Hash, string Mode);

/// <param name="For">How long the approval holds; 1h unless given.</param>
public sealed record ApprovalRequest(string PlanHash, string? For);

/// <summary>
/// <c>/api/whistle/v1/</c>: incidents, runs, pauses, kill-switch, runbooks, runbook-modes. Whoever maps it puts authentication in front;
/// the author of a change is the user. Lists take <c>since</c>, a duration (24h unless given).
/// </summary>
public sealed class RemediationApi
{
    const string Root = "/api/whistle/v1";

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
        routes.MapGet($"{Root}/incidents", api.Incidents).WithName("incidents");
        routes.MapGet($"{Root}/incidents/{{id}}", api.Incident).WithName("incident");
        routes.MapGet($"{Root}/runs", api.Runs).WithName("runs");
        routes.MapGet($"{Root}/runs/{{id}}", api.Run).WithName("run");
        routes.MapGet($"{Root}/runs/{{id}}/explain", api.Explain).WithName("explainRun");
        routes.MapPost($"{Root}/runs/{{id}}/approve", api.Approve).WithName("approveRun");
        routes.MapGet($"{Root}/pauses", () => TypedResults.Ok(environment.Control.Pauses(time.GetUtcNow()))).WithName("pauses");
        routes.MapPost($"{Root}/pauses", api.AddPause).WithName("pause");
        routes.MapDelete($"{Root}/pauses/{{id}}", api.EndPause).WithName("endPause");
        routes.MapGet($"{Root}/kill-switch", () => TypedResults.Ok(environment.Control.KillSwitch())).WithName("killSwitch");
        routes.MapPut($"{Root}/kill-switch", api.SetKillSwitch).WithName("setKillSwitch");
        routes.MapGet($"{Root}/runbooks", api.Runbooks).WithName("runbooks");
        routes.MapGet($"{Root}/runbook-modes", () => TypedResults.Ok(environment.Control.Modes().Select(ToAnswer).ToList())).WithName("runbookModes");
        routes.MapPut($"{Root}/runbook-modes", api.SetMode).WithName("setRunbookMode");
        routes.MapGet($"{Root}/control-timeline", () => TypedResults.Ok(environment.Control.Timeline(1000))).WithName("controlTimeline");
    }

    Results<Ok<List<IncidentAnswer>>, BadRequest<string>> Incidents(string? since) => Since(since) is { } at
        ? TypedResults.Ok(_environment.Incidents.Since(at).Select(i => ToAnswer(i, null, null)).ToList())
        : BadDuration("since", since);

    Results<Ok<IncidentAnswer>, NotFound<string>> Incident(string id)
    {
        if (_environment.Incidents.Find(id) is not { } incident)
            return TypedResults.NotFound($"There is no incident {id}.");
        var timeline = _environment.Incidents.Timeline(id).Select(e => new TimelineAnswer(e.Number, e.At, e.Kind, e.Text, e.Count)).ToList();
        return TypedResults.Ok(ToAnswer(incident, timeline, [.. _environment.Runs.OfIncident(id).Select(r => ToAnswer(r, null))]));
    }

    Results<Ok<List<RunAnswer>>, BadRequest<string>> Runs(string? since) => Since(since) is { } at
        ? TypedResults.Ok(_environment.Runs.Since(at).Select(r => ToAnswer(r, null)).ToList())
        : BadDuration("since", since);

    Results<Ok<RunAnswer>, NotFound<string>> Run(string id)
    {
        if (_environment.Runs.Find(id) is not { } run)
            return TypedResults.NotFound($"There is no run {id}.");
        return TypedResults.Ok(ToAnswer(run, [.. _environment.Runs.Timeline(id).Select(e => new TimelineAnswer(e.Number, e.At, e.Kind, e.Text, e.Count))]));
    }

    Results<Ok<ExplanationAnswer>, NotFound<string>> Explain(string id) => _environment.Runs.Find(id) is { } run
        ? TypedResults.Ok(new ExplanationAnswer(id, Name(run.State), _host.Explain(id)!, run.RetryAt))
        : TypedResults.NotFound($"There is no run {id}.");

    Results<Ok<Approval>, NotFound<string>, BadRequest<string>, Conflict<string>> Approve(string id, ApprovalRequest request, HttpContext context)
    {
        if (_environment.Runs.Find(id) is not { } run)
            return TypedResults.NotFound($"There is no run {id}.");
        if (run.EndedAt is not null || run.PlanHash != request.PlanHash)
            return TypedResults.Conflict(run.EndedAt is null ? $"The run's plan is now {run.PlanHash}; look at it and approve that." : "The run has ended.");
        if (Duration(request.For ?? "1h") is not { } duration)
            return BadDuration("for", request.For);
        var now = _time.GetUtcNow();
        var approval = new Approval(id, request.PlanHash, Author(context), now, now + duration);
        _environment.Runs.Approve(approval);
        return TypedResults.Ok(approval);
    }

    Results<Ok<Pause>, BadRequest<string>> AddPause(PauseRequest request, HttpContext context)
    {
        if (Duration(request.For) is not { } duration || duration <= TimeSpan.Zero)
            return BadDuration("for", request.For);
        if (string.IsNullOrWhiteSpace(request.Reason))
            return TypedResults.BadRequest("Give the reason of the pause.");
        var now = _time.GetUtcNow();
        return TypedResults.Ok(_environment.Control.Add(new(
            0, request.Tenant ?? "", request.Cluster ?? "", request.Node ?? "", request.Runbook ?? "", request.Reason, Author(context), now, now + duration)));
    }

    Results<NoContent, NotFound<string>> EndPause(long id, HttpContext context) =>
        _environment.Control.EndPause(id, Author(context), _time.GetUtcNow()) ? TypedResults.NoContent() : TypedResults.NotFound($"No pause {id} is in force.");

    Results<Ok<KillSwitch>, BadRequest<string>> SetKillSwitch(KillSwitchRequest request, HttpContext context)
    {
        if (string.IsNullOrWhiteSpace(request.Reason))
            return TypedResults.BadRequest("Give the reason.");
        var kill = new KillSwitch(request.On, request.Reason, Author(context), _time.GetUtcNow());
        _environment.Control.Set(kill);
        return TypedResults.Ok(kill);
    }

    Ok<List<RunbookAnswer>> Runbooks() =>
        TypedResults.Ok(_host.Runbooks.Runbooks.Select(r => new RunbookAnswer(r.Name, r.Summary, Path.GetFileName(r.File), r.Hash, Name(r.Mode))).ToList());

    Results<Ok<ModeAnswer>, BadRequest<string>> SetMode(ModeRequest request, HttpContext context)
    {
        if (Enum.GetValues<RunbookMode>().Cast<RunbookMode?>().FirstOrDefault(m => Name(m!.Value) == request.Mode) is not { } mode)
            return TypedResults.BadRequest($"\"{request.Mode}\" is not a mode; it is off, observe, approve or automatic.");
        if (request.Runbook is { Length: > 0 } name && !_host.Runbooks.Runbooks.Any(r => r.Name == name))
            return TypedResults.BadRequest($"There is no runbook \"{name}\"; there are {string.Join(", ", _host.Runbooks.Runbooks.Select(r => r.Name))}.");
        var entry = new ModeEntry(request.Runbook ?? "", request.Tenant ?? "", request.Cluster ?? "", mode, Author(context), _time.GetUtcNow());
        _environment.Control.Set(entry);
        return TypedResults.Ok(ToAnswer(entry));
    }

    DateTimeOffset? Since(string? since) => Duration(since ?? "24h") is { } duration ? _time.GetUtcNow() - duration : null;

    static TimeSpan? Duration(string? text) => Durations.TryParse(text, out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds) : null;

    static BadRequest<string> BadDuration(string name, string? text) =>
        TypedResults.BadRequest($"{name}: \"{text}\" is not a duration; write it like 30s, 5m or 1h30m.");

    static string Author(HttpContext context) => context.User.Identity?.Name ?? "operator";

    static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.KebabCaseLower.ConvertName(value.ToString());

    static ModeAnswer ToAnswer(ModeEntry entry) => new(entry.Runbook, entry.Tenant, entry.Cluster, Name(entry.Mode), entry.Author, entry.At);

    static IncidentAnswer ToAnswer(Incident incident, IReadOnlyList<TimelineAnswer>? timeline, IReadOnlyList<RunAnswer>? runs) => new(
        incident.Id, incident.Tenant, incident.Cluster, ToAnswer(incident.Subject), incident.Title, incident.Severity, Name(incident.State), incident.OpenedAt,
        incident.ClosedAt, incident.ClearSince, incident.Reopened,
        [.. incident.Signals.Select(s => new SignalAnswer(s.Name, s.Severity, ToAnswer(s.Labels), s.Since, s.ClearedAt, s.Unknown, s.QuietSince))], timeline, runs);

    RunAnswer ToAnswer(Run run, IReadOnlyList<TimelineAnswer>? timeline) => new(
        run.Id, run.IncidentId, run.Runbook, run.RunbookHash, run.Tenant, run.Cluster, run.Node, ToAnswer(run.Subject), Name(run.State), run.Reason, run.Since,
        run.RetryAt, run.Attempt, run.PlanHash, run.CreatedAt, run.EndedAt, _host.Explain(run.Id)!,
        [.. run.Reports.Select(r => new StepAnswer(r.Step, r.Action, Name(r.Outcome), r.Summary, r.Output, r.At))], timeline);

    static Dictionary<string, string> ToAnswer(Labels labels) => labels.ToDictionary(l => l.Name, l => l.Value);
}
