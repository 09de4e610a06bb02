using System.Text;

using Whistle.Telemetry;

namespace Whistle.PromQL;

static class LabelFunctions
{
    /// <summary>label_replace(v, destination, replacement, source, regex); the regex is anchored at both ends.</summary>
    public static RelabelNode Replace(CallExpr call, Planner planner)
    {
        var (destination, replacement) = (Planner.Text(call.Arguments[1]), Planner.Text(call.Arguments[2]));
        var source = Planner.Text(call.Arguments[3]);
        RequireName(call, destination);
        var regex = Compile(Planner.Text(call.Arguments[4]));
        return new RelabelNode(planner.Vector(call.Arguments[0]), labels =>
        {
            var match = regex.Match(labels[source]);
            return match is null ? labels : planner.Budget.Make(labels.With(destination, Bounded(call, Expand(replacement, match))));
        }, planner.Uniqueness);
    }

    /// <summary>label_join(v, destination, separator, source…).</summary>
    public static RelabelNode Join(CallExpr call, Planner planner)
    {
        var (destination, separator) = (Planner.Text(call.Arguments[1]), Planner.Text(call.Arguments[2]));
        var sources = call.Arguments.Skip(3).Select(Planner.Text).ToArray();
        foreach (var name in sources.Append(destination))
            RequireName(call, name);
        return new RelabelNode(planner.Vector(call.Arguments[0]), labels =>
            planner.Budget.Make(labels.With(destination, Bounded(call, string.Join(separator, sources.Select(s => labels[s]))))), planner.Uniqueness);
    }

    // Nested calls can double a value each time.
    static string Bounded(CallExpr call, string value) => value.Length <= Budget.LongestLabel
        ? value : throw PromQLException.Execution($"{call.Name} makes a label value of {value.Length} characters, more than {Budget.LongestLabel}");

    static void RequireName(CallExpr call, string name)
    {
        if (name.Length == 0)
            throw PromQLException.Execution($"a label name given to {call.Name} is empty");
    }

    static GoRegex Compile(string pattern)
    {
        try
        {
            return new GoRegex(pattern);
        }
        catch (ArgumentException e)
        {
            throw PromQLException.Execution($"in label_replace: {e.Message}");
        }
    }

    /// <summary>Go's templates: $1, $name, ${name}, $$. What names no group is empty; a lone $ stays.</summary>
    static string Expand(string template, GoMatch match)
    {
        var text = new StringBuilder();
        var rest = template.AsSpan();
        while (rest.IndexOf('$') is var at and >= 0)
        {
            text.Append(rest[..at]);
            rest = rest[(at + 1)..];
            if (rest.StartsWith("$"))
            {
                text.Append('$');
                rest = rest[1..];
            }
            else if (GroupName(rest, out var length) is { } name)
            {
                text.Append(match[name]);
                rest = rest[length..];
            }
            else
            {
                text.Append('$');
            }
        }

        return text.Append(rest).ToString();
    }

    static string? GroupName(ReadOnlySpan<char> text, out int length)
    {
        var braced = text.StartsWith("{");
        var name = braced ? text[1..] : text;
        var end = 0;
        while (end < name.Length && (char.IsLetterOrDigit(name[end]) || name[end] == '_'))
            end++;
        length = braced ? end + 2 : end;
        return end == 0 || (braced && (end == name.Length || name[end] != '}')) ? null : name[..end].ToString();
    }
}
