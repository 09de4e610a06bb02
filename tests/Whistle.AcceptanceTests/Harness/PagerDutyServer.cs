using System.Collections.Concurrent;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Whistle.AcceptanceTests;

/// <summary>How the endpoint answers: as the Events API v2 is documented, or as a service that is not well.</summary>
enum PagerDutyMood
{
    Well,
    TooMany,
    Broken,

    /// <summary>Takes the event, and never says so.</summary>
    Silent,

    /// <summary>Breaks the connection.</summary>
    Aborts,
}

/// <summary>
/// An HTTP endpoint with the documented answers of PagerDuty's Events API v2: 202 with the dedup_key, 400 with the errors, 429, 500.
/// </summary>
sealed class PagerDutyServer : IAsyncDisposable
{
    const int RoutingKeyLength = 32;
    static readonly string[] Severities = ["critical", "error", "warning", "info"];

    readonly WebApplication _app;

    PagerDutyServer(WebApplication app) => _app = app;

    public PagerDutyMood Mood { get; set; }

    /// <summary>Every event it has had, in whatever mood.</summary>
    public ConcurrentQueue<JsonElement> Events { get; } = [];

    public ConcurrentQueue<JsonElement> Changes { get; } = [];

    public Uri Address => new(_app.Urls.First());

    public static async Task<PagerDutyServer> StartAsync(CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        var server = new PagerDutyServer(app);
        app.MapPost("/v2/enqueue", (RequestDelegate)(c => server.AnswerAsync(c, server.Events, Errors)));
        app.MapPost("/v2/change/enqueue", (RequestDelegate)(c => server.AnswerAsync(c, server.Changes, ChangeErrors)));
        await app.StartAsync(cancellation);
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        Mood = PagerDutyMood.Broken;
        await _app.DisposeAsync();
    }

    async Task AnswerAsync(HttpContext context, ConcurrentQueue<JsonElement> taken, Func<JsonElement, List<string>> errorsOf)
    {
        var body = (await JsonDocument.ParseAsync(context.Request.Body, default, context.RequestAborted)).RootElement;
        taken.Enqueue(body);
        if (Mood is PagerDutyMood.Silent)
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        else if (Mood is PagerDutyMood.Aborts)
            context.Abort();
        else if (Mood is PagerDutyMood.TooMany or PagerDutyMood.Broken)
            context.Response.StatusCode = Mood is PagerDutyMood.TooMany ? 429 : 500;
        else if (errorsOf(body) is { Count: > 0 } errors)
            await RespondAsync(context, 400, new { status = "invalid event", message = "Event object is invalid", errors });
        else
            await RespondAsync(context, 202, new { status = "success", message = "Event processed", dedup_key = Text(body, "dedup_key") });
    }

    static Task RespondAsync(HttpContext context, int status, object answer)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(answer, context.RequestAborted);
    }

    static List<string> Errors(JsonElement body)
    {
        var errors = ChangeErrors(body, Text(body, "event_action") is "trigger");
        if (Text(body, "event_action") is not ("trigger" or "acknowledge" or "resolve"))
            errors.Add("'event_action' is missing or invalid");
        if (Text(body, "dedup_key") is not { Length: > 0 and <= 255 })
            errors.Add("'dedup_key' is missing or too long");
        if (Text(body, "event_action") is "trigger" && !Severities.Contains(Text(body.GetProperty("payload"), "severity")))
            errors.Add("'payload.severity' is missing or invalid");
        return errors;
    }

    static List<string> ChangeErrors(JsonElement body) => ChangeErrors(body, true);

    static List<string> ChangeErrors(JsonElement body, bool withPayload)
    {
        var errors = new List<string>();
        if (Text(body, "routing_key")?.Length != RoutingKeyLength)
            errors.Add("Length of 'routing_key' is incorrect (should be 32 characters)");
        if (!withPayload)
            return errors;
        if (!body.TryGetProperty("payload", out var payload) || Text(payload, "summary") is not { Length: > 0 and <= 1024 })
            errors.Add("'payload.summary' is missing or too long");
        else if (Text(payload, "source") is not { Length: > 0 })
            errors.Add("'payload.source' is missing");
        return errors;
    }

    static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}
