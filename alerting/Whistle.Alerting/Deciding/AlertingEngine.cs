using Whistle.Incidents;

namespace Whistle.Alerting.Deciding;

/// <summary>
/// Decides what people hear of an incident. The deadline is alerting's own: it runs from the incident's opening whatever a repair does
/// meanwhile, so a repair can delay a page only inside it.
/// </summary>
static class AlertingEngine
{
    // A repair of a closed incident is waited for this long, to be told as a change.
    static readonly TimeSpan LongestRepair = TimeSpan.FromDays(1);

    public static (AlertState State, IReadOnlyList<Decision> Decisions) Decide(
        IncidentView view, AlertState state, AlertingOptions options, DateTimeOffset now)
    {
        var decisions = new List<Decision>();
        state = BeginRound(view.Incident, state, now);
        state = TellRepairs(view, state, decisions);
        state = view.Incident.State is IncidentState.Closed
            ? Close(view, state, now, decisions)
            : Attend(view, state, options, now, decisions);
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

    static AlertState TellRepairs(IncidentView view, AlertState state, List<Decision> decisions)
    {
        var untold = view.Repairs.Where(r => r is { Changed: true, State: not RepairState.Underway } && !state.ToldRepairs.Contains(r.Id)).ToList();
        if (untold.Count == 0)
            return state;
        decisions.AddRange(untold.Select(r => new Decision.Change(r)));
        return state with { ToldRepairs = [.. state.ToldRepairs, .. untold.Select(r => r.Id)] };
    }

    static AlertState Attend(IncidentView view, AlertState state, AlertingOptions options, DateTimeOffset now, List<Decision> decisions)
    {
        var gaveUp = GaveUp(view, state);
        if (gaveUp is not null && state.TicketedGiveUp != gaveUp.Id)
        {
            decisions.Add(new Decision.OpenTicket(gaveUp));
            state = state with { TicketedGiveUp = gaveUp.Id };
        }

        state = NoteInhibition(view.Incident, NoteAcknowledgement(view, state, now), now);
        if (Reason(view, state, gaveUp, options, now) is not { } reason)
            return state with { Held = null, UnpagedSince = null };
        if (HoldReason(view, options, now) is { } hold)
            return Withhold(state with { UnpagedSince = null }, hold, new Decision.Hold(hold), decisions);
        if (options.HasChannel)
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

    static AlertState Page(Incident incident, AlertState state, Repair? gaveUp, string reason, DateTimeOffset now, List<Decision> decisions)
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
            PagedParties = [.. state.PagedParties.Union(Parties(incident))],
            PagedGiveUp = gaveUp?.Id,
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
        else if (Severity.Rank(view.Incident.Severity) > 0)
            decisions.Add(new Decision.Digest(Ending(view, state)));
        if (state.TicketedGiveUp is not null)
            decisions.Add(new Decision.ResolveTicket());
        return AlertState.New with
        {
            Since = state.Since ?? view.Incident.OpenedAt,
            Closed = true,
            Pages = state.Pages,
            ToldRepairs = state.ToldRepairs,
            Settled = settled,
        };
    }

    static AlertState NoteAcknowledgement(IncidentView view, AlertState state, DateTimeOffset now)
    {
        if (view.Acknowledgement is { } acknowledgement && acknowledgement.Until > now)
            return state.AcknowledgedUntil == acknowledgement.Until ? state : state with { AcknowledgedUntil = acknowledgement.Until };
        // Taken back before its end: the person said "go on" and need not be called for that.
        return state.AcknowledgedUntil > now ? state with { AcknowledgedUntil = null } : state;
    }

    // While another incident tells it its own deadline stands still, and does not begin anew: a cause that comes and goes would put it off for ever.
    static AlertState NoteInhibition(Incident incident, AlertState state, DateTimeOffset now) => (incident.InhibitedBy is not null, state.HiddenSince) switch
    {
        (true, null) => state with { HiddenSince = now },
        (false, { } since) => state with { HiddenSince = null, HiddenFor = state.HiddenFor + (now - since) },
        _ => state,
    };

    /// <summary>Why a page is due now; null where none is.</summary>
    static string? Reason(IncidentView view, AlertState state, Repair? gaveUp, AlertingOptions options, DateTimeOffset now)
    {
        var incident = view.Incident;
        if (gaveUp is not null && state.PagedGiveUp != gaveUp.Id)
            return $"the repair by {gaveUp.Runbook} gave up: {gaveUp.Summary}";
        if (state.OpenPages.Count == 0)
            return Overdue(incident, state, options, now);
        var severity = PageSeverity(incident, gaveUp);
        if (Severity.Rank(severity) > Severity.Rank(state.PagedSeverity))
            return $"the severity rose from {state.PagedSeverity} to {severity}.";
        if (state.AcknowledgedUntil <= now)
            return "the acknowledgement has ended and the incident is still open.";
        var joined = Parties(incident).Except(state.PagedParties).ToList();
        return joined.Count > 0 && now >= state.PagedAt + options.JoinInterval ? $"{string.Join(", ", joined)} joined." : null;
    }

    static string? Overdue(Incident incident, AlertState state, AlertingOptions options, DateTimeOffset now)
    {
        var rank = Severity.Rank(incident.Severity);
        var deadline = rank >= Severity.Rank(Severity.Error) ? options.CriticalDeadline : options.WarningDeadline;
        if (rank < Severity.Rank(Severity.Warning) || now - state.Since - state.HiddenFor < deadline)
            return null;
        var hidden = state.HiddenFor > TimeSpan.Zero ? $", not counting the {Durations.Text(state.HiddenFor)} for which it was inhibited" : "";
        return $"the incident is still open {Durations.Text(deadline)} after it opened{hidden}.";
    }

    static string? HoldReason(IncidentView view, AlertingOptions options, DateTimeOffset now)
    {
        if (view.Acknowledgement is { } acknowledgement && acknowledgement.Until > now)
            return $"acknowledged by {acknowledgement.Author} until {acknowledgement.Until:u}.";
        if (view.Incident.InhibitedBy is { } cause)
            return $"all its signals are inhibited by {cause}.";
        // Nothing is wrong at this moment, and a relapse pages at once. A closing that never comes is not waited for.
        return view.Incident is { State: IncidentState.Recovering, ClearSince: { } clear } && now - clear < options.RecoveryPatience
            ? $"all its signals cleared at {clear:u}."
            : null;
    }

    static Repair? GaveUp(IncidentView view, AlertState state) =>
        view.Repairs.LastOrDefault(r => r.State is RepairState.GaveUp && (r.EndedAt ?? r.StartedAt) >= state.Since);

    static string PageSeverity(Incident incident, Repair? gaveUp) =>
        Severity.Name(Math.Max(Severity.Rank(incident.Severity), gaveUp is null ? 0 : Severity.Rank(Severity.Error)));

    // Of a storm, which node joins later tells nothing new.
    static IEnumerable<string> Parties(Incident incident) => incident.IsStorm ? [] : EachParty(incident);

    static IEnumerable<string> EachParty(Incident incident)
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
