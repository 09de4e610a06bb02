using Whistle.Access;

namespace Whistle.Http;

/// <summary>What nothing else answers for: whoever asked learns that the server failed, and its log what at.</summary>
static class LastAnswer
{
    /// <summary>In front of everything that may fail.</summary>
    public static async Task GiveAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await AnswerAsync(context, e.StatusCode, e.Message);
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(LastAnswer))
                .RequestFailed(e, context.Request.Method, context.Request.Path);
            await AnswerAsync(context, StatusCodes.Status500InternalServerError, "The server failed at this. Its log says why.");
        }
    }

    static Task AnswerAsync(HttpContext context, int status, string reason)
    {
        context.Response.Clear();
        return PlainRefusal.WriteAsync(context, status, reason);
    }
}
