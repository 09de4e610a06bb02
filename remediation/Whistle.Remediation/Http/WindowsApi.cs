using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Control;

namespace Whistle.Remediation.Http;

/// <summary>When nodes may be taken down. Without a name, it counts for all.</summary>
/// <param name="Recurrence">As iCalendar has it (RFC 5545), such as <c>FREQ=WEEKLY;BYDAY=SA,SU</c>.</param>
/// <param name="Start">The first one, in the time zone's own time, such as <c>2026-01-03T22:00</c>.</param>
/// <param name="For">How long each lasts, such as 4h.</param>
/// <param name="TimeZone">An IANA name, such as Europe/Berlin; UTC unless given.</param>
/// <param name="Force">Names count that are not known yet.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record WindowRequest(
    string Recurrence, string Start, string For, string? TimeZone = null, string? Tenant = null, string? Cluster = null,
    bool Force = false);

/// <summary>A maintenance window. An empty name means all.</summary>
/// <param name="Length">How long each lasts.</param>
/// <param name="OpenUntil">Null while it is closed.</param>
/// <param name="NextAt">When it opens next; null where it never does again.</param>
/// <param name="Problem">Why it cannot be evaluated, and so counts as closed.</param>
sealed record WindowAnswer(
    long Id, string Tenant, string Cluster, string Recurrence, DateTime Start, TimeSpan Length, string TimeZone, string Author,
    DateTimeOffset SetAt, DateTimeOffset? OpenUntil, DateTimeOffset? NextAt, string? Problem);

/// <summary>Holds back all that disturbs nodes, windows or not. Without a name, everywhere.</summary>
/// <param name="For">How long, such as 72h; every freeze ends.</param>
/// <param name="From">When it begins; now unless given.</param>
/// <param name="Force">Names count that are not known yet.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record FreezeRequest(
    string Reason, string For, DateTimeOffset? From = null, string? Tenant = null, string? Cluster = null, bool Force = false);

/// <summary>Of <see cref="RemediationApi"/>: maintenance windows and change freezes.</summary>
sealed class WindowsApi(RemediationEnvironment environment, RemediationHost host, TimeProvider time)
{
    // Each is worked out again every day.
    const int MostWindows = 1000;

    static readonly TimeSpan FarthestFreeze = TimeSpan.FromDays(3660);

    ControlStore Control => environment.Control;

    public static void Map(RouteGroupBuilder group, RemediationEnvironment environment, RemediationHost host, TimeProvider time)
    {
        var api = new WindowsApi(environment, host, time);
        group.MapGet("/windows", api.WindowsAsync).WithName("listWindows").Needs(Permission.Read)
            .WithSummary("The maintenance windows, with whether they are open and when they open next.");
        group.MapPost("/windows", api.AddWindowAsync).WithName("addWindow").Needs(Permission.Operate)
            .WithSummary("Adds a maintenance window, which recurs.");
        group.MapDelete("/windows/{id:long}", api.RemoveWindowAsync).WithName("removeWindow").Needs(Permission.Operate)
            .WithSummary("Removes a maintenance window.");
        group.MapGet("/freezes", api.FreezesAsync).WithName("listFreezes").Needs(Permission.Read)
            .WithSummary("The change freezes in force or to come.");
        group.MapPost("/freezes", api.AddFreezeAsync).WithName("addFreeze").Needs(Permission.Operate)
            .WithSummary("Holds back all that disturbs nodes for a time, windows or not.");
        group.MapDelete("/freezes/{id:long}", api.EndFreezeAsync).WithName("endFreeze").Needs(Permission.Operate)
            .WithSummary("Ends a change freeze before its time.");
    }

    async Task<Ok<List<WindowAnswer>>> WindowsAsync(Caller caller, CancellationToken cancellation) =>
        TypedResults.Ok((await Control.WindowsAsync(cancellation)).Where(w => caller.Rights.SeesPartOf(w.Scope)).Select(ToAnswer).ToList());

    async Task<Results<Ok<WindowAnswer>, BadRequest<ApiError>>> AddWindowAsync(
        WindowRequest request, Caller caller, CancellationToken cancellation)
    {
        if (WhistleApi.Duration(request.For) is not { } length)
            return WhistleApi.BadDuration("for", request.For);
        if (!DateTime.TryParseExact(request.Start, ["yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss"], null, default, out var start))
            return WhistleApi.BadRequest($"start: \"{request.Start}\" is not a local time; write it like 2026-01-03T22:00.");
        var (scope, mistake) = (await KnownNames.OfAsync(environment, host, caller.Rights, time.GetUtcNow(), cancellation)).Resolve(
            new(request.Tenant, request.Cluster, null, null, request.Force));
        if (scope is null)
            return WhistleApi.BadRequest(mistake!);
        await caller.RequireAsync(Permission.Operate, scope.Scope);
        if ((await Control.WindowsAsync(cancellation)).Count >= MostWindows)
            return WhistleApi.BadRequest(
                $"There are {MostWindows} maintenance windows already; remove some that are over (`whistle windows list`).");
        var window = new MaintenanceWindow(
            0, scope.Tenant, scope.Cluster, request.Recurrence, start, length, request.TimeZone ?? "UTC", caller.Name,
            time.GetUtcNow());
        return window.MistakeWhenAdded(time.GetUtcNow()) is { } wrong
            ? WhistleApi.BadRequest(wrong)
            : TypedResults.Ok(ToAnswer(await Control.AddAsync(window, cancellation)));
    }

    async Task<Results<NoContent, NotFound<ApiError>>> RemoveWindowAsync(
        [Description("The window's number.")] long id, Caller caller, CancellationToken cancellation)
    {
        var window = (await Control.WindowsAsync(cancellation)).FirstOrDefault(w => w.Id == id);
        if (window is null || !caller.Rights.SeesPartOf(window.Scope))
            return WhistleApi.NotFound($"There is no maintenance window {id}.");
        await caller.RequireAsync(Permission.Operate, window.Scope);
        return await Control.RemoveWindowAsync(id, caller.Name, time.GetUtcNow(), cancellation)
            ? TypedResults.NoContent()
            : WhistleApi.NotFound($"There is no maintenance window {id}.");
    }

    async Task<Ok<List<ChangeFreeze>>> FreezesAsync(Caller caller, CancellationToken cancellation) =>
        TypedResults.Ok((await Control.FreezesAsync(time.GetUtcNow(), cancellation))
            .Where(f => caller.Rights.SeesPartOf(f.Scope)).ToList());

    async Task<Results<Ok<ChangeFreeze>, BadRequest<ApiError>>> AddFreezeAsync(
        FreezeRequest request, Caller caller, CancellationToken cancellation)
    {
        if (WhistleApi.Duration(request.For) is not { } length || length <= TimeSpan.Zero)
            return WhistleApi.BadDuration("for", request.For);
        if (string.IsNullOrWhiteSpace(request.Reason))
            return RemediationApi.NoReason();
        var from = request.From ?? time.GetUtcNow();
        if (environment.Limits.RefuseFreeze(length) is { } tooLong)
            return WhistleApi.BadRequest(tooLong);
        if (from > time.GetUtcNow() + FarthestFreeze)
            return WhistleApi.BadRequest("from: a freeze begins within ten years.");
        if (from + length <= time.GetUtcNow())
            return WhistleApi.BadRequest("from: the freeze would be over already; let it begin later or last longer.");
        var (scope, mistake) = (await KnownNames.OfAsync(environment, host, caller.Rights, time.GetUtcNow(), cancellation)).Resolve(
            new(request.Tenant, request.Cluster, null, null, request.Force));
        if (scope is null)
            return WhistleApi.BadRequest(mistake!);
        await caller.RequireAsync(Permission.Operate, scope.Scope);
        return TypedResults.Ok(await Control.AddAsync(
            new ChangeFreeze(0, scope.Tenant, scope.Cluster, request.Reason, caller.Name, from, from + length), cancellation));
    }

    async Task<Results<NoContent, NotFound<ApiError>>> EndFreezeAsync(
        [Description("The freeze's number.")] long id, Caller caller, CancellationToken cancellation)
    {
        var freeze = (await Control.FreezesAsync(time.GetUtcNow(), cancellation)).FirstOrDefault(f => f.Id == id);
        if (freeze is null || !caller.Rights.SeesPartOf(freeze.Scope))
            return WhistleApi.NotFound($"No change freeze {id} is in force or to come.");
        await caller.RequireAsync(Permission.Operate, freeze.Scope);
        return await Control.EndFreezeAsync(id, caller.Name, time.GetUtcNow(), cancellation)
            ? TypedResults.NoContent()
            : WhistleApi.NotFound($"No change freeze {id} is in force or to come.");
    }

    WindowAnswer ToAnswer(MaintenanceWindow window)
    {
        var (open, next, problem) = window.At(time.GetUtcNow());
        return new(
            window.Id, window.Tenant, window.Cluster, window.Recurrence, window.Start, window.Length, window.TimeZone, window.Author,
            window.SetAt, open, next, problem);
    }
}
