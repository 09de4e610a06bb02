using System.ComponentModel;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;

namespace Whistle.Access;

/// <param name="Ended">How many there were.</param>
sealed record EndedSessions(int Ended);

/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="Owner">Who is logged in; operator is whoever used a login link of the server's own machine.</param>
/// <param name="Address">From where they logged in.</param>
/// <param name="Agent">What their browser calls itself.</param>
/// <param name="EndsAt">Whatever happens; earlier if nothing is heard of it.</param>
sealed record SessionAnswer(
    string Id, string Owner, string? Address, string? Agent, DateTimeOffset BeganAt, DateTimeOffset SeenAt, DateTimeOffset IdleUntil,
    DateTimeOffset EndsAt);

/// <summary>Who is logged in to the dashboard: one's own sessions, and those of people whose accounts one manages.</summary>
static class SessionsApi
{
    const string Own = "It is about the caller's own sessions, and those of people whose accounts they manage.";

    public static void Map(WebApplication app)
    {
        var (sessions, people) = (app.Services.GetRequiredService<Sessions>(), app.Services.GetRequiredService<PeopleStore>());
        var group = WhistleApi.Group(app, "sessions");
        group.MapGet("/sessions", async (Caller caller, CancellationToken cancellation) =>
        {
            var owners = await Owners.OfAsync(await caller.ActorAsync(cancellation), people, cancellation);
            return TypedResults.Ok((await sessions.AllAsync(cancellation)).Where(s => owners.Has(s.Owner)).Select(s => new SessionAnswer(
                s.Id, owners.NameOf(s.Owner), s.Address, s.Agent, s.BeganAt, s.SeenAt, s.IdleUntil, s.EndsAt)).ToList());
        }).NeedsLogin(Own).WithName("listSessions").WithSummary("Open sessions: your own, and those of people whose accounts you manage.");
        group.MapDelete("/sessions/{id}", async Task<Results<NoContent, NotFound<ApiError>>> (
            [Description("As the list has it.")] string id, Caller caller, CancellationToken cancellation) =>
        {
            var owners = await Owners.OfAsync(await caller.ActorAsync(cancellation), people, cancellation);
            var found = (await sessions.AllAsync(cancellation))
                .FirstOrDefault(s => s.Id.Equals(id, StringComparison.OrdinalIgnoreCase) && owners.Has(s.Owner));
            if (found is null || await sessions.EndAsync(found.Hash, cancellation) == 0)
                return WhistleApi.NotFound($"No session {id} is open. `whistle sessions list` has the ids.");
            return TypedResults.NoContent();
        }).NeedsLogin(Own).WithName("endSession").WithSummary("Ends a session, and its open pages within seconds.");
        group.MapDelete("/sessions", async (CancellationToken cancellation) =>
            TypedResults.Ok(new EndedSessions(await sessions.EndAllAsync(cancellation))))
            .NeedsEverywhere(Permission.ManagePeople).WithName("endSessions")
            .WithSummary("Ends every session of the dashboard; every viewer is logged out at once.");
    }
}
