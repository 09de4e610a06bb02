using Microsoft.AspNetCore.Http.Features;

using Whistle.State.Memory;

namespace Whistle.Http;

/// <summary>
/// Bounds what bodies of requests take of the memory, each and all in work together. Samples and agents' reports of commands are bounded
/// where they are read: those wait long for what is not their body.
/// </summary>
static class RequestBodies
{
    // Where the length is declared, the server's own limit (30 MB) holds, and the body can be refused without breaking the connection.
    const long MostUndeclared = 4 << 20;

    static readonly string[] Own = ["/api/v1/write", "/agent"];

    public static void Use(WebApplication app, ByteBudget budget) => app.Use(async (context, next) =>
    {
        if (!HasBody(context.Request) || Own.Any(o => context.Request.Path.StartsWithSegments(o)))
        {
            await next(context);
            return;
        }

        var limit = context.Features.Get<IHttpMaxRequestBodySizeFeature>();
        if (context.Request.ContentLength is null && limit is { IsReadOnly: false })
            limit.MaxRequestBodySize = MostUndeclared;
        using var share = budget.Open();
        try
        {
            share.Take(context.Request.ContentLength <= limit?.MaxRequestBodySize ? context.Request.ContentLength.Value : MostUndeclared);
        }
        catch (BusyException e)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = "5";
            await context.Response.WriteAsync($"{e.Message} Send again later.\n");
            return;
        }

        await next(context);
    });

    static bool HasBody(HttpRequest request) => request.ContentLength > 0 || request.Headers.TransferEncoding.Count > 0;
}
