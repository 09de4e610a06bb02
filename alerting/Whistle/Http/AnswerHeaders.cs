using Whistle.Access;

namespace Whistle.Http;

/// <summary>
/// What every answer tells a browser where whoever gives it says nothing else: it is kept nowhere, it is no more than it says it is, and
/// it is no page. Pages and the files that they load say more themselves. A refusal that does not say what it is is a line of text.
/// </summary>
static class AnswerHeaders
{
    // What is for programs loads, runs and shows nothing, whatever led a browser to it.
    const string NoPage = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

    /// <summary>In front of everything that answers or refuses.</summary>
    public static Task AddAsync(HttpContext context, RequestDelegate next)
    {
        // Just before the answer starts: an error page that replaces it has them too.
        context.Response.OnStarting(
            static response =>
            {
                var (answer, headers) = ((HttpResponse)response, ((HttpResponse)response).Headers);
                if (answer.ContentType is "text/plain" || (answer.ContentType is null && answer.StatusCode >= 400))
                    answer.ContentType = PlainRefusal.Type;
                headers.XContentTypeOptions = "nosniff";
                headers.TryAdd("Content-Security-Policy", NoPage);
                headers.TryAdd("Referrer-Policy", "no-referrer");
                headers.TryAdd("Cache-Control", "no-store");
                return Task.CompletedTask;
            },
            context.Response);
        return next(context);
    }
}
