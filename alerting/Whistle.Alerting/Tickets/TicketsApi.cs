using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace Whistle.Alerting.Tickets;

public sealed record TicketList(IReadOnlyList<Ticket> Tickets);

public sealed record TicketWithTimeline(Ticket Ticket, IReadOnlyList<TicketEntry> Timeline);

public sealed record TicketComment(string Text);

/// <param name="State">A state's name, such as <c>in-progress</c>.</param>
public sealed record TicketMove(string State, string? Remark);

public sealed record TicketError(string Error);

/// <summary>
/// Tickets under <c>/api/whistle/v1/tickets</c>: the list (<c>?state=</c>, <c>?incident=</c>), one with its timeline, comments on it
/// and its state. 404 for one that is not there, 400 for what cannot be read, 409 for a state that cannot follow. Whoever maps it puts
/// authentication in front.
/// </summary>
public static class TicketsApi
{
    const string Root = "/api/whistle/v1/tickets";
    const int LongestText = 64 << 10;

    public static void Map(IEndpointRouteBuilder routes, TicketStore tickets)
    {
        routes.MapGet(Root, (string? state, string? incident) => List(tickets, state, incident)).WithName("ListTickets");
        routes.MapGet($"{Root}/{{id:long}}", (long id) => Get(tickets, id)).WithName("GetTicket");
        routes.MapPost($"{Root}/{{id:long}}/comments", (long id, TicketComment comment, HttpContext context) => Comment(tickets, id, comment, context))
            .WithName("CommentTicket");
        routes.MapPost($"{Root}/{{id:long}}/state", (long id, TicketMove move, HttpContext context) => Move(tickets, id, move, context)).WithName("MoveTicket");
    }

    static Results<Ok<TicketList>, BadRequest<TicketError>> List(TicketStore tickets, string? state, string? incident)
    {
        var wanted = string.IsNullOrEmpty(state) ? null : TicketStates.Find(state);
        return wanted is null && !string.IsNullOrEmpty(state)
            ? TypedResults.BadRequest(UnknownState(state))
            : TypedResults.Ok(new TicketList(tickets.List(wanted, incident)));
    }

    static Results<Ok<TicketWithTimeline>, NotFound<TicketError>> Get(TicketStore tickets, long id) =>
        tickets.Find(id) is { } ticket
            ? TypedResults.Ok(new TicketWithTimeline(ticket, tickets.Timeline(id)))
            : TypedResults.NotFound(new TicketError($"There is no ticket {id}."));

    static Results<Ok<Ticket>, NotFound<TicketError>, BadRequest<TicketError>, Conflict<TicketError>> Comment(
        TicketStore tickets, long id, TicketComment comment, HttpContext context) =>
        string.IsNullOrWhiteSpace(comment.Text) || comment.Text.Length > LongestText
            ? TypedResults.BadRequest(new TicketError($"A comment has between 1 and {LongestText} characters."))
            : Answer(tickets.Comment(id, Author(context), comment.Text));

    static Results<Ok<Ticket>, NotFound<TicketError>, BadRequest<TicketError>, Conflict<TicketError>> Move(
        TicketStore tickets, long id, TicketMove move, HttpContext context) =>
        TicketStates.Find(move.State ?? "") is { } to && move.Remark is not { Length: > LongestText }
            ? Answer(tickets.Move(id, to, Author(context), move.Remark))
            : TypedResults.BadRequest(UnknownState(move.State));

    static Results<Ok<Ticket>, NotFound<TicketError>, BadRequest<TicketError>, Conflict<TicketError>> Answer(TicketChange change) => change switch
    {
        { Ticket: null } => TypedResults.NotFound(new TicketError(change.Refusal!)),
        { Refusal: { } refusal } => TypedResults.Conflict(new TicketError(refusal)),
        _ => TypedResults.Ok(change.Ticket),
    };

    static TicketError UnknownState(string? state) => new($"\"{state}\" is no state of a ticket; it is one of {TicketStates.Names}.");

    static string Author(HttpContext context) => context.User.Identity?.Name ?? "support";
}
