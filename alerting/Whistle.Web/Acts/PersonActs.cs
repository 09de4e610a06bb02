using System.Text.Json.Nodes;

using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.Logging;

using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Live;

namespace Whistle.Web.Acts;

/// <summary>
/// What a person does on the pages, in their name, by the same stores as the API. A page lasts as long as its connection, so each act asks
/// again what the person may do there. The answer is null, or why not and how to fix it.
/// </summary>
sealed partial class PersonActs(
    RemediationEnvironment environment, AlertingHost alerting, LiveFeed feed, AuthenticationStateProvider people, Guard guard,
    AuditLog audit, RegisterActs register, Visitor visitor, TimeProvider time, ILogger<PersonActs> logger)
{
    const int LongestText = 64 << 10;

    const string NoIncident = "There is no such incident.";
    const string NoRun = "There is no such run.";
    const string NoTicket = "There is no such ticket.";

    public Task<string?> AcknowledgeAsync(string incident, TimeSpan duration) =>
        OnIncidentAsync(new("acknowledge-incident", incident, new() { ["for"] = $"{duration}" }), async (author, now) =>
        environment.Limits.RefuseAcknowledgement(duration) is { } tooLong
            ? tooLong
            : await environment.Incidents.AcknowledgeAsync(new(incident, author, now, now + duration), CancellationToken.None) ? null
            : "The incident has already closed, so there is nothing to acknowledge.");

    public Task<string?> ReleaseAsync(string incident) => OnIncidentAsync(new("release-incident", incident), async (author, now) =>
        await environment.Incidents.ReleaseAsync(incident, author, now, CancellationToken.None)
            ? null : "This incident is no longer acknowledged, or it has closed.");

    /// <param name="step">That asks for a yes of its own; empty for the plan.</param>
    /// <param name="planHash">Of the plan that the person saw.</param>
    public Task<string?> ApproveAsync(string run, string step, string planHash, TimeSpan duration) =>
        OnRunAsync(
            new("approve-run", run, new() { ["planHash"] = planHash, ["step"] = step, ["for"] = $"{duration}" }), Permission.Approve,
            async (current, author, now) =>
    {
        if (current.EndedAt is not null)
            return "The run has already ended, so there is nothing to approve.";
        if (current.PlanHash != planHash)
            return "The plan has changed since you opened it. Close this, read the new plan and approve that.";
        if (environment.Limits.RefuseApproval(duration) is { } tooLong)
            return tooLong;
        return await environment.Runs.ApproveAsync(
            new Approval(run, planHash, author, now, now + duration, step), CancellationToken.None)
            ? null : "The run has already ended, so there is nothing to approve.";
    });

    public Task<string?> CompleteAsync(string run, string step, string note) =>
        OnRunAsync(new("complete-task", run, new() { ["step"] = step, ["note"] = note }), Permission.Operate, async (_, author, now) =>
            await environment.Runs.CompleteAsync(new(run, step, author, note, now), CancellationToken.None)
                ? null : "The run has already ended, so nothing is waiting for this.");

    public Task<string?> CancelAsync(string run, string reason) =>
        OnRunAsync(new("cancel-run", run, new() { ["reason"] = reason }), Permission.Operate, async (_, author, now) =>
            await environment.Runs.CancelAsync(new(run, author, reason, now), CancellationToken.None)
                ? null : "The run has already ended, so there is nothing to cancel.");

    public Task<string?> PauseAsync(PauseScope scope, string reason, TimeSpan duration) =>
        DoAsync(new("add-pause", "", Details(scope, reason, duration)), Permission.Operate, scope.Scope, async (author, now) =>
    {
        if (environment.Limits.RefusePause(duration) is { } tooLong)
            return tooLong;
        await environment.Control.AddAsync(
            new Pause(0, scope.Tenant, scope.Cluster, scope.Node, scope.Runbook, reason, author, now, now + duration),
            CancellationToken.None);
        return null;
    });

    public Task<string?> EndPauseAsync(long pause) => DoAsync(new("end-pause", $"{pause}"), async caller =>
    {
        const string ended = "The pause has already ended.";
        var now = time.GetUtcNow();
        if ((await environment.Control.PausesAsync(now, CancellationToken.None)).FirstOrDefault(p => p.Id == pause) is not { } found
            || !caller.Rights.SeesPartOf(found.Scope))
            return ended;
        await caller.RequireAsync(Permission.Operate, found.Scope);
        return await environment.Control.EndPauseAsync(pause, caller.Name, now, CancellationToken.None) ? null : ended;
    });

    public Task<string?> KillAsync(bool on, string reason) =>
        DoAsync(
            new("set-kill-switch", "", new() { ["on"] = on, ["reason"] = reason }), Permission.ManageServer, AccessScope.All,
            async (author, now) =>
    {
        if (on)
            AuditAct.CurrentGoesFirst();
        await environment.Control.SetAsync(
            new KillSwitch(on, on && reason.Length == 0 ? KillSwitch.NoReason : reason, author, now), CancellationToken.None);
        return null;
    });

    /// <summary>
    /// For one runbook in one cluster. The strictest of all that is set wins, so it may stay stricter; the answer says what holds it.
    /// </summary>
    public Task<string?> SetModeAsync(Runbook runbook, ClusterId cluster, RunbookMode mode) =>
        DoAsync(
            new("set-mode", "", new() { ["runbook"] = runbook.Name, ["mode"] = $"{mode}".ToLowerInvariant() }), Permission.Operate,
            AccessScope.Of(cluster), async (author, now) =>
    {
        await environment.Control.SetAsync(
            new ModeEntry(runbook.Name, cluster.Tenant, cluster.Cluster, mode, author, now), CancellationToken.None);
        var (effective, from) = ControlStore.ModeOf(await environment.Control.ModesAsync(CancellationToken.None), runbook, cluster);
        return effective == mode ? null : $"Set, but the mode in effect is still {effective.ToString().ToLowerInvariant()} ({from}). "
            + "The strictest setting wins; change that one too.";
    });

    public Task<string?> MoveTicketAsync(long ticket, TicketState state, string remark) =>
        OnTicketAsync(
            ticket, new("move-ticket", $"{ticket}", new() { ["state"] = TicketStates.Name(state), ["remark"] = remark }),
            Permission.Respond, async author =>
            (await alerting.Tickets.MoveAsync(ticket, state, author, remark, CancellationToken.None)).Refusal);

    public Task<string?> CommentAsync(long ticket, string text) =>
        OnTicketAsync(
            ticket, new("comment-ticket", $"{ticket}", new() { ["text"] = text }), Permission.Comment,
            async author => text.Trim() is { Length: > 0 and <= LongestText } comment
            ? (await alerting.Tickets.CommentAsync(ticket, author, comment, CancellationToken.None)).Refusal
            : $"A comment has between 1 and {LongestText} characters.");

    static JsonObject Details(PauseScope scope, string reason, TimeSpan duration) => new()
    {
        ["tenant"] = scope.Tenant,
        ["cluster"] = scope.Cluster,
        ["node"] = scope.Node,
        ["runbook"] = scope.Runbook,
        ["reason"] = reason,
        ["for"] = $"{duration}",
    };

    // What the person may not see is not there.
    Task<string?> OnIncidentAsync(ActEntry entry, Func<string, DateTimeOffset, Task<string?>> act) => DoAsync(entry, async caller =>
    {
        if (await environment.Incidents.FindAsync(entry.Subject, CancellationToken.None) is not { } incident
            || !caller.Sees(incident.ClusterId))
            return NoIncident;
        await caller.RequireAsync(Permission.Respond, incident.ClusterId);
        return await act(caller.Name, time.GetUtcNow());
    });

    Task<string?> OnRunAsync(ActEntry entry, Permission permission, Func<Run, string, DateTimeOffset, Task<string?>> act) =>
        DoAsync(entry, async caller =>
    {
        if (await environment.Runs.FindAsync(entry.Subject, CancellationToken.None) is not { } run || !caller.Sees(run.ClusterId))
            return NoRun;
        await caller.RequireAsync(permission, run.ClusterId);
        return await act(run, caller.Name, time.GetUtcNow());
    });

    Task<string?> OnTicketAsync(long id, ActEntry entry, Permission permission, Func<string, Task<string?>> act) =>
        DoAsync(entry, async caller =>
    {
        if (await alerting.Tickets.FindAsync(id, CancellationToken.None) is not { } ticket || !caller.Sees(ticket.ClusterId))
            return NoTicket;
        await caller.RequireAsync(permission, ticket.ClusterId);
        return await act(caller.Name);
    });

    Task<string?> DoAsync(
        ActEntry entry, Permission permission, AccessScope scope, Func<string, DateTimeOffset, Task<string?>> act) =>
        DoAsync(entry, async caller =>
    {
        await caller.RequireAsync(permission, scope);
        return await act(caller.Name, time.GetUtcNow());
    });

    async Task<string?> DoAsync(ActEntry entry, Func<Caller, Task<string?>> act)
    {
        var user = (await people.GetAuthenticationStateAsync()).User;
        if (user.Identity is not { IsAuthenticated: true, Name.Length: > 0 })
            return "Your session has ended. Reload the page to see how to log in again.";
        string? refusal;
        try
        {
            var caller = await guard.OfAsync(user, visitor.From, CancellationToken.None);
            var written = new AuditAct(caller.Who, entry.Action)
            {
                Scope = () => caller.Concerned,
                Subject = entry.Subject,
                Details = entry.Details is { } details ? ActAudit.Text(details) : "",
            };
            // What is said of an act that was done is no refusal.
            refusal = await audit.RecordAsync(written, () => act(caller), said => written.IsWritten ? null : said);
        }
        catch (ForbiddenException e)
        {
            return e.Message;
        }
        catch (Exception e)
        {
            logger.ActFailed(e);
            return "The server could not do it, and nothing was changed. Try again; the server's log says why.";
        }

        try
        {
            await feed.RefreshAsync(CancellationToken.None);
        }
        catch (Exception e)
        {
            // The act is done; the next look shows it.
            logger.PageIncomplete(e);
        }

        return refusal;
    }
}

/// <summary>What the audit says of an act; the same that it says of one over the API.</summary>
sealed record ActEntry(string Action, string Subject, JsonObject? Details = null);

/// <summary>What a pause holds back. An empty name matches all.</summary>
sealed record PauseScope(string Tenant = "", string Cluster = "", string Node = "", string Runbook = "")
{
    public AccessScope Scope => AccessScope.Of(new ClusterId(Tenant, Cluster));
}
