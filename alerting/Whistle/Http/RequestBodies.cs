using Microsoft.AspNetCore.Http.Features;

using Whistle.Access;
using Whistle.Detectors.Http;
using Whistle.Inventory.People;
using Whistle.State.Memory;

namespace Whistle.Http;

/// <summary>
/// Reads the bodies of people's requests before anything answers them, so that none holds up the others: each is small, comes within a
/// time, and has its sender's share of the memory only for what has come. The first <see cref="Free"/> bytes need no share: however much
/// is uploaded, the kill switch gets through. Samples and agents' reports of commands are bounded where they are read.
/// </summary>
static class RequestBodies
{
    /// <summary>Of whoever is logged in.</summary>
    public const int Most = 4 << 20;

    /// <summary>Of anybody. Connections are counted, and with them these.</summary>
    public const int Free = 16 << 10;

    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    static readonly string[] Own = ["/api/v1/write", "/agent"];

    /// <summary>After authentication: strangers have no share.</summary>
    public static void Use(WebApplication app, FairBudgets budgets) => app.Use(async (context, next) =>
    {
        if (context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false }
            || Own.Any(o => context.Request.Path.StartsWithSegments(o)))
        {
            await next(context);
            return;
        }

        using var body = new MemoryStream();
        // However many tokens somebody has.
        var owner = context.User.FindFirst(PeopleDirectory.OwnerClaim)?.Value;
        using var share = budgets.Open(owner ?? "");
        if (await ReadAsync(context.Request, body, owner is null ? null : share) is { } refusal)
        {
            context.Response.Headers.RetryAfter = refusal.Status is StatusCodes.Status503ServiceUnavailable ? "5" : default;
            // What is still to come is not waited for.
            context.Response.Headers.Connection = HttpProtocol.IsHttp11(context.Request.Protocol) ? "close" : default;
            await RefuseAsync(context, refusal.Status, refusal.Reason);
            return;
        }

        body.Position = 0;
        context.Request.Body = body;
        await next(context);
    });

    static async Task<Refusal?> ReadAsync(HttpRequest request, MemoryStream body, ByteShare? share)
    {
        var most = share is null ? Free : Most;
        var tooLarge = new Refusal(
            StatusCodes.Status413PayloadTooLarge, $"The body is larger than {most >> 10} KiB. Send less at a time.");
        if (request.ContentLength > most)
            return tooLarge;
        // By real time, as the network counts, whatever clock the server runs on.
        using var deadline = new CancellationTokenSource(Deadline, TimeProvider.System);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, request.HttpContext.RequestAborted);
        var buffer = new byte[4 << 10];
        try
        {
            while (await request.Body.ReadAsync(buffer, ends.Token) is > 0 and var read)
            {
                if (body.Length + read > most)
                    return tooLarge;
                if (body.Length + read > Free)
                    share!.Take(read);
                body.Write(buffer, 0, read);
            }

            return null;
        }
        catch (BusyException e)
        {
            return new(StatusCodes.Status503ServiceUnavailable, $"{e.Message} Send again later.");
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return new(StatusCodes.Status408RequestTimeout, $"The body did not come within {Deadline.TotalSeconds} s. Send it again.");
        }
    }

    static Task RefuseAsync(HttpContext context, int status, string reason) =>
        WhistleApi.IsOurs(context) ? WhistleApi.RefuseAsync(context, status, reason)
        : context.Request.Path.StartsWithSegments("/api/v1") ? PrometheusApi.RefuseAsync(
            context, status, status == StatusCodes.Status503ServiceUnavailable ? "unavailable" : "bad_data", reason)
        : PlainRefusal.WriteAsync(context, status, reason);

    sealed record Refusal(int Status, string Reason);
}
