using Whistle.Incidents;

namespace Whistle.Alerting.Deciding;

/// <summary>
/// Decides whom an incident notifies of what. The deadline is alerting's own: it runs from the incident's opening whatever a repair does,
/// so a repair can delay a page only within it.
/// </summary>
static class AlertingEngine
{
    // A repair of a closed incident is waited for this long, to be reported as a change.
    static readonly TimeSpan LongestRepair = TimeSpan.FromDays(1);

    public static (AlertState State, IReadOnlyList<Decision> Decisions) Decide(
        IncidentView view, AlertState state, PagingPolicy policy, DateTimeOffset now)
    {
        var decisions = new List<Decision>();
        state = BeginRound(view.Incident, state, now);
        state = ReportRepairs(view, state, decisions);
        state = view.Incident.State is IncidentState.Closed
            ? Close(view, state, now, decisions)
            : DecideOpen(view, state, policy, now, decisions);
        return (state, decisions);
    }

    static AlertState BeginRound(Incident incident, AlertState state, DateTimeOffset now)
    {
        if (incident.State is IncidentState.Closed || (state.Since is not null && !state.Closed))
            return state;
        var active = incident.Signals.Where(s => s.ClearedAt is null).Select(s => s.Since).DefaultIfEmpty(now).Min();
        var returned = state.Closed || incident.Reopened > 0;
        var since = returned ? active : incident.OpenedAt;
        return state with { Closed = false, Settled = false, Since = since < now ? since : now };
    }

    static AlertState ReportRepairs(IncidentView view, AlertState state, List<Decision> decisions)
    {
        var changed = view.Repairs.Where(r => r is { Changed: true, State: not RepairState.Underway });
        var unreported = changed.Where(r => !state.ReportedRepairs.Contains(r.Id)).ToList();
        if (unreported.Count == 0)
            return state;
        decisions.AddRange(unreported.Select(r => new Decision.Change(r)));
        return state with { ReportedRepairs = [.. state.ReportedRepairs, .. unreported.Select(r => r.Id)] };
    }

    static AlertState DecideOpen(IncidentView view, AlertState state, PagingPolicy policy, DateTimeOffset now, List<Decision> decisions)
    {
        var gaveUp = GaveUp(view, state);
        if (gaveUp is not null && state.TicketedRepair != gaveUp.Id)
        {
            decisions.Add(new Decision.OpenTicket(gaveUp));
            state = state with { TicketedRepair = gaveUp.Id };
        }

        state = NoteInhibition(view.Incident, NoteAcknowledgement(view, state, now), now);
        if (Reason(view, state, gaveUp, policy, now) is not { } reason)
            return state with { Held = null, UnpagedSince = null };
        if (ReasonToHold(view, policy, now) is { } hold)
            return Withhold(state with { UnpagedSince = null }, hold.Text, new Decision.Hold(hold), decisions);
        if (policy.HasChannel)
            return Page(view.Incident, state, gaveUp, reason, now, decisions);
        // It stays due, so that it is sent once there is a channel.
        var unpaged = new Decision.Unpaged(PageSeverity(view.Incident, gaveUp), reason);
        return Withhold(state with { UnpagedSince = state.UnpagedSince ?? now }, unpaged.Text, unpaged, decisions);
    }

    // Noted once for each reason.
    static AlertState Withhold(AlertState state, string why, Decision decision, List<Decision> decisions)
    {
        if (state.Held != why)
            decisions.Add(decision);
        return state with { Held = why };
    }

    static AlertState Page(
        Incident incident, AlertState state, Repair? gaveUp, PageReason reason, DateTimeOffset now, List<Decision> decisions)
    {
        var number = state.Pages + 1;
        var severity = PageSeverity(incident, gaveUp);
        decisions.Add(new Decision.Page(number, severity, reason));
        return state with
        {
            Pages = number,
            OpenPages = [.. state.OpenPages, number],
            PagedAt = now,
            PagedSeverity = severity,
            PagedScope = [.. state.PagedScope.Union(Scope(incident))],
            PagedRepair = gaveUp?.Id,
            AcknowledgedUntil = null,
            Held = null,
            UnpagedSince = null,
        };
    }

    static AlertState Close(IncidentView view, AlertState state, DateTimeOffset now, List<Decision> decisions)
    {
        var settled = view.Repairs.All(r => r.State is not RepairState.Underway) || now - view.Incident.ClosedAt > LongestRepair;
        if (state.Closed)
            return state with { Settled = settled };
        decisions.AddRange(state.OpenPages.Select(n => new Decision.Resolve(n)));
        if (state.OpenPages.Count > 0)
            decisions.Add(new Decision.Announce(state.Pages, Ending(view, state)));
        else if (Severities.Of(view.Incident.Severity) > Severity.None)
            decisions.Add(new Decision.Digest(Ending(view, state)));
        if (state.TicketedRepair is not null)
            decisions.Add(new Decision.ResolveTicket());
        return AlertState.New with
        {
            Since = state.Since ?? view.Incident.OpenedAt,
            Closed = true,
            Pages = state.Pages,
            ReportedRepairs = state.ReportedRepairs,
            Settled = settled,
        };
    }

    static AlertState NoteAcknowledgement(IncidentView view, AlertState state, DateTimeOffset now)
    {
        if (view.Acknowledgement is { } acknowledgement && acknowledgement.Until > now)
            return state.AcknowledgedUntil == acknowledgement.Until ? state : state with { AcknowledgedUntil = acknowledgement.Until };
        // Taken back before its end: the person released it and need not be paged for that.
        return state.AcknowledgedUntil > now ? state with { AcknowledgedUntil = null } : state;
    }

    // While it is inhibited, its own deadline stands still. It does not start again: a cause that comes and goes would put it off for ever.
    static AlertState NoteInhibition(Incident incident, AlertState state, DateTimeOffset now) =>
        (incident.InhibitedBy is not null, state.InhibitedSince) switch
        {
            (true, null) => state with { InhibitedSince = now },
            (false, { } since) => state with { InhibitedSince = null, InhibitedFor = state.InhibitedFor + (now - since) },
            _ => state,
        };

    /// <summary>Why a page is due now; null where none is.</summary>
    static PageReason? Reason(IncidentView view, AlertState state, Repair? gaveUp, PagingPolicy policy, DateTimeOffset now)
    {
        var incident = view.Incident;
        if (gaveUp is not null && state.PagedRepair != gaveUp.Id)
            return new PageReason.GaveUp(gaveUp);
        if (state.OpenPages.Count == 0)
            return Overdue(incident, state, policy, now);
        var (before, severity) = (state.PagedSeverity ?? Severity.None, PageSeverity(incident, gaveUp));
        if (severity > before)
            return new PageReason.SeverityRose(before, severity);
        if (state.AcknowledgedUntil <= now)
            return new PageReason.AcknowledgementEnded();
        var joined = Scope(incident).Except(state.PagedScope).ToList();
        return joined.Count > 0 && now >= state.PagedAt + policy.JoinInterval ? new PageReason.Joined(joined) : null;
    }

    static PageReason.StillOpen? Overdue(Incident incident, AlertState state, PagingPolicy policy, DateTimeOffset now)
    {
        var severity = Severities.Of(incident.Severity);
        var deadline = severity >= Severity.Error ? policy.CriticalDeadline : policy.WarningDeadline;
        var isOverdue = now - state.Since - state.InhibitedFor >= deadline;
        return severity >= Severity.Warning && isOverdue ? new(deadline, state.InhibitedFor) : null;
    }

    static HoldReason? ReasonToHold(IncidentView view, PagingPolicy policy, DateTimeOffset now)
    {
        if (view.Acknowledgement is { } acknowledgement && acknowledgement.Until > now)
            return new HoldReason.Acknowledged(acknowledgement);
        if (view.Incident.InhibitedBy is { } cause)
            return new HoldReason.Inhibited(cause);
        // Nothing is wrong at this moment, and a relapse pages at once. A closing that never comes is not waited for.
        return view.Incident is { State: IncidentState.Recovering, ClearSince: { } clear } && now - clear < policy.RecoveryPatience
            ? new HoldReason.Recovering(clear)
            : null;
    }

    static Repair? GaveUp(IncidentView view, AlertState state) =>
        view.Repairs.LastOrDefault(r => r.State is RepairState.GaveUp && (r.EndedAt ?? r.StartedAt) >= state.Since);

    static Severity PageSeverity(Incident incident, Repair? gaveUp)
    {
        var (severity, least) = (Severities.Of(incident.Severity), gaveUp is null ? Severity.Info : Severity.Error);
        return severity > least ? severity : least;
    }

    // In a storm, another node that joins is no news.
    static IEnumerable<string> Scope(Incident incident) => incident.IsStorm ? [] : EachInScope(incident);

    static IEnumerable<string> EachInScope(Incident incident)
    {
        foreach (var signal in incident.Signals.Where(s => s is { ClearedAt: null, InhibitedBy: null }))
        {
            yield return $"cause {signal.Name}";
            if ((signal.Labels.Has("node") ? signal.Labels["node"] : signal.Labels["instance"]) is { Length: > 0 } node)
                yield return $"node {node}";
            if (signal.Labels.Has("member"))
                yield return $"member {signal.Labels["member"]}";
        }
    }

    static string Ending(IncidentView view, AlertState state)
    {
        var incident = view.Incident;
        var open = (incident.ClosedAt ?? incident.OpenedAt) - (state.Since ?? incident.OpenedAt);
        var repair = view.Repairs.LastOrDefault(r => r.Changed);
        var how = repair is null ? "It cleared without a repair." : $"Repaired by {repair.Runbook}: {repair.Summary}";
        return $"{incident.Title}: closed after {Durations.Text(open)}. {how}";
    }
}
