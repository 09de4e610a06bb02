using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

using Whistle.Actions.Protocol;
using Whistle.Inventory;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Commands;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Remediation.Http;

/// <summary>
/// What agents talk to, with their bearer token: <c>POST /agent/v1/commands/lease</c>, <c>…/journal</c>, <c>…/{id}/begin</c>,
/// <c>…/{id}/result</c>. A node hears only of its own commands; another's id is 404, which an agent takes for final, as it does 400, 401,
/// 403 and 413.
/// </summary>
sealed class CommandApi
{
    const string OwnCredential = "An agent shows its credential, which the route itself looks at.";

    const int MaxBodyBytes = 1 << 20;
    const int MaxPolls = 2;

    static readonly TimeSpan MaxWait = TimeSpan.FromSeconds(30);

    readonly ConcurrentDictionary<Sender, int> _polls = new();
    readonly RemediationHost _host;
    readonly Credentials _credentials;
    readonly TimeProvider _time;

    readonly FairBudgets? _bodies;

    CommandApi(RemediationHost host, Credentials credentials, TimeProvider time, FairBudgets? bodies)
    {
        _bodies = bodies;
        _host = host;
        _credentials = credentials;
        _time = time;
    }

    /// <param name="bodies">What all bodies in work may hold together; unbounded without.</param>
    public static void Map(
        IEndpointRouteBuilder routes, RemediationHost host, Credentials credentials, TimeProvider time, FairBudgets? bodies = null)
    {
        var api = new CommandApi(host, credentials, time, bodies);
        routes.MapPost("/agent/v1/commands/lease", (RequestDelegate)(c => api.AnswerAsync(c, api.LeaseAsync)))
            .NeedsNobody(OwnCredential);
        routes.MapPost("/agent/v1/commands/journal", (RequestDelegate)(c => api.AnswerAsync(c, api.HearAsync)))
            .NeedsNobody(OwnCredential);
        routes.MapPost("/agent/v1/commands/{id}/begin", (RequestDelegate)(c => api.AnswerAsync(c, api.BeginAsync)))
            .NeedsNobody(OwnCredential);
        routes.MapPost("/agent/v1/commands/{id}/result", (RequestDelegate)(c => api.AnswerAsync(c, api.ResultAsync)))
            .NeedsNobody(OwnCredential);
    }

    async Task AnswerAsync(HttpContext context, Func<HttpContext, Sender, Task> answer)
    {
        var check = await _credentials.CheckAsync(Bearer.TokenOf(context.Request) ?? "", context.RequestAborted);
        if (check.IsRenewalDue)
            context.Response.Headers[AgentHeaders.Renew] = "1";
        if (check.Sender is not { } sender)
            await RefuseAsync(context, check.IsKnown ? 403 : 401, check.Refusal!);
        else if (sender.Node is null)
            await RefuseAsync(context, 403, "This token is a cluster collector's; commands are for nodes. Enrol the node's agent.");
        else
            await answer(context, sender);
    }

    async Task LeaseAsync(HttpContext context, Sender sender)
    {
        if (await ReadAsync(context, sender, AgentProtocolJson.Default.LeaseRequest) is not { } request)
            return;
        try
        {
            if (_polls.AddOrUpdate(sender, 1, (_, count) => count + 1) > MaxPolls)
            {
                context.Response.Headers.RetryAfter = "5";
                await RefuseAsync(context, 429, "This node has polls waiting already; keep to one.");
                return;
            }

            if (request.TellsJournal && await _host.Agents.JournalWantedAsync(sender, context.RequestAborted) is { } generation)
            {
                context.Response.Headers[AgentProtocol.TellJournal] = generation;
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }

            var leased = await LeaseAsync(
                sender, TimeSpan.FromSeconds(Math.Clamp(request.WaitSeconds, 0, MaxWait.TotalSeconds)), context.RequestAborted);
            if (leased.Count == 0)
                context.Response.StatusCode = StatusCodes.Status204NoContent;
            else
                await WriteAsync(context, leased, AgentProtocolJson.Default.ListLeasedCommand);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The agent has gone; a lease that it did not hear of ends by itself.
        }
        finally
        {
            _polls.AddOrUpdate(sender, 0, (_, count) => count - 1);
        }
    }

    async Task<List<LeasedCommand>> LeaseAsync(Sender sender, TimeSpan wait, CancellationToken cancellation)
    {
        var end = _time.GetUtcNow() + wait;
        while (true)
        {
            var next = _host.Bell.Next(sender);
            var leased = await _host.Agents.LeaseAsync(sender, _time.GetUtcNow(), cancellation);
            var left = end - _time.GetUtcNow();
            if (leased.Count > 0 || left <= TimeSpan.Zero)
                return [.. leased.Select(CommandStore.ToLeased)];
            try
            {
                await next.WaitAsync(left < _host.Bell.LookAgain ? left : _host.Bell.LookAgain, _time, cancellation);
            }
            catch (TimeoutException)
            {
                // Looked at again above.
            }
        }
    }

    async Task BeginAsync(HttpContext context, Sender sender)
    {
        if (await ReadAsync(context, sender, AgentProtocolJson.Default.BeginRequest) is not { } request)
            return;
        if (await _host.BeginAsync(sender, (string)context.Request.RouteValues["id"]!, request.Token, context.RequestAborted) is { } answer)
            await WriteAsync(context, answer, AgentProtocolJson.Default.BeginAnswer);
        else
            await RefuseAsync(context, 404, "This node has no such command.");
    }

    async Task HearAsync(HttpContext context, Sender sender)
    {
        if (await ReadAsync(context, sender, AgentProtocolJson.Default.JournalReport) is not { } report)
            return;
        if (await _host.Agents.TakeJournalAsync(sender, report, _time.GetUtcNow(), context.RequestAborted))
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        else
            await RefuseAsync(
                context, 409, "Nobody asks for the journal under this generation, or it tells of more than a journal holds; lease again.");
    }

    async Task ResultAsync(HttpContext context, Sender sender)
    {
        if (await ReadAsync(context, sender, AgentProtocolJson.Default.CommandResult) is not { } result)
            return;
        if (await _host.Agents.FinishAsync(sender, (string)context.Request.RouteValues["id"]!, result, context.RequestAborted))
            context.Response.StatusCode = StatusCodes.Status204NoContent;
        else
            await RefuseAsync(context, 404, "This node has no such command.");
    }

    async Task<T?> ReadAsync<T>(HttpContext context, Sender sender, JsonTypeInfo<T> type)
        where T : class
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = MaxBodyBytes;
        using var share = _bodies?.Open(sender.ClusterId.Tenant);
        try
        {
            share?.Take(context.Request.ContentLength ?? MaxBodyBytes);
            if (await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted) is { } read)
                return read;
            await RefuseAsync(context, 400, "The body is null.");
        }
        catch (BusyException e)
        {
            await RefuseAsync(context, 503, $"{e.Message} Send again later.");
        }
        catch (JsonException e)
        {
            await RefuseAsync(context, 400, $"The body is not what this address takes: {e.Message}");
        }
        catch (BadHttpRequestException e)
        {
            await RefuseAsync(context, e.StatusCode, $"{e.Message} A body has at most {MaxBodyBytes >> 10} KiB; send a shorter output.");
        }

        return null;
    }

    static async Task WriteAsync<T>(HttpContext context, T value, JsonTypeInfo<T> type)
    {
        context.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(context.Response.Body, value, type, context.RequestAborted);
    }

    static async Task RefuseAsync(HttpContext context, int status, string reason)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(reason + "\n");
    }
}
