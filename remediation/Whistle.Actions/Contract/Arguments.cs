using System.Text.Json;

namespace Whistle.Actions.Contract;

/// <summary>The values of one command's parameters, held to what the action's descriptor says of them.</summary>
public sealed class Arguments
{
    // By the names of the parameters.
    readonly Dictionary<string, object> _values = [];

    Arguments()
    {
    }

    /// <summary>The refusal is null where they will do. Names are taken whatever their case. Null is the same as leaving a parameter out
    /// that has no default, and refused where it has one.</summary>
    public static Arguments? Read(ActionDescriptor action, JsonElement parameters, out string? refusal)
    {
        var read = new Arguments();
        refusal = parameters.ValueKind switch
        {
            JsonValueKind.Undefined or JsonValueKind.Null => null,
            JsonValueKind.Object => read.TryAdd(action, parameters),
            _ => $"The parameters of {action.Name} are no JSON object.",
        };
        if (refusal is null && action.Parameters.FirstOrDefault(p => p.Required && !read._values.ContainsKey(p.Name)) is { } missing)
            refusal = $"{action.Name} needs {missing.Name}, {missing.Words}, like {missing.Example}. {missing.Meaning}";
        return refusal is null ? read : null;
    }

    /// <summary>A text, or an age as it is written.</summary>
    public string? Text(ActionParameter parameter) => (string?)Value(parameter);

    public TimeSpan? Age(ActionParameter parameter) => Policy.Age.Parse(Text(parameter));

    public long? Whole(ActionParameter parameter) => (long?)Value(parameter);

    public double? Number(ActionParameter parameter) => (double?)Value(parameter);

    public bool? Truth(ActionParameter parameter) => (bool?)Value(parameter);

    public IReadOnlyList<string>? Texts(ActionParameter parameter) => (IReadOnlyList<string>?)Value(parameter);

    public IReadOnlyDictionary<string, string>? TextMap(ActionParameter parameter) =>
        (IReadOnlyDictionary<string, string>?)Value(parameter);

    object? Value(ActionParameter parameter) => _values.GetValueOrDefault(parameter.Name) ?? parameter.Default;

    // Half a character that is written as \u escapes is found only when its text is asked for.
    string? TryAdd(ActionDescriptor action, JsonElement parameters)
    {
        try
        {
            return Add(action, parameters);
        }
        catch (InvalidOperationException e)
        {
            return $"The parameters of {action.Name} cannot be read: {e.Message}";
        }
    }

    string? Add(ActionDescriptor action, JsonElement parameters)
    {
        var given = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var property in parameters.EnumerateObject())
        {
            if (Find(action, property.Name) is not { } parameter)
                return Unknown(action, property.Name);
            if (!given.Add(property.Name))
                return $"The parameters of {action.Name} name {parameter.Name} twice.";
            if (property.Value.ValueKind is JsonValueKind.Null && parameter.Default is null)
                continue;
            if (parameter.Read(property.Value, out var refusal) is not { } value)
                return $"The parameters of {action.Name} cannot be read: {refusal}";
            _values.Add(parameter.Name, value);
        }

        return null;
    }

    static ActionParameter? Find(ActionDescriptor action, string name) =>
        action.Parameters.FirstOrDefault(p => p.Name.Equals(name, StringComparison.OrdinalIgnoreCase));

    static string Unknown(ActionDescriptor action, string name)
    {
        var known = action.Parameters.Count == 0 ? "none" : string.Join(", ", action.Parameters.Select(p => p.Name));
        return $"{action.Name} has no parameter {name}. It takes {known}.";
    }
}
