using System.Text.Json;
using System.Text.Json.Nodes;

using Microsoft.OpenApi;

using Whistle.Agent.Settings;
using Whistle.Detectors.Http;
using Whistle.Inventory.Callers;

namespace Whistle.Http;

/// <summary>Whistle's own API as OpenAPI, at <c>/openapi/v1.json</c>.</summary>
static class ApiDocument
{
    const string Scheme = "bearer";

    static readonly Dictionary<string, string> Refusals = new()
    {
        ["400"] = "The request is not valid.",
        ["401"] = "The token is missing or not valid.",
        ["403"] = "Your roles do not allow it.",
        ["404"] = "There is no such thing.",
        ["409"] = "It cannot be done as things are now.",
    };

    public static void Add(IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.ShouldInclude = description => $"/{description.RelativePath}".StartsWith(WhistleApi.Root, StringComparison.Ordinal);
        options.AddDocumentTransformer((document, _, _) => Describe(document));
        options.AddOperationTransformer((operation, _, _) => NameRefusals(operation));
        options.AddSchemaTransformer((schema, context, _) => Complete(schema, context.JsonTypeInfo.Type));
    });

    public static void Map(WebApplication app) => app.MapOpenApi().NeedsLogin("It describes the API and holds no data.");

    static Task Describe(OpenApiDocument document)
    {
        document.Info = new()
        {
            Title = "Whistle",
            Version = AgentOptions.Version,
            Description = "Every refusal, whatever its status, is an object with the member error: what is wrong and how to fix it.",
        };
        document.Servers = [];
        document.AddComponent(Scheme, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = Scheme,
            Description = "The token in the server's data folder. A browser's cookie from a login link will do in its place.",
        });
        document.Security = [new() { [new OpenApiSecuritySchemeReference(Scheme, document)] = [] }];
        return Task.CompletedTask;
    }

    static Task NameRefusals(OpenApiOperation operation)
    {
        foreach (var (status, response) in operation.Responses ?? [])
            response.Description = Refusals.GetValueOrDefault(status, response.Description ?? "");
        return Task.CompletedTask;
    }

    // The generator leaves out that names are texts, and lets "any JSON, or null" match a null twice.
    static Task Complete(OpenApiSchema schema, Type type)
    {
        if (type.IsEnum)
            (schema.Type, schema.Enum) = (JsonSchemaType.String, [.. EnumNameConverter.Names(type).Select(n => (JsonNode)n)]);
        else if (schema.Enum is { Count: > 0 })
            schema.Type ??= JsonSchemaType.String;
        if (type == typeof(JsonElement?))
            schema.OneOf = schema.AnyOf = null;
        return Task.CompletedTask;
    }
}
