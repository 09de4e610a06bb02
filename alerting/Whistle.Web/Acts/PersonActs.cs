using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.Logging;

using Whistle.Alerting;
using Whistle.Alerting.Tickets;
using Whistle.Inventory;
using Whistle.Remediation;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Web.Live;

namespace Whistle.Web.Acts;

/// <summary>
/// What a person does on the pages, in their name, by the same stores as the API. The answer is null, or why not and how to fix it.
/// </summary>
sealed class PersonActs(
    RemediationEnvironment environment, AlertingHost alerting, LiveFeed feed, AuthenticationStateProvider people, TimeProvider time,
    ILogger<PersonActs> logger)
{
    const int LongestText = 64 << 10;

    public Task<string?> AcknowledgeAsync(string incident, TimeSpan duration) => DoAsync(async (author, now) =>
        environment.Limits.RefuseAcknowledgement(duration) is { } tooLong
            ? tooLong
            : await environment.Incidents.AcknowledgeAsync(new(incident, author, now, now + duration), CancellationToken.None) ? null
            : "The incident has already closed, so there is nothing to acknowledge.");

    public Task<string?> ReleaseAsync(string incident) => DoAsync(async (author, now) =>
        await environment.Incidents.ReleaseAsync(incident, author, now, CancellationToken.None)
            ? null : "This incident is no longer acknowledged, or it has closed.");

    /// <param name="step">That asks for a yes of its own; empty for the plan.</param>
    /// <param name="planHash">Of the plan that the person saw.</param>
    public Task<string?> ApproveAsync(string run, string step, string planHash, TimeSpan duration) => DoAsync(async (author, now) =>
    {
        if (await environment.Runs.FindAsync(run, CancellationToken.None) is not { EndedAt: null } current)
            return "The run has already ended, so there is nothing to approve.";
        if (current.PlanHash != planHash)
            return "The plan has changed since you opened it. Close this, read the new plan and approve that.";
        if (environment.Limits.RefuseApproval(duration) is { } tooLong)
            return tooLong;
        await environment.Runs.ApproveAsync(new Approval(run, planHash, author, now, now + duration, step), CancellationToken.None);
        return null;
    });

    public Task<string?> CompleteAsync(string run, string step, string note) => DoAsync(async (author, now) =>
        await environment.Runs.CompleteAsync(new(run, step, author, note, now), CancellationToken.None)
            ? null : "The run has already ended, so nothing is waiting for this.");

    public Task<string?> CancelAsync(string run, string reason) => DoAsync(async (author, now) =>
        await environment.Runs.CancelAsync(new(run, author, reason, now), CancellationToken.None)
            ? null : "The run has already ended, so there is nothing to cancel.");

    public Task<string?> PauseAsync(PauseScope scope, string reason, TimeSpan duration) => DoAsync(async (author, now) =>
    {
        if (environment.Limits.RefusePause(duration) is { } tooLong)
            return tooLong;
        await environment.Control.AddAsync(
            new Pause(0, scope.Tenant, scope.Cluster, scope.Node, scope.Runbook, reason, author, now, now + duration),
            CancellationToken.None);
        return null;
    });

    public Task<string?> EndPauseAsync(long pause) => DoAsync(async (author, now) =>
        await environment.Control.EndPauseAsync(pause, author, now, CancellationToken.None) ? null : "The pause has already ended.");

    public Task<string?> KillAsync(bool on, string reason) => DoAsync(async (author, now) =>
    {
        await environment.Control.SetAsync(
            new KillSwitch(on, on && reason.Length == 0 ? KillSwitch.NoReason : reason, author, now), CancellationToken.None);
        return null;
    });

    /// <summary>
    /// For one runbook in one cluster. The strictest of all that is set wins, so it may stay stricter; the answer says what holds it.
    /// </summary>
    public Task<string?> SetModeAsync(Runbook runbook, ClusterId cluster, RunbookMode mode) => DoAsync(async (author, now) =>
    {
        await environment.Control.SetAsync(
            new ModeEntry(runbook.Name, cluster.Tenant, cluster.Cluster, mode, author, now), CancellationToken.None);
        var (effective, from) = ControlStore.ModeOf(await environment.Control.ModesAsync(CancellationToken.None), runbook, cluster);
        return effective == mode ? null : $"Set, but the mode in effect is still {effective.ToString().ToLowerInvariant()} ({from}). "
            + "The strictest setting wins; change that one too.";
    });

    public Task<string?> MoveTicketAsync(long ticket, TicketState state, string remark) =>
        DoAsync(async (author, _) => (await alerting.Tickets.MoveAsync(ticket, state, author, remark, CancellationToken.None)).Refusal);

    public Task<string?> CommentAsync(long ticket, string text) =>
        DoAsync(async (author, _) => text.Trim() is { Length: > 0 and <= LongestText } comment
            ? (await alerting.Tickets.CommentAsync(ticket, author, comment, CancellationToken.None)).Refusal
            : $"A comment has between 1 and {LongestText} characters.");

    async Task<string?> DoAsync(Func<string, DateTimeOffset, Task<string?>> act)
    {
        var author = (await people.GetAuthenticationStateAsync()).User.Identity is { IsAuthenticated: true, Name: { Length: > 0 } name }
            ? name : null;
        if (author is null)
            return "Your session has ended. Reload the page to see how to log in again.";
        try
        {
            var refusal = await act(author, time.GetUtcNow());
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
