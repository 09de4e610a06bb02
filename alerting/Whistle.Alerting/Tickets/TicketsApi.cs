using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;

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
            [Description("Only those of this incident.")] string? incident, Caller caller,
            CancellationToken cancellation) => await ListAsync(tickets, state, incident, caller, cancellation))
            .WithName("listTickets").Needs(Permission.Read).WithSummary("The tickets, the latest first; at most 500.");
        group.MapGet("/tickets/{id:long}", async (
            [Description(IdHelp)] long id, Caller caller, CancellationToken cancellation) => await GetAsync(
                tickets, id, caller, cancellation)).WithName("getTicket").Needs(Permission.Read).WithSummary("A ticket with its timeline.");
        group.MapPost("/tickets/{id:long}/comments", async (
            [Description(IdHelp)] long id, TicketComment comment, Caller caller,
            CancellationToken cancellation) => await CommentAsync(tickets, id, comment, caller, cancellation))
            .WithName("commentTicket").Needs(Permission.Comment).WithSummary("Adds a comment. A closed ticket takes none.");
        group.MapPost("/tickets/{id:long}/state", async (
            [Description(IdHelp)] long id, TicketMove move, Caller caller,
            CancellationToken cancellation) => await MoveAsync(tickets, id, move, caller, cancellation))
            .WithName("moveTicket").Needs(Permission.Respond).WithSummary("Moves a ticket to another state, where that may follow.");
    }

    static async Task<Results<Ok<TicketList>, BadRequest<ApiError>>> ListAsync(
        TicketStore tickets, string? state, string? incident, Caller caller, CancellationToken cancellation)
    {
        var wanted = string.IsNullOrEmpty(state) ? null : TicketStates.Find(state);
        return wanted is null && !string.IsNullOrEmpty(state)
            ? WhistleApi.BadRequest($"state: \"{state}\" is not a state of a ticket; it is one of {TicketStates.Names}.")
            : TypedResults.Ok(new TicketList(
                [.. (await tickets.ListAsync(caller.Rights, wanted, incident, cancellation)).Where(t => caller.Sees(t.ClusterId))]));
    }

    static async Task<Results<Ok<TicketWithTimeline>, NotFound<ApiError>>> GetAsync(
        TicketStore tickets, long id, Caller caller, CancellationToken cancellation) =>
        await FindAsync(tickets, id, caller, cancellation) is { } ticket
            ? TypedResults.Ok(new TicketWithTimeline(ticket, await tickets.TimelineAsync(id, cancellation)))
            : NoTicket(id);

    static async Task<Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> CommentAsync(
        TicketStore tickets, long id, TicketComment comment, Caller caller, CancellationToken cancellation)
    {
        if (string.IsNullOrWhiteSpace(comment.Text) || comment.Text.Length > LongestText)
            return WhistleApi.BadRequest($"text: a comment has between 1 and {LongestText} characters.");
        if (await FindAsync(tickets, id, caller, cancellation) is not { } ticket)
            return NoTicket(id);
        await caller.RequireAsync(Permission.Comment, ticket.ClusterId);
        return Answer(await tickets.CommentAsync(id, caller.Name, comment.Text, cancellation));
    }

    static async Task<Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>>> MoveAsync(
        TicketStore tickets, long id, TicketMove move, Caller caller, CancellationToken cancellation)
    {
        if (move.Remark is { Length: > LongestText })
            return WhistleApi.BadRequest($"remark: it has at most {LongestText} characters.");
        if (await FindAsync(tickets, id, caller, cancellation) is not { } ticket)
            return NoTicket(id);
        await caller.RequireAsync(Permission.Respond, ticket.ClusterId);
        return Answer(await tickets.MoveAsync(id, move.State, caller.Name, move.Remark, cancellation));
    }

    static Results<Ok<Ticket>, NotFound<ApiError>, BadRequest<ApiError>, Conflict<ApiError>> Answer(TicketChange change) => change switch
    {
        { Ticket: null } => WhistleApi.NotFound(change.Refusal!),
        { Refusal: { } refusal } => WhistleApi.Conflict(refusal),
        _ => TypedResults.Ok(change.Ticket),
    };

    // What the caller may not see is not there.
    static async Task<Ticket?> FindAsync(TicketStore tickets, long id, Caller caller, CancellationToken cancellation) =>
        await tickets.FindAsync(id, cancellation) is { } ticket && caller.Sees(ticket.ClusterId) ? ticket : null;

    static NotFound<ApiError> NoTicket(long id) => WhistleApi.NotFound($"There is no ticket {id}.");
}
