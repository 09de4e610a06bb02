using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

using Whistle.Inventory.Callers;
using Whistle.State;

namespace Whistle.Detectors.Http;

/// <summary>
/// Gives what the framework refuses by itself (no such address, a body that cannot be read) the API's own shape and a reason.
/// </summary>
static class ApiRefusals
{
    public static async Task AnswerAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
            if (context is { Response: { HasStarted: false, StatusCode: >= 400 and var status } })
                await WhistleApi.RefuseAsync(context, status, ReasonOf(status, context));
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await WhistleApi.RefuseAsync(context, e.StatusCode, ReasonOf(e, context));
        }
        catch (ForbiddenException e) when (!context.Response.HasStarted)
        {
            await WhistleApi.RefuseAsync(context, StatusCodes.Status403Forbidden, e.Message);
        }
        catch (StateException e) when (!context.Response.HasStarted)
        {
            context.Response.Headers.RetryAfter = "5";
            await RefuseAsync(context, "The state cannot be used for now. Try again.", e);
        }
        catch (DamagedRowException e) when (!context.Response.HasStarted)
        {
            await RefuseAsync(context, "A row of the state is damaged, and this needs it.", e);
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(WhistleApi))
                .RequestFailed(e, context.Request.Method, context.Request.Path);
            await WhistleApi.RefuseAsync(context, StatusCodes.Status500InternalServerError, "The server failed at this. Its log says why.");
        }
    }

    // What it says names files and tables, which are the operator's business.
    static Task RefuseAsync(HttpContext context, string said, Exception e)
    {
        var reference = context.RequestServices.GetRequiredService<FaultReferences>().Log(e, context.Request.Method, context.Request.Path);
        return WhistleApi.RefuseAsync(
            context, StatusCodes.Status503ServiceUnavailable, $"{said} The server's log says why, under {reference}.");
    }

    static string ReasonOf(int status, HttpContext context) => status switch
    {
        StatusCodes.Status404NotFound => $"There is no {context.Request.Path}. /openapi/v1.json lists what there is.",
        StatusCodes.Status405MethodNotAllowed =>
            $"{context.Request.Path} does not take {context.Request.Method}, only {context.Response.Headers.Allow}.",
        StatusCodes.Status415UnsupportedMediaType => "The body must be JSON. Send it with Content-Type: application/json.",
        _ => $"The server answers {status}.",
    };

    static string ReasonOf(BadHttpRequestException e, HttpContext context)
    {
        if (e.StatusCode is not StatusCodes.Status400BadRequest
            || context.GetEndpoint()?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType is not { } type)
            return e.Message;
        var json = context.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
        return ReasonOf(e.InnerException as JsonException, json.GetTypeInfo(type));
    }

    static string ReasonOf(JsonException? e, JsonTypeInfo body)
    {
        // Only what is no JSON at all comes from the reader within.
        if (e?.InnerException is JsonException syntax)
            return $"The body is not valid JSON, at line {syntax.LineNumber + 1}, byte {syntax.BytePositionInLine + 1}.";
        var name = e?.Path is ['$', '.', .. var path] ? path : "";
        if (name.Length == 0)
            return $"The body must be a JSON object {Members(body)}.";
        return body.Properties.FirstOrDefault(p => p.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } property
            ? $"{property.Name} must be {Words(property.PropertyType, body.Options)}."
            : $"The body has the member {name}, which is not known here: it is a JSON object {Members(body)}.";
    }

    static string Members(JsonTypeInfo body)
    {
        var (needed, others) = (Names(body.Properties.Where(IsNeeded)), Names(body.Properties.Where(p => !IsNeeded(p))));
        return (needed, others) switch
        {
            ({ Length: 0 }, { Length: 0 }) => "without members",
            ({ Length: 0 }, _) => $"with any of {others}",
            (_, { Length: 0 }) => $"with {needed}",
            _ => $"with {needed}, and where wanted {others}",
        };
    }

    static string Names(IEnumerable<JsonPropertyInfo> properties) => string.Join(", ", properties.Select(p => p.Name));

    static bool IsNeeded(JsonPropertyInfo property) => property.IsRequired || property.AssociatedParameter is { HasDefaultValue: false };

    static string Words(Type type, JsonSerializerOptions json)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.IsEnum ? "one of "
            + $"{string.Join(", ", Enum.GetValues(type).Cast<object>().Select(v => JsonSerializer.Serialize(v, type, json).Trim('"')))}"
            : type == typeof(string) ? "a text"
            : type == typeof(bool) ? "true or false"
            : "a number";
    }
}
