using Whistle.Detectors.Http;
using Whistle.State;

namespace Whistle.Http;

/// <summary>What follows where the state cannot be used.</summary>
static class StateRefusal
{
    /// <summary>Whoever needs the state while it cannot be used is asked to retry, and learns where the log says why.</summary>
    public static async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (StateException e) when (!context.Response.HasStarted)
        {
            var reference = context.RequestServices.GetRequiredService<FaultReferences>()
                .Log(e, context.Request.Method, context.Request.Path);
            context.Response.Clear();
            context.Response.Headers.RetryAfter = "5";
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            // Senders do not learn what only an operator may know.
            await context.Response.WriteAsync(
                $"The state cannot be used for now; send it again. The server's log says why, under {reference}.\n",
                context.RequestAborted);
        }
    }
}
