using System.Text.Encodings.Web;

using Whistle.Oidc;
using Whistle.Web;

namespace Whistle.Access;

/// <summary>The pages of those who are not logged in.</summary>
static class LoginPages
{
    /// <summary>
    /// A page of its own, not a redirect: a strict cookie is not sent along a redirect that another site began.
    /// </summary>
    public static IResult LoggedIn => Of(
        "<meta http-equiv='refresh' content='0; url=/'><p>Logged in. <a href='/'>Continue to the dashboard.</a></p>",
        StatusCodes.Status200OK);

    /// <param name="content">HTML within the page.</param>
    /// <param name="status">Of the answer.</param>
    public static IResult Of(string content, int status) =>
        Whole("log in", $"""<main class="login">{content}</main>""", status);

    /// <param name="title">Text.</param>
    /// <param name="body">HTML of all that is seen.</param>
    /// <param name="status">Of the answer.</param>
    public static IResult Whole(string title, string body, int status) => Results.Content(
        $"""
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark"><title>Whistle: {title}</title>
        <link rel="icon" type="image/svg+xml" href="{Dashboard.AssetAddress("whistle.svg")}">
        <link rel="stylesheet" href="{Dashboard.AssetAddress("whistle.css")}">
        <script src="{Dashboard.AssetAddress("theme.js")}"></script>
        </head><body>{body}</body></html>
        """,
        "text/html; charset=utf-8",
        statusCode: status);

    /// <summary>The way to the provider; nothing where there is none.</summary>
    public static string OfProvider(OidcOptions options) => !options.IsGiven ? ""
        : $"<p><a class=\"button is-main\" href=\"{OidcLogIn.Start}\">Log in with {HtmlEncoder.Default.Encode(options.Name)}</a></p>";

    /// <summary>Says why somebody is not logged in.</summary>
    /// <param name="context">Of the request.</param>
    /// <param name="title">Text.</param>
    /// <param name="reason">Text.</param>
    /// <param name="status">Of the answer.</param>
    public static Task WriteAsync(
        HttpContext context, string title, string reason, int status = StatusCodes.Status401Unauthorized)
    {
        Dashboard.Protect(context.Response);
        var (safeTitle, safeReason) = (HtmlEncoder.Default.Encode(title), HtmlEncoder.Default.Encode(reason));
        return Of(
            $"<h1>{safeTitle}</h1><p>{safeReason}</p><p><a href=\"/login\">Back to the log-in</a></p>",
            status).ExecuteAsync(context);
    }
}
