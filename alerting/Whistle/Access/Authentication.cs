using System.Security.Claims;
using System.Text.Encodings.Web;

using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Data;
using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.State.Health;
using Whistle.Web;
using Whistle.Web.Places;

namespace Whistle.Access;

sealed record LoginLink(string Url);

/// <summary>
/// Nothing answers without proof but health and readiness: programs carry a token as bearer, browsers a cookie of a session that is open.
/// </summary>
static class Authentication
{
    const string Either = "either";
    const string BearerScheme = "bearer";

    // What the cookie holds.
    const string SessionId = "whistle.session-id";
    const string ByLink = """{"by":"login link"}""";

    /// <summary>The policy of what a browser's cookie does not open.</summary>
    public const string TokenOnly = "token";

    public static void Add(WebApplicationBuilder builder, WhistleOptions options, LocalAccess access)
    {
        // Kept in the data folder, so that a browser stays logged in over a restart.
        var keys = Path.Combine(options.DataFolder, ServerFolder.Keys);
        builder.Services.AddDataProtection().SetApplicationName("whistle");
        builder.Services.AddOptions<KeyManagementOptions>().Configure<HealthBoard, ILogger<KeyFolder>>((o, board, logger) =>
            o.XmlRepository = new KeyFolder(keys, options.Time, what => SetAside.Report("keys", what, board, logger)));
        builder.Services.AddAntiforgery(antiforgery => antiforgery.Cookie.Name = $"whistle-form-{access.CookieSuffix}");
        var authentication = builder.Services.AddAuthentication(Either)
            .AddPolicyScheme(Either, null, scheme => scheme.ForwardDefaultSelector = context =>
                context.Request.Headers.Authorization.Count > 0 || IsForPrograms(context.Request.Path) && context.Request.Cookies.Count == 0
                    ? BearerScheme
                    : CookieAuthenticationDefaults.AuthenticationScheme)
            .AddScheme<AuthenticationSchemeOptions, BearerHandler>(BearerScheme, null)
            .AddCookie(cookie =>
            {
                cookie.Cookie.Name = CookieName(access);
                cookie.Cookie.SameSite = SameSiteMode.Strict;
                cookie.ExpireTimeSpan = Sessions.Life;
                cookie.SlidingExpiration = false;
                cookie.LoginPath = "/login";
                cookie.TimeProvider = options.LogIn.Time;
                // A program that carries an old cookie is told, not led to a page.
                cookie.Events.OnRedirectToLogin =
                    context => IsForPrograms(context.Request.Path) ? RefuseAsync(context.HttpContext) : ToLogin(context);
                // The cookie says which session it is. Whose that is, and whether it is open, the state says.
                cookie.Events.OnValidatePrincipal = async context =>
                {
                    var user = await context.HttpContext.RequestServices.GetRequiredService<PeopleDirectory>().OfSessionAsync(
                        context.Principal?.FindFirstValue(SessionId), CookieAuthenticationDefaults.AuthenticationScheme,
                        context.HttpContext.RequestAborted);
                    if (user is null)
                        context.RejectPrincipal();
                    else
                        context.ReplacePrincipal(user);
                };
            });
        OidcLogIn.Add(authentication, options.Oidc);
        builder.Services.AddSingleton<IAuthorizationMiddlewareResultHandler, Forbidden>();
        builder.Services.AddAuthorizationBuilder()
            .AddPolicy(TokenOnly, policy => policy.AddAuthenticationSchemes(BearerScheme).RequireAuthenticatedUser())
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
    }

    public static string CookieName(LocalAccess access) => $"whistle-{access.CookieSuffix}";

    /// <summary>Behind authentication: the connection of a live page ends with the session that opened it.</summary>
    public static void Use(WebApplication app) =>
        app.UseWhen(c => Dashboard.IsConnection(c.Request.Path), branch => branch.Use(async (context, next) =>
        {
            using var ending = SessionOf(context.User) is { } session
                ? context.RequestServices.GetRequiredService<Sessions>().WhenEnded(session, context.Abort) : null;
            await next(context);
        }));

    public static void Map(WebApplication app, LocalAccess access)
    {
        var (sessions, options) = (app.Services.GetRequiredService<Sessions>(), app.Services.GetRequiredService<WhistleOptions>());
        OidcLogIn.Map(app, options.Oidc);
        PasswordLogIn.Map(app);
        InvitationPage.Map(app);
        AccountPage.Map(app);
        var (audit, passkeys) = (app.Services.GetRequiredService<AuditLog>(), app.Services.GetRequiredService<PasskeyLogIn>());
        app.MapGet("/login", async (HttpContext context, string? token) =>
        {
            Dashboard.Protect(context.Response);
            if (token is null)
                return LoginPages.Of(
                    $"<h1>Log in to Whistle</h1>{PasswordLogIn.Form()}{await passkeys.FormAsync(context)}"
                    + $"{LoginPages.OfProvider(options.Oidc)}{HowToGetALink(context)}",
                    StatusCodes.Status401Unauthorized);
            if (!access.UseLink(token))
            {
                await audit.RefuseAsync(new(RequestAudit.ActorOf(context), "log-in", AccessScope.All, Details: ByLink)
                { Outcome = AuditOutcome.Refused, Reason = "The login link was used before, is over, or was cut off." });
                return LoginPages.Of(
                    "<h1>This link no longer works</h1><p>It was used before, is older than an hour, "
                    + $"or was cut off.</p>{HowToGetALink(context)}",
                    StatusCodes.Status401Unauthorized);
            }

            var act = new AuditAct(
                RequestAudit.ActorOf(PeopleDirectory.OfLocal(CookieAuthenticationDefaults.AuthenticationScheme), context), "log-in")
            { Details = ByLink };
            await audit.RecordAsync(act, () => BeginAsync(context, null));
            return LoginPages.LoggedIn;
        }).NeedsNobody("Whoever logs in is nobody yet.");
        app.MapPost(Address.Logout, async context =>
        {
            var kept = (await context.AuthenticateAsync(CookieAuthenticationDefaults.AuthenticationScheme)).Properties;
            if (SessionOf(context.User) is { } session)
                await sessions.EndAsync(session, context.RequestAborted);
            await context.SignOutAsync(CookieAuthenticationDefaults.AuthenticationScheme);
            // Whatever cannot be written: who wants out is let out.
            await audit.NoteAsync(new(RequestAudit.ActorOf(context), "log-out", AccessScope.All));
            if (await OidcLogIn.LogOutAsync(context, kept, options.Oidc))
                return;
            // See other: the browser shows the address with GET, which leads to the login.
            context.Response.StatusCode = StatusCodes.Status303SeeOther;
            context.Response.Headers.Location = "/";
        }).NeedsLogin("Everybody ends their own session.");
        // A page whose connection is cut asks here whether it is still logged in.
        app.MapGet("/session", () => Results.NoContent()).NeedsLogin("It says that there is a session, and nothing else.");
        WhistleApi.Group(app, "login").MapPost("/login-links", async Task<Ok<LoginLink>> (HttpRequest request, Caller caller) =>
        {
            // Whoever opens it is the machine's own user, and no person may become that.
            if (!(await caller.ActorAsync(request.HttpContext.RequestAborted)).IsLocal)
                throw new ForbiddenException(Permission.ManageServer, AccessScope.All);
            await AuditAct.WriteCurrentAsync(request.HttpContext.RequestAborted);
            return TypedResults.Ok(new LoginLink($"{request.Scheme}://{request.Host}/login?token={access.NewLink()}"));
        }).NeedsEverywhere(Permission.ManageServer).WithName("makeLoginLink")
            .WithSummary("Makes a link that opens the dashboard once, within the hour. Only the server's own token may.");
    }

    /// <summary>Begins a session of whoever has proven who they are, and shows the page that leads to the dashboard.</summary>
    /// <param name="context">Of the request.</param>
    /// <param name="person">Whose it is.</param>
    /// <param name="details">For the audit: how they have proven it, as JSON.</param>
    public static async Task LogInAsync(HttpContext context, Person person, string details)
    {
        Dashboard.Protect(context.Response);
        var actor = new AuditActor(person.Name, person.Identity, context.Connection.RemoteIpAddress);
        var stale = await context.RequestServices.GetRequiredService<AuditLog>().RecordAsync(
            new AuditAct(actor, "log-in") { Details = details }, () => BeginAsync(context, person), stale => stale);
        if (stale is null)
            await LoginPages.LoggedIn.ExecuteAsync(context);
        else
            await LoginPages.WriteAsync(context, "Log in again", stale);
    }

    /// <summary>Gives the browser a session.</summary>
    /// <param name="context">Of the request.</param>
    /// <param name="person">As it was proven who they are; null for the machine's own user.</param>
    /// <param name="kept">What the cookie keeps beside the session's id.</param>
    /// <returns>Why not; null where it has one.</returns>
    public static async Task<string?> BeginAsync(HttpContext context, Person? person, AuthenticationProperties? kept = null)
    {
        var sessions = context.RequestServices.GetRequiredService<Sessions>();
        if (await sessions.BeginAsync(
            person, context.Connection.RemoteIpAddress, context.Request.Headers.UserAgent, context.RequestAborted) is not { } id)
            return "Your account was changed while you logged in.";
        // Whoever had this browser before has not any more.
        if (SessionOf(context.User) is { } before)
            await sessions.EndAsync(before, context.RequestAborted);
        const string scheme = CookieAuthenticationDefaults.AuthenticationScheme;
        await context.SignInAsync(scheme, new(new ClaimsIdentity([new(SessionId, id)], scheme)), kept);
        return null;
    }

    /// <summary>Whoever shows nothing that opens anything.</summary>
    public static Task RefuseAsync(HttpContext context)
    {
        const string reason = "Send the token of the server's data folder, or an API token, as bearer: Authorization: Bearer …";
        context.Response.Headers.WWWAuthenticate = "Bearer";
        if (WhistleApi.IsOurs(context))
            return WhistleApi.RefuseAsync(context, StatusCodes.Status401Unauthorized, reason);
        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        return context.Response.WriteAsync(reason + "\n");
    }

    static Task ToLogin(RedirectContext<CookieAuthenticationOptions> context)
    {
        context.Response.Redirect(context.RedirectUri);
        return Task.CompletedTask;
    }

    static bool IsForPrograms(PathString path) =>
        path.StartsWithSegments("/api") || path.StartsWithSegments("/openapi") || path.StartsWithSegments("/metrics")
            || path.StartsWithSegments("/-");

    static string? SessionOf(ClaimsPrincipal user) => user.FindFirstValue(PeopleDirectory.SessionClaim);

    // Where the data is kept is nobody's business who has not logged in: a proxy on this machine makes everybody look local.
    static string HowToGetALink(HttpContext context)
    {
        var address = Uri.TryCreate($"{context.Request.Scheme}://{context.Request.Host}", UriKind.Absolute, out var asked)
            ? asked : WhistleOptions.UsualAddress;
        var command = LoginLine.Of(address, "DATA_FOLDER");
        return $"""
            <h2>Without an account</h2>
            <p>Get a link on the machine that runs the server, as the user that runs it:</p>
            <pre tabindex="0">{HtmlEncoder.Default.Encode(command)}</pre>
            <p>A link works once, within the hour.</p>
            """;
    }
}
