using System.Text.Json.Nodes;

using Whistle.Actions.Contract;

namespace Whistle.Remediation.Runbooks;

/// <summary>
/// A JSON schema (draft 2020-12) of a runbook for editors, made of the readers' own keys, actions and parameters. What it cannot say, the
/// reader does.
/// </summary>
public static class RunbookSchema
{
    const string Duration = @"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$|^0$";

    // A label's place may stand for the whole of it or for a part.
    const string Age = @"^[0-9]{1,10}[smhdw]$|\$\{";

    // By key, wherever it stands; a key of the readers that is missing here cannot be described and makes this throw.
    static readonly Dictionary<string, Func<JsonObject>> Shapes = new()
    {
        ["name"] = Text,
        ["summary"] = Text,
        ["answers"] = () => ListOf(Mapping(RunbookKeys.Answer, "signal")),
        ["signal"] = Text,
        ["labels"] = () => MapOf(Scalar()),
        ["mode"] = () => OneOf(Enum.GetNames<RunbookMode>().Select(m => m.ToLowerInvariant())),
        ["gates"] = () => Mapping(RunbookKeys.Gates),
        ["window"] = () => OneOf(RunbookKeys.Windows),
        ["maxConcurrent"] = () => Object(RunbookKeys.Scopes.Select(s => (s, Whole(1, 100_000)))),
        ["blastRadius"] = () => Mapping(RunbookKeys.BlastRadius),
        ["nodes"] = () => Whole(1, 100_000),
        ["percent"] = () => Whole(1, 100),
        ["attempts"] = () => Whole(1, 10),
        ["backOff"] = () => Whole(1, 10),
        ["flapping"] = () => Mapping(RunbookKeys.Flapping),
        ["onsets"] = () => Whole(2, 1000),
        ["steps"] = () => new JsonObject { ["type"] = "array", ["minItems"] = 1, ["maxItems"] = StepReader.Most, ["items"] = Step() },
        ["verify"] = () => Mapping(RunbookKeys.Verify),
        ["page"] = () => Mapping(RunbookKeys.Attach, "attach"),
        ["ticket"] = () => Mapping(RunbookKeys.Attach, "attach"),
        ["attach"] = () => new JsonObject { ["type"] = "array", ["minItems"] = 1, ["items"] = Text() },
        ["ladder"] = () => ListOf(Text()),
        ["action"] = () => OneOf(ActionCatalogue.Names),
        ["wait"] = Text,
        ["task"] = Text,
        ["approval"] = () => OneOf(RunbookKeys.Approvers),
        ["dryRun"] = () => new JsonObject { ["type"] = "boolean" },
        ["onFailure"] = () => OneOf(RunbookKeys.OnFailure),
        ["rollback"] = Rollback,
        ["expr"] = Text,
    };

    static readonly string[] Durations = ["sustained", "freshness", "stormCoolDown", "coolDown", "within", "for", "timeout"];

    public static JsonObject Build()
    {
        var root = Mapping(RunbookKeys.Runbook, "name", "summary", "steps", "verify");
        // The names stand for texts, and there may be any.
        ((JsonObject)root["properties"]!)["parameters"] = MapOf(Scalar());
        return new(
        [
            new("$schema", "https://json-schema.org/draft/2020-12/schema"), new("title", "A runbook of Whistle"),
            .. root.ToList().Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone())),
        ]);
    }

    static JsonObject Step()
    {
        var step = Mapping(RunbookKeys.Step, "name");
        step["oneOf"] = new JsonArray([.. RunbookKeys.StepKinds.Select(k => new JsonObject { ["required"] = new JsonArray(k) })]);
        step["allOf"] = Parameters(undo: false);
        return step;
    }

    static JsonObject Rollback()
    {
        var undo = Mapping(RunbookKeys.Rollback, "action");
        undo["allOf"] = Parameters(undo: true);
        return undo;
    }

    static JsonArray Parameters(bool undo) =>
        [.. ActionCatalogue.Names.Select(name => (JsonNode)ParametersOf(ActionCatalogue.Find(name)!, undo))];

    static JsonObject ParametersOf(ActionDescriptor action, bool undo)
    {
        var required = action.Parameters.Where(p => p.Required).Select(p => p.Name).ToArray();
        var parameters = Object(action.Parameters.Select(p => (p.Name, Parameter(p, undo))), required);
        var then = new JsonObject { ["properties"] = new JsonObject { ["parameters"] = parameters } };
        if (required.Length > 0)
            then["required"] = new JsonArray("parameters");
        return new()
        {
            ["if"] = new JsonObject
            {
                ["properties"] = new JsonObject { ["action"] = new JsonObject { ["const"] = action.Name } },
                ["required"] = new JsonArray("action"),
            },
            ["then"] = then,
        };
    }

    static JsonObject Parameter(ActionParameter parameter, bool undo)
    {
        var shape = parameter.Kind switch
        {
            ParameterKind.Text => Text(),
            ParameterKind.Age => new() { ["type"] = "string", ["pattern"] = Age },
            ParameterKind.Whole => Bounded(new() { ["type"] = "integer" }, parameter),
            ParameterKind.Number => Bounded(new() { ["type"] = "number" }, parameter),
            ParameterKind.Truth => new() { ["type"] = "boolean" },
            ParameterKind.Texts => Bounded(ListOf(Text()), parameter, "Items"),
            ParameterKind.TextMap => Bounded(MapOf(Text()), parameter, "Properties"),
            _ => throw new InvalidOperationException($"Unknown kind {parameter.Kind}."),
        };
        shape["description"] = parameter.Meaning;
        // A field of the step's own report keeps its type.
        return undo
            ? new() { ["anyOf"] = new JsonArray(shape, new JsonObject { ["type"] = "string", ["pattern"] = @"^\$\{output\." }) } : shape;
    }

    static JsonObject Bounded(JsonObject shape, ActionParameter parameter, string of = "imum")
    {
        (string Key, double? Bound)[] bounds =
            [("min" + of, parameter.Least), ("exclusiveMinimum", parameter.Above), ("max" + of, parameter.Most)];
        foreach (var (key, bound) in bounds.Where(b => b.Bound is not null))
            shape[key] = bound;
        return shape;
    }

    static JsonObject Shape(string key) => Durations.Contains(key)
        ? new()
        {
            ["anyOf"] = new JsonArray(new JsonObject { ["type"] = "string", ["pattern"] = Duration }, new JsonObject { ["const"] = 0 }),
        }
        : Shapes[key]();

    // The parameters of a step are what its action says.
    static JsonObject Mapping(string[] keys, params string[] required) =>
        Object(keys.Select(k => (k, k == "parameters" ? new JsonObject { ["type"] = "object" } : Shape(k))), required);

    static JsonObject Object(IEnumerable<(string Key, JsonObject Shape)> properties, params string[] required)
    {
        var shape = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject(properties.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Shape))),
            ["additionalProperties"] = false,
        };
        if (required.Length > 0)
            shape["required"] = new JsonArray([.. required.Select(r => (JsonNode)r)]);
        return shape;
    }

    static JsonObject Text() => new() { ["type"] = "string", ["minLength"] = 1 };

    // What looks like a number is still text.
    static JsonObject Scalar() => new() { ["type"] = new JsonArray("string", "number", "boolean") };

    static JsonObject Whole(int least, int most) => new() { ["type"] = "integer", ["minimum"] = least, ["maximum"] = most };

    static JsonObject OneOf(IEnumerable<string> texts) => new() { ["enum"] = new JsonArray([.. texts.Select(t => (JsonNode)t)]) };

    static JsonObject ListOf(JsonObject items) => new() { ["type"] = "array", ["items"] = items };

    static JsonObject MapOf(JsonObject values) => new() { ["type"] = "object", ["additionalProperties"] = values };
}
