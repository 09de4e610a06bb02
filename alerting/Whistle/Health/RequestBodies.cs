using Microsoft.AspNetCore.Http.Features;

using Whistle.Ingest;

namespace Whistle.Health;

/// <summary>
/// Bounds what bodies of requests take of the memory, each and all in work together. Samples and agents' reports of commands are bounded where
/// they are read: those wait long for what is not their body.
/// </summary>
static class RequestBodies
{
    const long MostBytes = 4 << 20;

    static readonly string[] Own = ["/api/v1/write", "/agent"];

    public static void Use(WebApplication app, ByteBudget budget) => app.Use(async (context, next) =>
    {
        if (!HasBody(context.Request) || Own.Any(o => context.Request.Path.StartsWithSegments(o)))
        {
            await next(context);
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = MostBytes;
        using var share = budget.Open();
        try
        {
            share.Take(Math.Min(context.Request.ContentLength ?? MostBytes, MostBytes));
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
