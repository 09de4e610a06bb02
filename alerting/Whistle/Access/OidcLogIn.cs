using System.Security.Claims;
using System.Text.Encodings.Web;
using System.Text.Json.Nodes;

using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

using Whistle.Actions.Files;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Oidc;
using Whistle.Web;

namespace Whistle.Access;

/// <summary>
/// Log-in at an OpenID Connect provider: code flow with PKCE, and grants by claims. What the library proves (issuer, audience, signature,
/// times, state, nonce) is proven before anything here is called. The session is the server's own from then on, so it goes on while the
/// provider is down. Of the provider's tokens only the one that says who logged in is kept, encrypted in the browser's cookie: it tells the
/// provider at the log-out whose session there is to end.
/// </summary>
static class OidcLogIn
{
    const string Scheme = "oidc";
    const string LogInPage = "/login";
    const string FromProvider = "whistle.from-provider";
    const string ByProvider = """{"by":"provider"}""";

    /// <summary>Where the log-in begins.</summary>
    public const string Start = "/login/oidc";

    /// <summary>Where the provider leads back to; to be registered there.</summary>
    public const string Callback = "/login/oidc/done";

    /// <summary>Where the provider leads back to after a log-out; to be registered there.</summary>
    public const string LoggedOut = "/login/oidc/out";

    // A browser sends the cookie with every request. Without the token the provider asks whether to log out.
    const int MaxKeptTokenLength = 4096;

    static readonly TimeSpan Skew = TimeSpan.FromMinutes(1);
    static readonly TimeSpan ProviderTimeout = TimeSpan.FromSeconds(10);

    public static void Add(AuthenticationBuilder authentication, OidcOptions options)
    {
        if (!options.IsGiven)
            return;
        authentication.AddOpenIdConnect(Scheme, options.Name, oidc =>
        {
            oidc.Authority = options.Authority!.ToString();
            oidc.RequireHttpsMetadata = !options.Authority.IsLoopback;
            oidc.ClientId = options.ClientId;
            oidc.ResponseType = OpenIdConnectResponseType.Code;
            // A form that another site posts would come without the cookies that prove the log-in to be this browser's.
            oidc.ResponseMode = OpenIdConnectResponseMode.Query;
            oidc.UsePkce = true;
            oidc.CallbackPath = Callback;
            oidc.RemoteSignOutPath = default;
            oidc.SignedOutCallbackPath = LoggedOut;
            oidc.SignedOutRedirectUri = LogInPage;
            oidc.SignOutScheme = CookieAuthenticationDefaults.AuthenticationScheme;
            oidc.SaveTokens = true;
            oidc.BackchannelTimeout = ProviderTimeout;
            oidc.BackchannelHttpHandler = new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = ProviderTimeout };
            oidc.MapInboundClaims = false;
            oidc.GetClaimsFromUserInfoEndpoint = true;
            // The library drops it, and it is a half of who somebody is.
            oidc.ClaimActions.Remove("iss");
            oidc.ClaimActions.MapJsonKey(options.RoleClaim, options.RoleClaim);
            oidc.ClaimActions.MapJsonKey(options.NameClaim, options.NameClaim);
            oidc.TokenValidationParameters.ClockSkew = Skew;
            oidc.CorrelationCookie.SameSite = oidc.NonceCookie.SameSite = SameSiteMode.Lax;
            oidc.CorrelationCookie.SecurePolicy = oidc.NonceCookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
            foreach (var scope in options.Scopes)
                oidc.Scope.Add(scope);
            // Read each time, so that a secret that was replaced counts without a restart.
            oidc.Events.OnPushAuthorization = context =>
            {
                context.ProtocolMessage.ClientSecret = options.ReadSecret();
                return Task.CompletedTask;
            };
            oidc.Events.OnAuthorizationCodeReceived = context =>
            {
                context.TokenEndpointRequest!.ClientSecret = options.ReadSecret();
                return Task.CompletedTask;
            };
            // The library takes a token without a signature from the provider itself, as the specification allows over TLS.
            oidc.Events.OnTokenValidated = context =>
            {
                if (context.SecurityToken.SignatureAlgorithm is null or "" or "none")
                    context.Fail(new SecurityTokenInvalidSignatureException("The token of the provider is not signed."));
                return Task.CompletedTask;
            };
            // By which a provider knows who asks, where the token is not kept.
            oidc.Events.OnRedirectToIdentityProviderForSignOut = context =>
            {
                context.ProtocolMessage.ClientId = options.ClientId;
                return Task.CompletedTask;
            };
            oidc.Events.OnTicketReceived = context => ComeInAsync(context, options);
            oidc.Events.OnRemoteFailure = context =>
            {
                context.HandleResponse();
                return FailAsync(context.HttpContext, options, context.Failure);
            };
        });
    }

    public static void Map(WebApplication app, OidcOptions options)
    {
        if (!options.IsGiven)
            return;
        app.MapGet(Start, async context =>
        {
            // Else any page could log its visitor in, who has a session at the provider.
            if (OriginCheck.IsFromElsewhere(context.Request))
            {
                context.Response.Redirect(LogInPage);
                return;
            }

            try
            {
                await CheckIssuerAsync(context, options);
                await context.ChallengeAsync(Scheme, new AuthenticationProperties { RedirectUri = "/" });
            }
            // Its configuration cannot be fetched, or it does not know this server.
            catch (Exception e) when (!context.Response.HasStarted && IsOfProvider(e))
            {
                await FailAsync(context, options, e, StatusCodes.Status502BadGateway);
            }
        }).NeedsNobody("Whoever logs in is nobody yet.");
    }

    /// <summary>
    /// Whoever came from the provider is led there, where their session ends too, by a page of its own: a form may not lead to another
    /// site. Nothing is written where they did not come from there, where it ends no sessions, and where it does not answer.
    /// </summary>
    /// <param name="context">Of the request that logs out.</param>
    /// <param name="session">Of the session that was ended.</param>
    /// <param name="options">Of the provider.</param>
    /// <returns>Whether the answer is written.</returns>
    public static async Task<bool> LogOutAsync(HttpContext context, AuthenticationProperties? session, OidcOptions options)
    {
        if (!options.IsGiven || !options.LogOutThere || session?.Items.ContainsKey(FromProvider) != true)
            return false;
        try
        {
            if ((await OptionsOf(context).ConfigurationManager!.GetConfigurationAsync(context.RequestAborted)).EndSessionEndpoint
                is null or "")
                return false;
            await context.SignOutAsync(Scheme);
        }
        catch (Exception e) when (IsOfProvider(e))
        {
            context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(OidcLogIn)).OidcLogOutFailed(options.Name, e);
            return false;
        }

        var there = HtmlEncoder.Default.Encode(context.Response.Headers.Location.ToString());
        context.Response.Headers.Location = default;
        Dashboard.Protect(context.Response);
        await LoginPages.Of(
            $"<meta http-equiv='refresh' content='0; url={there}'><h1>Logged out of Whistle</h1>"
            + $"<p><a href='{there}'>Log out of {HtmlEncoder.Default.Encode(options.Name)} too.</a></p>",
            StatusCodes.Status200OK).ExecuteAsync(context);
        return true;
    }

    // Of what the library keeps: that the session is the provider's, and the token that names it there.
    static AuthenticationProperties KeptOf(AuthenticationProperties? all)
    {
        var kept = new AuthenticationProperties { Items = { [FromProvider] = "" } };
        if (all?.GetTokenValue(OpenIdConnectParameterNames.IdToken) is { Length: <= MaxKeptTokenLength } token)
            kept.StoreTokens([new() { Name = OpenIdConnectParameterNames.IdToken, Value = token }]);
        return kept;
    }

    static Task RefuseAsync(HttpContext context, string reason) =>
        context.RequestServices.GetRequiredService<AuditLog>().RefuseAsync(
            new(RequestAudit.ActorOf(context), "log-in", AccessScope.All, Details: ByProvider)
            { Outcome = AuditOutcome.Refused, Reason = reason });

    // What its configuration calls itself is what its tokens are held to; whoever else answers at the address is not the provider.
    static async Task CheckIssuerAsync(HttpContext context, OidcOptions options)
    {
        var issuer = (await OptionsOf(context).ConfigurationManager!.GetConfigurationAsync(context.RequestAborted)).Issuer;
        if (issuer?.TrimEnd('/') != options.Authority!.ToString().TrimEnd('/'))
            throw new InvalidOperationException($"The provider at {options.Authority} calls itself {issuer}. Set Oidc:Authority to that.");
    }

    static OpenIdConnectOptions OptionsOf(HttpContext context) =>
        context.RequestServices.GetRequiredService<IOptionsMonitor<OpenIdConnectOptions>>().Get(Scheme);

    static bool IsOfProvider(Exception e) =>
        e is InvalidOperationException or HttpRequestException or IOException or OpenIdConnectProtocolException or SecretException;

    static async Task ComeInAsync(TicketReceivedContext context, OidcOptions options)
    {
        context.HandleResponse();
        var (http, user) = (context.HttpContext, context.Principal!);
        var (issuer, subject) = (user.FindFirstValue("iss"), user.FindFirstValue("sub"));
        var name = user.FindFirstValue(options.NameClaim);
        if (string.IsNullOrEmpty(issuer) || string.IsNullOrEmpty(subject) || PersonNames.Mistake(name) is not null)
        {
            await LoginPages.WriteAsync(
                http, "Log-in failed",
                $"{options.Name} does not say in the claim {options.NameClaim} what you are called. Ask an administrator.");
            return;
        }

        var outside = new OutsideIdentity(issuer, subject);
        var grants = options.GrantsOf(user.FindAll(options.RoleClaim).Select(c => c.Value));
        // Whoever it is, and what the claims change, is one act with the log-in.
        var act = new AuditAct(RequestAudit.ActorOf(user, http) with { Name = name! }, "log-in") { Details = DetailsOf(outside, grants) };
        var (person, refusal) = await http.RequestServices.GetRequiredService<AuditLog>().RecordAsync(
            act,
            async () =>
            {
                var came = await http.RequestServices.GetRequiredService<PeopleStore>().ComeInAsync(
                    outside, name!, user.FindFirstValue("email"), grants, act, http.RequestAborted);
                return came.Person is { } comes
                    && await Authentication.BeginAsync(http, comes, KeptOf(context.Properties)) is { } stale ? (null, stale) : came;
            },
            came => came.Refusal);
        if (person is null)
            await LoginPages.WriteAsync(http, "You may not come in", refusal!);
        else
            await LoginPages.LoggedIn.ExecuteAsync(http);
    }

    static string DetailsOf(OutsideIdentity outside, IReadOnlyList<Grant> grants) => new JsonObject
    {
        ["by"] = "provider",
        ["issuer"] = outside.Issuer,
        ["subject"] = outside.Subject,
        ["grants"] = new JsonArray([.. grants.Select(g => JsonValue.Create(g.ToString()))]),
    }.ToJsonString();

    static async Task FailAsync(
        HttpContext context, OidcOptions options, Exception? failure, int status = StatusCodes.Status401Unauthorized)
    {
        await RefuseAsync(context, "The log-in at the provider did not succeed.");
        context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(OidcLogIn)).OidcFailed(options.Name, failure);
        await LoginPages.WriteAsync(
            context, "Log-in failed",
            $"The log-in at {options.Name} did not succeed, or it does not answer. Try again; the server's log has the reason. "
            + "Whoever has an account here can log in with it.", status);
    }
}
