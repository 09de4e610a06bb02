using System.Reflection;
using System.Security.Cryptography;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Web.Fleet;

namespace Whistle.Web;

/// <summary>
/// The pages for people: rendered on the server, complete without script; a script of ours renews them in place. Whoever maps
/// them puts authentication in front; only style sheet, script and icon answer to anybody, as the login page needs them.
/// </summary>
public static class Dashboard
{
    // Nothing from elsewhere and nothing inline: what telemetry says can never run.
    const string ContentPolicy =
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

    static readonly Dictionary<string, Asset> Assets = new[]
    {
        Load("whistle.css", "text/css; charset=utf-8"), Load("whistle.js", "text/javascript; charset=utf-8"), Load("whistle.svg", "image/svg+xml"),
    }.ToDictionary(a => a.Name);

    public static void Add(IServiceCollection services)
    {
        services.AddRazorComponents();
        services.AddSingleton<FleetReader>();
    }

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/", FleetAsync);
        routes.MapGet("/assets/{version}/{name}", Serve).AllowAnonymous();
    }

    /// <summary>The address of a file of <c>Assets</c>; it changes with the file, so that it may be kept forever.</summary>
    public static string AssetAddress(string name) => $"/assets/{Assets[name].Version}/{name}";

    /// <summary>Headers that every page for people carries.</summary>
    public static void Protect(HttpResponse response)
    {
        response.Headers.ContentSecurityPolicy = ContentPolicy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.CacheControl = "no-store";
    }

    static async Task<RazorComponentResult> FleetAsync(HttpContext context, FleetReader reader)
    {
        Protect(context.Response);
        var view = await reader.ReadAsync(FleetQuery.Read(context.Request.Query), context.RequestAborted);
        return new RazorComponentResult<FleetPage>(new { View = view })
        {
            StatusCode = view.Error is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable,
        };
    }

    static IResult Serve(string version, string name, HttpResponse response)
    {
        if (!Assets.TryGetValue(name, out var asset))
            return Results.NotFound();
        // A page of the release before may ask for its own version; what it gets then must not be kept under that name.
        response.Headers.CacheControl = version == asset.Version ? "public, max-age=31536000, immutable" : "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        return Results.Bytes(asset.Content, asset.Type);
    }

    static Asset Load(string name, string type)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name) ?? throw new InvalidOperationException($"The resource {name} is not in the assembly.");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return new Asset(name, type, Convert.ToHexStringLower(SHA256.HashData(content))[..12], content);
    }

    sealed record Asset(string Name, string Type, string Version, byte[] Content);
}
