using System.Security.Claims;
using System.Text.Encodings.Web;

using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Options;

using Whistle.Detectors.Http;
using Whistle.Web;

namespace Whistle;

sealed record LoginLink(string Url);

/// <summary>
/// Nothing answers without proof but health and readiness: programs carry the token as bearer, browsers a cookie that a
/// login link gave them.
/// </summary>
static class Authentication
{
    const string Either = "either";
    const string Bearer = "bearer";

    /// <summary>The policy of what a browser's cookie does not open.</summary>
    public const string TokenOnly = "token";

    public static void Add(WebApplicationBuilder builder, WhistleOptions options)
    {
        // Kept in the data folder, so that a browser stays logged in over a restart.
        var keys = Directory.CreateDirectory(Path.Combine(options.DataFolder, "keys"));
        if (!OperatingSystem.IsWindows())
            keys.UnixFileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        builder.Services.AddDataProtection().PersistKeysToFileSystem(keys).SetApplicationName("whistle");
        builder.Services.AddAuthentication(Either)
            .AddPolicyScheme(Either, null, scheme => scheme.ForwardDefaultSelector = context =>
                context.Request.Headers.Authorization.Count > 0 || IsForPrograms(context.Request.Path) && context.Request.Cookies.Count == 0 ? Bearer : CookieAuthenticationDefaults.AuthenticationScheme)
            .AddScheme<AuthenticationSchemeOptions, BearerHandler>(Bearer, null)
            .AddCookie(cookie =>
            {
                cookie.Cookie.Name = "whistle";
                cookie.Cookie.SameSite = SameSiteMode.Strict;
                cookie.ExpireTimeSpan = TimeSpan.FromDays(7);
                cookie.LoginPath = "/login";
                cookie.TimeProvider = TimeProvider.System;
                // A program that carries an old cookie is told, not led to a page.
                cookie.Events.OnRedirectToLogin = context => IsForPrograms(context.Request.Path) ? RefuseAsync(context.HttpContext) : ToLogin(context);
            });
        builder.Services.AddAuthorizationBuilder()
            .AddPolicy(TokenOnly, policy => policy.AddAuthenticationSchemes(Bearer).RequireAuthenticatedUser())
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
    }

    public static void Map(WebApplication app, LocalAccess access)
    {
        app.MapGet("/login", async (HttpContext context, string? token) =>
        {
            Dashboard.Protect(context.Response);
            if (token is null)
                return Page(LinkNeeded, StatusCodes.Status401Unauthorized);
            if (!access.UseLink(token))
                return Page(LinkSpent, StatusCodes.Status401Unauthorized);
            await context.SignInAsync(CookieAuthenticationDefaults.AuthenticationScheme, Operator(CookieAuthenticationDefaults.AuthenticationScheme));
            // A page of its own, not a redirect: a strict cookie is not sent along a redirect that another site began.
            return Page(LoggedIn, StatusCodes.Status200OK);
        }).AllowAnonymous();
        WhistleApi.Group(app, "login").MapPost("/login-links", (HttpRequest request) => new LoginLink($"{request.Scheme}://{request.Host}/login?token={access.NewLink()}"))
            .WithName("makeLoginLink").WithSummary("Makes a link that opens the dashboard once, within the hour.");
    }

    static Task RefuseAsync(HttpContext context)
    {
        const string reason = "Send the token of the server's data folder as bearer: Authorization: Bearer …";
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
        path.StartsWithSegments("/api") || path.StartsWithSegments("/openapi") || path.StartsWithSegments("/metrics") || path.StartsWithSegments("/-");

    static ClaimsPrincipal Operator(string scheme) => new(new ClaimsIdentity([new Claim(ClaimTypes.Name, "operator")], scheme));

    static IResult Page(string content, int status) => Results.Content(
        $"""
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark"><title>Whistle: log in</title>
        <link rel="icon" type="image/svg+xml" href="{Dashboard.AssetAddress("whistle.svg")}"><link rel="stylesheet" href="{Dashboard.AssetAddress("whistle.css")}">
        </head><body><main class="login">{content}</main></body></html>
        """,
        "text/html; charset=utf-8",
        statusCode: status);

    const string HowToGetALink = """
        <p>Get a link on the machine that runs the server, as the user that runs it:</p><pre>whistle login</pre>
        <p>Add the server's <code>--data</code> folder and <code>--server</code> address where it was started with any. A link works once, within the hour.</p>
        """;

    const string LinkNeeded = $"<h1>Log in to Whistle</h1>{HowToGetALink}";

    const string LinkSpent = $"<h1>This link does not work any more</h1><p>It was used before, is older than an hour, or was cut off.</p>{HowToGetALink}";

    const string LoggedIn = "<meta http-equiv='refresh' content='0; url=/'><p>Logged in. <a href='/'>Go on to the dashboard.</a></p>";

    sealed class BearerHandler(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, LocalAccess access)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync()
        {
            const string prefix = "Bearer ";
            var header = Request.Headers.Authorization.ToString();
            if (!header.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                return Task.FromResult(AuthenticateResult.NoResult());
            return Task.FromResult(access.IsToken(header[prefix.Length..].Trim())
                ? AuthenticateResult.Success(new AuthenticationTicket(Operator(Bearer), Bearer))
                : AuthenticateResult.Fail("The token is not valid."));
        }

        protected override Task HandleChallengeAsync(AuthenticationProperties properties) => RefuseAsync(Context);
    }
}
