using System.Text.Encodings.Web;

using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

using Whistle.Inventory;
using Whistle.Inventory.People;

namespace Whistle.Access;

/// <summary>Programs show the server's own token, or an API token of somebody.</summary>
sealed class BearerHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, LocalAccess access,
    PeopleDirectory people)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        if (Bearer.TokenOf(Request) is not { } token)
            return AuthenticateResult.NoResult();
        // The server's own asks no state: it stops repairs whatever is wrong.
        var user = access.IsToken(token) ? PeopleDirectory.OfLocal(Scheme.Name)
            : await people.OfTokenAsync(token, Scheme.Name, Context.RequestAborted);
        return user is null ? AuthenticateResult.Fail("The token is not valid.")
            : AuthenticateResult.Success(new AuthenticationTicket(user, Scheme.Name));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties) => Authentication.RefuseAsync(Context);
}
