using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Endpoints;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using MudBlazor.Services;

using Whistle.Inventory.Callers;
using Whistle.Web.Acts;
using Whistle.Web.Assets;
using Whistle.Web.Audits;
using Whistle.Web.Incidents;
using Whistle.Web.Layout;
using Whistle.Web.Live;
using Whistle.Web.Nodes;
using Whistle.Web.Tenants;
using Whistle.Web.Tickets;

namespace Whistle.Web;

/// <summary>
/// The pages for people: rendered on the server, whole at the first paint, then kept current over one connection. Whoever maps them puts
/// authentication in front; only style sheets, scripts and icon answer to anybody, as the login page needs them.
/// </summary>
public static class Dashboard
{
    // Nothing from elsewhere, and no script inline: what telemetry says can never run. The component library places its dialogs by style
    // attributes; style elements are refused like scripts.
    const string ContentPolicy =
        "default-src 'none'; style-src 'self'; style-src-attr 'unsafe-inline'; script-src 'self'; img-src 'self' data:; "
        + "connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    const string Circuit = "/_blazor";
    const string Missing = "/missing";

    public static IServiceCollection AddDashboard(this IServiceCollection services)
    {
        services.AddRazorComponents().AddInteractiveServerComponents()
            // Of the longest text that a page takes, and what goes with it.
            .AddHubOptions(o => o.MaximumReceiveMessageSize = 512 << 10);
        services.AddCascadingAuthenticationState();
        services.AddMudServices();
        services.AddSingleton(new LivePace(TimeProvider.System)).AddSingleton<NodeReader>().AddSingleton<ChartReader>()
            .AddSingleton<StoryReader>().AddSingleton<TicketReader>().AddSingleton<SnapshotReader>().AddSingleton<LiveFeed>()
            .AddScoped<PersonActs>().AddScoped<ActDialogs>().AddSingleton<AuditReader>()
            .AddSingleton<TenantPeople>().AddScoped<Visitor>().AddScoped<PageReads>();
        return services.AddHostedService(s => s.GetRequiredService<LiveFeed>());
    }

    /// <summary>Whether it belongs to the connection over which a page stays current, and over which its acts come.</summary>
    public static bool IsConnection(PathString path) => path.StartsWithSegments(Circuit);

    /// <summary>In front of authentication: the headers of every page. Whoever maps it refuses other origins before that.</summary>
    public static void UseDashboard(this WebApplication app)
    {
        // In a scope of its own: the page that found nothing has rendered in the request's already.
        app.UseStatusCodePagesWithReExecute(Missing, createScopeForStatusCodePages: true);
        app.Use((context, next) =>
        {
            if (!IsPage(context.Request))
                context.Features.Get<IStatusCodePagesFeature>()!.Enabled = false;
            else
                Protect(context.Response);
            return next(context);
        });
    }

    public static void MapDashboard(this WebApplication app)
    {
        app.UseAntiforgery();
        app.MapGet("/assets/{version}/{name}", AssetFiles.Serve)
            .NeedsNobody("Style sheets, scripts and icons, which the login page needs too.").DisableAntiforgery();
        // The policy above has the ancestors already.
        app.MapRazorComponents<Document>().AddInteractiveServerRenderMode(o => o.ContentSecurityFrameAncestorsPolicy = null)
            .NeedsLogin("Each page shows what its viewer may see, and asks for each act.").Add(AnswerGetAlone);
    }

    // A page has no form that it answers itself, and what is sent to one is not for it.
    static void AnswerGetAlone(EndpointBuilder page)
    {
        if (!page.Metadata.OfType<ComponentTypeMetadata>().Any())
            return;
        foreach (var methods in page.Metadata.OfType<HttpMethodMetadata>().ToList())
            page.Metadata.Remove(methods);
        page.Metadata.Add(new HttpMethodMetadata([HttpMethods.Get]));
    }

    /// <summary>The address of a file that pages load; it changes with the file, so that it may be kept forever.</summary>
    public static string AssetAddress(string name) => AssetFiles.Address(name);

    /// <summary>Headers that every page for people carries.</summary>
    public static void Protect(HttpResponse response)
    {
        response.Headers.ContentSecurityPolicy = ContentPolicy;
        response.Headers.XContentTypeOptions = "nosniff";
        // Not no-referrer: browsers would call the origin of the page's own forms null.
        response.Headers["Referrer-Policy"] = "same-origin";
        response.Headers.CacheControl = "no-store";
    }

    /// <summary>Whether a person is shown the answer; programs are answered in their own words.</summary>
    public static bool IsPage(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && !Programs.Any(p => request.Path.StartsWithSegments(p)) && !IsConnection(request.Path);

    static readonly string[] Programs = ["/api", "/agent", "/openapi", "/metrics", "/-", "/assets", "/_framework"];
}
