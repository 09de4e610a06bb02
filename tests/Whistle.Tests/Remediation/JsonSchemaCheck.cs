using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Tests.Remediation;

/// <summary>As much of JSON schema as runbooks' schema uses; a keyword beyond that throws.</summary>
static class JsonSchemaCheck
{
    static readonly string[] Silent = ["$schema", "title", "description", "then"];

    /// <summary>The places where it does not hold.</summary>
    public static IEnumerable<string> Faults(JsonNode schema, JsonNode? value, string at = "$") => schema.AsObject().Where(
        k => !Silent.Contains(k.Key)).SelectMany(keyword => keyword switch
    {
        { Key: "type", Value: JsonArray types } => types.Any(t => Is((string)t!, value)) ? [] : [$"{at} type"],
        { Key: "type" } => Is((string)keyword.Value!, value) ? [] : [$"{at} type"],
        { Key: "const" } => JsonNode.DeepEquals(keyword.Value, value) ? [] : [$"{at} const"],
        { Key: "enum" } => keyword.Value!.AsArray().Any(e => JsonNode.DeepEquals(e, value)) ? [] : [$"{at} enum"],
        { Key: "minLength" } => value is not JsonValue text || !Is("string", text) || ((string)text!).Length > 0 ? [] : [$"{at} minLength"],
        { Key: "pattern" } => !Is("string", value) || Regex.IsMatch((string)value!, (string)keyword.Value!) ? [] : [$"{at} pattern"],
        { Key: "minimum" } => !Is("number", value) || (double)value! >= (double)keyword.Value! ? [] : [$"{at} minimum"],
        { Key: "exclusiveMinimum" } => !Is("number", value) || (double)value! > (double)keyword.Value! ? [] : [$"{at} exclusiveMinimum"],
        { Key: "maximum" } => !Is("number", value) || (double)value! <= (double)keyword.Value! ? [] : [$"{at} maximum"],
        { Key: "minItems" } => value is not JsonArray list || list.Count >= (int)keyword.Value! ? [] : [$"{at} minItems"],
        { Key: "maxItems" } => value is not JsonArray list || list.Count <= (int)keyword.Value! ? [] : [$"{at} maxItems"],
        { Key: "minProperties" } => value is not JsonObject map || map.Count >= (int)keyword.Value! ? [] : [$"{at} minProperties"],
        { Key: "maxProperties" } => value is not JsonObject map || map.Count <= (int)keyword.Value! ? [] : [$"{at} maxProperties"],
        { Key: "items" } => value is not JsonArray list ? [] : list.SelectMany((item, i) => Faults(keyword.Value!, item, $"{at}[{i}]")),
        { Key: "properties" } => value is not JsonObject map ? [] : map.Where(p => keyword.Value![p.Key] is not null).SelectMany(
            p => Faults(keyword.Value![p.Key]!, p.Value, $"{at}.{p.Key}")),
        { Key: "additionalProperties" } => value is not JsonObject map ? [] : map.Where(p => schema["properties"]?[p.Key] is null)
            .SelectMany(p => keyword.Value is JsonObject others ? Faults(others, p.Value, $"{at}.{p.Key}") : [$"{at}.{p.Key} unknown"]),
        { Key: "required" } => value is not JsonObject map ? [] : keyword.Value!.AsArray().Where(k => !map.ContainsKey((string)k!))
            .Select(k => $"{at} needs {k}"),
        { Key: "allOf" } => keyword.Value!.AsArray().SelectMany(s => Faults(s!, value, at)),
        { Key: "anyOf" } => keyword.Value!.AsArray().Any(s => !Faults(s!, value, at).Any()) ? [] : [$"{at} anyOf"],
        { Key: "oneOf" } => keyword.Value!.AsArray().Count(s => !Faults(s!, value, at).Any()) == 1 ? [] : [$"{at} oneOf"],
        { Key: "if" } => Faults(keyword.Value!, value, at).Any() ? [] : Faults(schema["then"]!, value, at),
        _ => throw new NotSupportedException(keyword.Key),
    });

    /// <summary>As an editor sees YAML: plain numbers and truth values are such.</summary>
    public static JsonNode? Parse(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        return Node(stream.Documents[0].RootNode);
    }

    static JsonNode? Node(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(c => KeyValuePair.Create(((YamlScalarNode)c.Key).Value!, Node(c.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(Node)]),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" or "false" } truth => truth.Value == "true",
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } number } when double.TryParse(number, out var value) => value,
        YamlScalarNode text => text.Value,
        _ => null,
    };

    static bool Is(string type, JsonNode? value) => type switch
    {
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "string" => value?.GetValueKind() is System.Text.Json.JsonValueKind.String,
        "boolean" => value?.GetValueKind() is System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False,
        "number" => value?.GetValueKind() is System.Text.Json.JsonValueKind.Number,
        "integer" => value?.GetValueKind() is System.Text.Json.JsonValueKind.Number && double.IsInteger((double)value),
        _ => throw new NotSupportedException(type),
    };
}
