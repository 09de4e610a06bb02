using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.Logging;

using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Web.Clusters;
using Whistle.Web.Live;

namespace Whistle.Web.Acts;

/// <summary>
/// What a person does on the pages, in their name, by the same stores as the API. The answer is null, or why not and how to mend it.
/// </summary>
sealed class PersonActs(
    RemediationEnvironment environment, AlertingHost alerting, LiveFeed feed, AuthenticationStateProvider people, TimeProvider time, ILogger<PersonActs> logger)
{
    const int LongestText = 64 << 10;

    public Task<string?> AcknowledgeAsync(string incident, TimeSpan duration) => DoAsync((author, now) =>
        environment.Limits.RefuseAcknowledgement(duration) is { } tooLong ? tooLong
            : environment.Incidents.Acknowledge(new(incident, author, now, now + duration)) ? null : "The incident has already closed, so there is nothing to acknowledge.");

    public Task<string?> ReleaseAsync(string incident) => DoAsync((author, now) =>
        environment.Incidents.Release(incident, author, now) ? null : "This incident is no longer acknowledged, or it has closed.");

    /// <param name="step">That asks for a yes of its own; empty for the plan.</param>
    /// <param name="planHash">Of the plan that the person saw.</param>
    public Task<string?> ApproveAsync(string run, string step, string planHash, TimeSpan duration) => DoAsync((author, now) =>
    {
        if (environment.Runs.Find(run) is not { EndedAt: null } current)
            return "The run has already ended, so there is nothing to approve.";
        if (current.PlanHash != planHash)
            return "The plan has changed since you opened it. Close this, read the new plan and approve that.";
        if (environment.Limits.RefuseApproval(duration) is { } tooLong)
            return tooLong;
        environment.Runs.Approve(new Approval(run, planHash, author, now, now + duration, step));
        return null;
    });

    public Task<string?> CompleteAsync(string run, string step, string note) => DoAsync((author, now) =>
        environment.Runs.Complete(new(run, step, author, note, now)) ? null : "The run has already ended, so nothing is waiting for this.");

    public Task<string?> CancelAsync(string run, string reason) => DoAsync((author, now) =>
        environment.Runs.Cancel(new(run, author, reason, now)) ? null : "The run has already ended, so there is nothing to cancel.");

    public Task<string?> PauseAsync(PauseScope scope, string reason, TimeSpan duration) => DoAsync((author, now) =>
    {
        if (environment.Limits.RefusePause(duration) is { } tooLong)
            return tooLong;
        environment.Control.Add(new Pause(0, scope.Tenant, scope.Cluster, scope.Node, scope.Runbook, reason, author, now, now + duration));
        return null;
    });

    public Task<string?> EndPauseAsync(long pause) => DoAsync((author, now) =>
        environment.Control.EndPause(pause, author, now) ? null : "The pause has already ended.");

    public Task<string?> KillAsync(bool on, string reason) => DoAsync((author, now) =>
    {
        environment.Control.Set(new KillSwitch(on, on && reason.Length == 0 ? KillSwitch.NoReason : reason, author, now));
        return null;
    });

    /// <summary>For one runbook in one cluster. The strictest of all that is set wins, so it may stay stricter; the answer says what holds it.</summary>
    public Task<string?> SetModeAsync(Runbook runbook, ClusterKey cluster, RunbookMode mode) => DoAsync((author, now) =>
    {
        environment.Control.Set(new ModeEntry(runbook.Name, cluster.Tenant, cluster.Cluster, mode, author, now));
        var (effective, from) = ControlStore.ModeOf(environment.Control.Modes(), runbook, cluster.Tenant, cluster.Cluster);
        return effective == mode ? null : $"Set, but the mode in effect is still {effective.ToString().ToLowerInvariant()} ({from}). The strictest setting wins; change that one too.";
    });

    public Task<string?> MoveTicketAsync(long ticket, TicketState state, string remark) => DoAsync((author, _) => alerting.Tickets.Move(ticket, state, author, remark).Refusal);

    public Task<string?> CommentAsync(long ticket, string text) => DoAsync((author, _) => text.Trim() is { Length: > 0 and <= LongestText } comment
        ? alerting.Tickets.Comment(ticket, author, comment).Refusal
        : $"A comment has between 1 and {LongestText} characters.");

    async Task<string?> DoAsync(Func<string, DateTimeOffset, string?> act)
    {
        var author = (await people.GetAuthenticationStateAsync()).User.Identity is { IsAuthenticated: true, Name: { Length: > 0 } name } ? name : null;
        if (author is null)
            return "Your session has ended. Reload the page to see how to log in again.";
        try
        {
            var refusal = act(author, time.GetUtcNow());
            await feed.RefreshAsync(CancellationToken.None);
            return refusal;
        }
        catch (Exception e)
        {
            logger.ActFailed(e);
            return $"The server could not do it, and nothing was changed: {e.Message} Try again, or see the server's log.";
        }
    }
}

/// <summary>What a pause holds back. An empty name matches all.</summary>
sealed record PauseScope(string Tenant = "", string Cluster = "", string Node = "", string Runbook = "");
