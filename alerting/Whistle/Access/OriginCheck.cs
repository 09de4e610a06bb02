using Microsoft.Net.Http.Headers;

using Whistle.Detectors.Http;
using Whistle.Web;

namespace Whistle.Access;

/// <summary>
/// The one place that keeps other sites' pages from changing anything: a browser says where a request comes from, and what does not come
/// from the server's own pages may not change state, whatever it carries. A program says nothing of the kind and shows its token.
/// </summary>
static class OriginCheck
{
    const string SecFetchSite = "Sec-Fetch-Site";
    const string LoginPath = "/login";

    /// <summary>In front of everything that acts.</summary>
    public static void Use(WebApplication app, string cookie, KnownHosts hosts) => app.Use(async (context, next) =>
    {
        if (FaultOfHost(context.Request, hosts) is { } unknown)
            await RefuseAsync(context, StatusCodes.Status400BadRequest, unknown);
        else if (Fault(context.Request, cookie) is { } foreign)
            await RefuseAsync(context, StatusCodes.Status403Forbidden, foreign);
        else
            await next(context);
    });

    /// <summary>Whether a browser says that another site's page leads here.</summary>
    public static bool IsFromElsewhere(HttpRequest request) =>
        request.Headers.TryGetValue(SecFetchSite, out var site) && site.ToString() is not ("same-origin" or "none");

    // Links are made from it, and what is compared with an origin must be one itself.
    static string? FaultOfHost(HttpRequest request, KnownHosts hosts) =>
        request.Host is { HasValue: true, Host.Length: > 0 } host
            && Uri.TryCreate($"{request.Scheme}://{host.Value}/", UriKind.Absolute, out var address)
            && address is { UserInfo.Length: 0, AbsolutePath: "/" } && !host.Value!.AsSpan().ContainsAny("/?#\\")
            ? hosts.Has(host.Host) ? null : "This server is not known by the name in the Host header. Ask at an address that it prints at "
                + "its start, or add the name to its setting Names."
            : "The Host header is missing or names no host. Send the address that the server was asked at, like Host: 127.0.0.1:9480.";

    static string? Fault(HttpRequest request, string cookie)
    {
        var opens = request.Path.StartsWithSegments(LoginPath) && request.Query.ContainsKey("token");
        if (!opens && !ChangesState(request))
            return null;
        if (request.Headers.TryGetValue(HeaderNames.Origin, out var origin) && !IsOwn(origin.ToString(), request))
            return $"This request comes from {Shown(origin.ToString())}, and only the server's own pages at {Own(request)} may make it. "
                + "A program sends no Origin.";
        if (IsFromElsewhere(request))
            return opens ? "A login link does not work from another site's page. Copy it into the address bar."
                : $"A browser sends this request for another site ({SecFetchSite}: "
                    + $"{Shown(request.Headers[SecFetchSite].ToString())}), and only the server's own pages may make it.";
        // Every browser says one or the other; a cookie without either is not a browser's.
        return !opens && origin.Count == 0 && request.Headers[SecFetchSite].Count == 0 && request.Headers.Authorization.Count == 0
            && request.Cookies.ContainsKey(cookie)
            ? $"A request with a login cookie must say that the server's own page sends it, with Origin: {Own(request)}. "
                + "A program sends the token as bearer instead of a cookie."
            : null;
    }

    // A page's connection acts by messages, so it is opened by the server's own pages only, whatever the method.
    static bool ChangesState(HttpRequest request) =>
        !(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method))
            || Dashboard.IsConnection(request.Path);

    static bool IsOwn(string origin, HttpRequest request) => origin.Equals(Own(request), StringComparison.OrdinalIgnoreCase);

    static string Own(HttpRequest request) => $"{request.Scheme}://{request.Host}";

    // It goes back to whoever sent it, and no further.
    static string Shown(string value) => value.Length is 0 or > 100 || value.Any(c => c is < ' ' or > '~') ? "elsewhere" : value;

    static Task RefuseAsync(HttpContext context, int status, string reason) => WhistleApi.IsOurs(context)
        ? WhistleApi.RefuseAsync(context, status, reason) : PlainRefusal.WriteAsync(context, status, reason);
}
