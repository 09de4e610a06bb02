using Microsoft.AspNetCore.CookiePolicy;
using Microsoft.Extensions.Primitives;

namespace Whistle.Access;

/// <summary>
/// Over https every cookie of the server's has the prefix with which browsers let nobody but this very host set it, over https, for all
/// paths: neither a page of a neighbouring name nor whoever is on the way plants one. Over http, which is for the loopback alone, browsers
/// refuse that prefix, so the names stay bare. What reads and writes cookies knows the bare names; a cookie of the other kind is none.
/// </summary>
static class HostCookies
{
    const string Prefix = "__Host-";

    /// <summary>Behind whatever says which scheme a request came with, and in front of whatever looks at cookies.</summary>
    public static void Use(WebApplication app)
    {
        app.Use((context, next) =>
        {
            if (context.Request.IsHttps)
                context.Request.Headers.Cookie = Bare(context.Request.Headers.Cookie);
            return next(context);
        });
        app.UseCookiePolicy(new CookiePolicyOptions
        {
            HttpOnly = HttpOnlyPolicy.Always,
            OnAppendCookie = c => c.CookieName = Mark(c.Context, c.CookieName, c.CookieOptions),
            OnDeleteCookie = c => c.CookieName = Mark(c.Context, c.CookieName, c.CookieOptions),
        });
    }

    // By the letter: the server's own parser takes names in another case for the same.
    static StringValues Bare(StringValues cookies)
    {
        string[] bare =
        [
            .. cookies.SelectMany(c => c!.Split(';', StringSplitOptions.TrimEntries))
                .Where(c => c.StartsWith(Prefix, StringComparison.Ordinal)).Select(c => c[Prefix.Length..]),
        ];
        return bare.Length == 0 ? StringValues.Empty : string.Join("; ", bare);
    }

    static string Mark(HttpContext context, string name, CookieOptions options)
    {
        if (!context.Request.IsHttps)
            return name;
        (options.Secure, options.Path, options.Domain) = (true, "/", null);
        return Prefix + name;
    }
}
