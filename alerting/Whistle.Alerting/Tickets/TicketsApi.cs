using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;

namespace Whistle.Alerting.Tickets;

/// <summary>The latest first.</summary>
sealed record TicketList(IReadOnlyList<Ticket> Tickets);

/// <summary>The timeline has the oldest entry first.</summary>
sealed record TicketWithTimeline(Ticket Ticket, IReadOnlyList<TicketEntry> Timeline);

/// <summary>What somebody has to say.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record TicketComment(string Text);

/// <summary>The state that a ticket is to have, with a remark.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record TicketMove(TicketState State, string? Remark = null);

/// <summary>Of <see cref="WhistleApi"/>: the tickets.</summary>
static class TicketsApi
{
    const string IdHelp = "The ticket's number.";
    const int LongestText = 64 << 10;

    public static void Map(IEndpointRouteBuilder routes, TicketStore tickets)
    {
        var group = WhistleApi.Group(routes, "tickets");
        group.MapGet("/tickets", async (
            [Description("Only those in this state: open, waiting-on-customer, in-progress, resolved or closed.")] string? state,
            [Description("Only those of this incident.")] string? incident, CancellationToken cancellation) => await ListAsync(
                tickets, state, incident, cancellation))
            .WithName("listTickets").WithSummary("The tickets, the latest first; at most 500.");
        group.MapGet("/tickets/{id:long}", async ([Description(IdHelp)] long id, CancellationToken cancellation) => await GetAsync(
            tickets, id, cancellation)).WithName("getTicket").WithSummary("A ticket with its timeline.");
        group.MapPost("/tickets/{id:long}/comments", async (
            [Description(IdHelp)] long id, TicketComment comment, HttpContext context,
            CancellationToken cancellation) => await CommentAsync(tickets, id, comment, context, cancellation))
            .WithName("commentTicket").WithSummary("Adds a comment. A closed ticket takes none.");
        group.MapPost("/tickets/{id:long}/state", async (
            [Description(IdHelp)] long id, TicketMove move, HttpContext context,
            CancellationToken cancellation) => await MoveAsync(tickets, id, move, context, cancellation))
            .WithName("moveTicket").WithSummary("Moves a ticket to another state, where that may follow.");
    }

    static async Task<Results<Ok<TicketList>, BadRequest<ApiError>>> ListAsync(
        TicketStore tickets, string? state, string? incident, CancellationToken cancellation)
    {
        var wanted = string.IsNullOrEmpty(state) ? null : TicketStates.Find(state);
        return wanted is null && !string.IsNullOrEmpty(state)
            ? WhistleApi.BadRequest($"state: \"{state}\" is not a state of a ticket; it is one of {TicketStates.Names}.")
            : TypedResults.Ok(new TicketList(await tickets.ListAsync(wanted, incident, cancellation: cancellation)));
    }

    static async Task<Results<Ok<TicketWithTimeline>, NotFound<ApiError>>> GetAsync(
        TicketStore tickets, long id, CancellationToken cancellation) =>
        await tickets.FindAsync(id, cancellation) is { } ticket
            ? TypedResults.Ok(new TicketWithTimeline(ticket, await tickets.TimelineAsync(id, cancellation)))
            : WhistleApi.NotFound($"There is no ticket {id}.");

    static async Task<Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> CommentAsync(
        TicketStore tickets, long id, TicketComment comment, HttpContext context, CancellationToken cancellation) =>
        string.IsNullOrWhiteSpace(comment.Text) || comment.Text.Length > LongestText
            ? WhistleApi.BadRequest($"text: a comment has between 1 and {LongestText} characters.")
            : Answer(await tickets.CommentAsync(id, Author(context), comment.Text, cancellation));

    static async Task<Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> MoveAsync(
        TicketStore tickets, long id, TicketMove move, HttpContext context, CancellationToken cancellation) =>
        move.Remark is { Length: > LongestText }
            ? WhistleApi.BadRequest($"remark: it has at most {LongestText} characters.")
            : Answer(await tickets.MoveAsync(id, move.State, Author(context), move.Remark, cancellation));

    static Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>> Answer(TicketChange change) => change switch
    {
        { Ticket: null } => WhistleApi.NotFound(change.Refusal!),
        { Refusal: { } refusal } => WhistleApi.Conflict(refusal),
        _ => TypedResults.Ok(change.Ticket),
    };

    static string Author(HttpContext context) => context.User.Identity?.Name ?? "support";
}
