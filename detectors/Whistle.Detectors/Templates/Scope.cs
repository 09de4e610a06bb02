using System.Text;

namespace Whistle.Detectors.Templates;

/// <summary>A rendering under way: what the dot is, the variables, the text so far.</summary>
sealed class Scope(TemplateData data)
{
    // A template in a rule is some lines; what takes this long is a loop that nobody meant.
    const int MostSteps = 100_000;

    // What all calls read and make, for what is kept in variables is not in the text.
    const long MostCharacters = 10 * TemplateValue.LongestText;

    readonly List<(string Name, object? Value)> _variables =
        [("$", data), ("$labels", data.Labels), ("$externalLabels", Telemetry.Labels.Empty), ("$externalURL", ""), ("$value", data.Value)];

    int _steps;
    long _characters;

    public TemplateData Data => data;

    public object? Dot { get; set; } = data;

    public StringBuilder Text { get; } = new();

    public int VariableCount => _variables.Count;

    public object? this[string variable]
    {
        get => _variables[Find(variable)].Value;
        set => _variables[Find(variable)] = (variable, value);
    }

    public void Declare(string variable, object? value) => _variables.Add((variable, value));

    /// <summary>Ends the variables declared since there were so many.</summary>
    public void Forget(int count) => _variables.RemoveRange(count, _variables.Count - count);

    public void Step()
    {
        if (++_steps > MostSteps || _characters > MostCharacters || Text.Length > TemplateValue.LongestText)
            throw new FormatException("it takes too long: shorten its loops");
    }

    public void Call(object?[] arguments, object? value)
    {
        _characters += arguments.Append(value).Sum(v => (v as string)?.Length ?? 0);
        Step();
    }

    int Find(string variable)
    {
        var at = _variables.FindLastIndex(v => v.Name == variable);
        return at >= 0 ? at : throw new FormatException($"undefined variable \"{variable}\"");
    }
}
