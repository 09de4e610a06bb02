using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Whistle.PromQL;

namespace Whistle.Detectors.Http;

/// <summary>
/// What all of Whistle's own API has in common: its root, its JSON and one shape of errors, <see cref="ApiError"/>, whoever refuses.
/// Whoever maps it puts authentication in front.
/// </summary>
public static class WhistleApi
{
    public const string Root = "/api/whistle/v1";

    /// <summary>Names of enumerations are in kebab case, and bodies are taken only with all that they need.</summary>
    public static void Add(IServiceCollection services) => services
        .AddSingleton<FaultReferences>()
        // What cannot be bound is an exception then, which says what it was.
        .Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true)
        .ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new EnumNameConverter());
            json.SerializerOptions.AllowDuplicateProperties = false;
            json.SerializerOptions.RespectNullableAnnotations = true;
            json.SerializerOptions.RespectRequiredConstructorParameters = true;
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
        });

    /// <summary>Before anything else that may refuse.</summary>
    public static void Use(IApplicationBuilder app) =>
        app.UseWhen(IsOurs, branch => branch.Use(ApiRefusals.AnswerAsync));

    /// <summary>Where an area of the API maps its routes.</summary>
    public static RouteGroupBuilder Group(IEndpointRouteBuilder routes, string area)
    {
        var group = routes.MapGroup(Root);
        group.AddEndpointFilter(RequestTexts.CheckAsync);
        group.AddEndpointFilter(ActAudit.RecordAsync);
        return group.WithTags(area).WithMetadata(
            new ProducesResponseTypeMetadata(StatusCodes.Status401Unauthorized, typeof(ApiError), ["application/json"]));
    }

    public static bool IsOurs(HttpContext context) => context.Request.Path.StartsWithSegments("/api/whistle", StringComparison.Ordinal);

    public static Task RefuseAsync(HttpContext context, int status, string reason)
    {
        context.Response.StatusCode = status;
        var json = context.RequestServices.GetRequiredService<Microsoft.Extensions.Options.IOptions<JsonOptions>>().Value.SerializerOptions;
        return context.Response.WriteAsJsonAsync(new ApiError(reason), json, context.RequestAborted);
    }

    /// <summary>From text like 30s, 5m or 1h30m; null where it is none.</summary>
    public static TimeSpan? Duration(string? text) =>
        Durations.TryParse(text, out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds) : null;

    public static BadRequest<ApiError> BadRequest(string reason) => TypedResults.BadRequest(new ApiError(reason));

    public static NotFound<ApiError> NotFound(string reason) => TypedResults.NotFound(new ApiError(reason));

    public static Conflict<ApiError> Conflict(string reason) => TypedResults.Conflict(new ApiError(reason));

    public static BadRequest<ApiError> BadDuration(string name, string? text) =>
        BadRequest($"{name}: \"{text}\" is not a duration; write it like 30s, 5m or 1h30m.");
}

/// <summary>Every refusal of Whistle's own API.</summary>
/// <param name="Error">What is wrong and how to fix it, for people.</param>
public sealed record ApiError(string Error);
