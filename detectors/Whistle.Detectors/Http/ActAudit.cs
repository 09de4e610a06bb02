using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;

namespace Whistle.Detectors.Http;

/// <summary>Writes into the audit what the routes that change something are asked for, and what became of it.</summary>
public static partial class ActAudit
{
    static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Marks a request whose refusal is written here, and need not be written again.</summary>
    public static readonly object IsWritten = new();

    /// <summary>What the route is called in the audit, such as <c>approve-run</c>; its pattern where it has no name.</summary>
    public static string NameOf(HttpContext context) => context.GetEndpoint() switch
    {
        { } endpoint when endpoint.Metadata.GetMetadata<IEndpointNameMetadata>() is { } name =>
            JsonNamingPolicy.KebabCaseLower.ConvertName(name.EndpointName),
        RouteEndpoint { RoutePattern.RawText: { } pattern } => pattern,
        _ => "unknown",
    };

    internal static async ValueTask<object?> RecordAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        if (HttpMethods.IsGet(http.Request.Method) || HttpMethods.IsHead(http.Request.Method))
            return await next(context);
        // Whoever logs in is nobody yet.
        var caller = http.User.Identity is { IsAuthenticated: true } ? await Caller.BindAsync(http) : null;
        var act = new AuditAct(caller?.Who ?? new("", "", http.Connection.RemoteIpAddress), NameOf(http))
        {
            Scope = () => caller?.Concerned ?? AccessScope.All,
            Subject = string.Join('/', http.Request.RouteValues.Values),
            Details = DetailsOf(context),
        };
        http.Items[IsWritten] = true;
        return await http.RequestServices.GetRequiredService<AuditLog>().RecordAsync(
            act, () => next(context).AsTask(), RefusalOf);
    }

    static string? RefusalOf(object? result)
    {
        while (result is INestedHttpResult nested)
            result = nested.Result;
        return result is not IStatusCodeHttpResult { StatusCode: >= 400 and var status } ? null
            : (result as IValueHttpResult)?.Value is ApiError error ? error.Error : $"The server answers {status}.";
    }

    static string DetailsOf(EndpointFilterInvocationContext context)
    {
        var http = context.HttpContext;
        var details = new JsonObject();
        if (http.GetEndpoint()?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType is { } type
            && context.Arguments.FirstOrDefault(type.IsInstanceOfType) is { } body)
        {
            var json = http.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
            foreach (var (name, value) in JsonSerializer.SerializeToNode(body, type, json)?.AsObject() ?? [])
                details[name] = value?.DeepClone();
        }

        // After the body: whatever a request adds here may be cut off at the end, and takes nothing's place.
        foreach (var (name, values) in http.Request.Query.Where(q => !details.ContainsKey(q.Key)))
            details[name] = values.ToString();
        return Text(details);
    }

    /// <summary>As a text, without what is not set and without what may be a secret.</summary>
    public static string Text(JsonObject details)
    {
        Hide(details);
        return details.Count == 0 ? "" : details.ToJsonString(Json);
    }

    static void Hide(JsonNode? node)
    {
        if (node is JsonArray items)
        {
            foreach (var item in items)
                Hide(item);
        }
        else if (node is JsonObject members)
        {
            foreach (var (name, value) in members.ToList())
            {
                if (value is null)
                    members.Remove(name);
                else if (Secret().IsMatch(name))
                    members[name] = "(hidden)";
                else
                    Hide(value);
            }
        }
    }

    // Too much rather than too little: the audit is read by more people than any of these.
    [GeneratedRegex("password|secret|token|credential|recovery|otp|code|key|link", RegexOptions.IgnoreCase)]
    private static partial Regex Secret();
}
