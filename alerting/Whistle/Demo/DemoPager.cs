using System.Text.Json;

using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Whistle.Demo;

/// <summary>What was sent to the pager: <c>trigger</c>, <c>resolve</c> or <c>change</c>.</summary>
/// <param name="Summary">Empty where the event carries none.</param>
sealed record PagerEvent(string Action, string Key, string Summary);

/// <summary>
/// A listener on the loopback that answers as PagerDuty's Events API v2 does, so that the demo's pages take the whole way.
/// </summary>
sealed class DemoPager : IAsyncDisposable
{
    public static readonly string RoutingKey = new('d', 32);

    readonly WebApplication _app;

    DemoPager(WebApplication app) => _app = app;

    /// <summary>Hears of every event that was taken, on the thread of its request.</summary>
    public Action<PagerEvent> Received { get; set; } = _ => { };

    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static async Task<DemoPager> StartAsync(CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var pager = new DemoPager(builder.Build());
        pager._app.MapPost("/v2/enqueue", (RequestDelegate)(c => pager.TakeAsync(c, null)));
        pager._app.MapPost("/v2/change/enqueue", (RequestDelegate)(c => pager.TakeAsync(c, "change")));
        await pager._app.StartAsync(cancellation);
        return pager;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    async Task TakeAsync(HttpContext context, string? action)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body, default, context.RequestAborted);
        var root = body.RootElement;
        var key = Text(root, "dedup_key");
        var summary = root.TryGetProperty("payload", out var payload) ? Text(payload, "summary") : "";
        Received(new PagerEvent(action ?? Text(root, "event_action"), key, summary));
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(
            $$"""{"status":"success","message":"Event processed","dedup_key":{{JsonSerializer.Serialize(key)}}}""", context.RequestAborted);
    }

    static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString()! : "";
}
