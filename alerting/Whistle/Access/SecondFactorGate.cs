using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Web;
using Whistle.Web.Places;

namespace Whistle.Access;

/// <summary>
/// Where everybody needs a second factor, a session of somebody who has none reaches nothing but the page on which they set one up.
/// </summary>
static class SecondFactorGate
{
    const string Reason =
        $"Everybody needs a second factor on this server, and you have none. Set one up on the page of your account: {Address.Account}.";

    static readonly PathString[] Open = [Address.Account, Address.Logout, "/session"];

    /// <summary>Behind authentication.</summary>
    public static void Use(WebApplication app)
    {
        var factors = app.Services.GetRequiredService<SecondFactors>();
        if (factors.AreRequired)
            app.Use(async (context, next) =>
            {
                if (IsOpen(context) || !await factors.AreLackingAsync(context.User, context.RequestAborted))
                    await next(context);
                else if (Dashboard.IsPage(context.Request))
                    context.Response.Redirect(Address.Account);
                else
                    await RefuseAsync(context);
            });
    }

    static bool IsOpen(HttpContext context) => Open.Contains(context.Request.Path)
        || context.GetEndpoint()?.Metadata.GetMetadata<RouteAccess>() is { IsForAnybody: true };

    static async Task RefuseAsync(HttpContext context)
    {
        await context.RequestServices.GetRequiredService<AuditLog>().RefuseAsync(
            new(RequestAudit.ActorOf(context), ActAudit.NameOf(context), AccessScope.All)
            { Outcome = AuditOutcome.Refused, Reason = "Whoever it is has no second factor." });
        context.Items[ActAudit.IsWritten] = true;
        await Forbidden.AnswerAsync(context, Reason);
    }
}
