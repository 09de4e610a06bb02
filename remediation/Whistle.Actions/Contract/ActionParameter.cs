using System.Globalization;
using System.Text.Json;

using Whistle.Actions.Policy;

namespace Whistle.Actions.Contract;

public enum ParameterKind
{
    Text,

    /// <summary>A whole number with its unit, as people write it: <c>7d</c>.</summary>
    Age,

    /// <summary>A whole number.</summary>
    Whole,
    Number,
    Truth,
    Texts,
    TextMap,
}

/// <summary>One parameter of an action: what it may be, and what it is for.</summary>
/// <param name="Meaning">One or two sentences, with the default where <see cref="Default"/> does not say it.</param>
public sealed record ActionParameter(string Name, ParameterKind Kind, string Meaning)
{
    public bool Required { get; init; }

    /// <summary>Such as <c>bytes</c>; null where the kind or the meaning says it.</summary>
    public string? Unit { get; init; }

    /// <summary>What stands in its place where it is not given: a value for <see cref="ParameterKind.Whole"/> and texts.</summary>
    public object? Default { get; init; }

    /// <summary>What is done where it is not given and has no value then: <c>all</c>, <c>any</c>.</summary>
    public string WithoutIt { get; init; } = "none";

    /// <summary>A value as in JSON, for documentation and tests. Needed where the parameter is.</summary>
    public string? Example { get; init; }

    /// <summary>A number is at least this; a list or mapping has at least so many values.</summary>
    public double? Least { get; init; }

    /// <summary>A number is above this.</summary>
    public double? Above { get; init; }

    /// <summary>A number is at most this; a list or mapping has at most so many values.</summary>
    public double? Most { get; init; }

    /// <summary>What a text must look like; the node asks, as a runbook may still have a label's place in it.</summary>
    internal Func<string, bool>? Form { get; init; }

    /// <summary>The end of "It must be …", for a text of another form.</summary>
    internal string FormWords { get; init; } = "";

    /// <summary>What a value must be, in words.</summary>
    public string Words => Kind switch
    {
        ParameterKind.Text => "a text (quote what looks like a number)",
        ParameterKind.Age => "an age: a whole number with its unit, like 30m, 12h or 7d",
        ParameterKind.Whole => $"a whole number{Within}",
        ParameterKind.Number => $"a number{Within}",
        ParameterKind.Truth => "true or false",
        ParameterKind.Texts => $"a list of texts{Counts}",
        ParameterKind.TextMap => $"a mapping of texts{Counts}",
        _ => throw new InvalidOperationException($"Unknown kind {Kind}."),
    };

    /// <summary>Such as <c>above 1 and at most 10</c>; null where any number will do.</summary>
    public string? Bounds => (Least, Above, Most) switch
    {
        ({ } least, _, { } most) => string.Create(CultureInfo.InvariantCulture, $"{least} to {most}"),
        (_, { } above, { } most) => string.Create(CultureInfo.InvariantCulture, $"above {above} and at most {most}"),
        ({ } least, _, _) => string.Create(CultureInfo.InvariantCulture, $"at least {least}"),
        (_, { } above, _) => string.Create(CultureInfo.InvariantCulture, $"above {above}"),
        (_, _, { } most) => string.Create(CultureInfo.InvariantCulture, $"at most {most}"),
        _ => null,
    };

    string Within => Bounds is { } bounds ? $", {bounds}" : "";

    string Counts => Bounds is { } bounds ? $", {bounds} of them" : "";

    /// <summary>Whether a number lies within the bounds.</summary>
    public bool Allows(double number) => !(number < Least) && !(number <= Above) && !(number > Most) && double.IsFinite(number);

    /// <summary>Whether a text is a whole number with its unit, like <c>7d</c>.</summary>
    public static bool IsAge(string text) => Age.Parse(text) is not null;

    /// <summary>Null, with the reason, where it is no value for this parameter.</summary>
    internal object? Read(JsonElement value, out string? refusal)
    {
        var read = Value(value);
        refusal = read is null ? $"{Name} must be {Words}." : Fault(read);
        return refusal is null ? read : null;
    }

    object? Value(JsonElement value) => Kind switch
    {
        ParameterKind.Text or ParameterKind.Age => String(value),
        ParameterKind.Whole => value.ValueKind is JsonValueKind.Number && value.TryGetInt64(out var whole) ? whole : null,
        ParameterKind.Number => value.ValueKind is JsonValueKind.Number && value.TryGetDouble(out var number) ? number : null,
        ParameterKind.Truth => value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null,
        ParameterKind.Texts => List(value),
        ParameterKind.TextMap => Map(value),
        _ => throw new InvalidOperationException($"Unknown kind {Kind}."),
    };

    string? Fault(object value) => value switch
    {
        string age when Kind is ParameterKind.Age && Age.Parse(age) is null => Age.Refusal(Name, age),
        string text => FormFault([text]),
        long whole when !Allows(whole) => $"{Name} must be {Words}.",
        double number when !Allows(number) => $"{Name} must be {Words}.",
        IReadOnlyList<string> list => CountFault(list.Count) ?? FormFault(list),
        IReadOnlyDictionary<string, string> map => CountFault(map.Count) ?? FormFault(map.Keys),
        _ => null,
    };

    string? CountFault(int count) => Allows(count) ? null : $"{Name} has {count} values, and must have {Bounds}.";

    string? FormFault(IEnumerable<string> texts) => Form is { } form && texts.FirstOrDefault(t => !form(t)) is { } bad
        ? $"{Name} \"{Files.FileName.Escape(System.Text.Encoding.UTF8.GetBytes(bad))}\" must be {FormWords}." : null;

    static string? String(JsonElement value) => value.ValueKind is JsonValueKind.String ? value.GetString() : null;

    static List<string>? List(JsonElement value) =>
        value.ValueKind is JsonValueKind.Array && value.EnumerateArray().All(v => String(v) is not null)
            ? [.. value.EnumerateArray().Select(v => v.GetString()!)] : null;

    static Dictionary<string, string>? Map(JsonElement value)
    {
        if (value.ValueKind is not JsonValueKind.Object || value.EnumerateObject().Any(p => String(p.Value) is null))
            return null;
        var map = new Dictionary<string, string>();
        return value.EnumerateObject().All(p => map.TryAdd(p.Name, p.Value.GetString()!)) ? map : null;
    }
}
