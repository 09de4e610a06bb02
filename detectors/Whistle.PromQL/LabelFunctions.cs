using System.Text;
using System.Text.RegularExpressions;

using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>Changes label sets, never values.</summary>
sealed class RelabelNode(VectorNode operand, Func<Labels, Labels> relabel) : VectorNode
{
    readonly LabelMemo _labels = new(relabel);
    readonly List<VectorSample> _result = [];

    public override List<VectorSample> At(long time)
    {
        _result.Clear();
        foreach (var (labels, value) in operand.At(time))
        {
            _result.Add(new VectorSample(_labels[labels], value));
            // Over the whole range, not only within a step: so Prometheus 3.5 refuses it (later ones merge the series).
            if (_labels.HasCollisions)
                throw Duplicate(_labels[labels]);
        }

        return _result;
    }
}

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
            return match.Success ? labels.With(destination, Expand(replacement, match)) : labels;
        });
    }

    /// <summary>label_join(v, destination, separator, source…).</summary>
    public static RelabelNode Join(CallExpr call, Planner planner)
    {
        var (destination, separator) = (Planner.Text(call.Arguments[1]), Planner.Text(call.Arguments[2]));
        var sources = call.Arguments.Skip(3).Select(Planner.Text).ToArray();
        foreach (var name in sources.Append(destination))
            RequireName(call, name);
        return new RelabelNode(planner.Vector(call.Arguments[0]), labels =>
            labels.With(destination, string.Join(separator, sources.Select(s => labels[s]))));
    }

    static void RequireName(CallExpr call, string name)
    {
        if (name.Length == 0)
            throw PromQLException.Execution($"a label name given to {call.Name} is empty");
    }

    static Regex Compile(string pattern)
    {
        try
        {
            return new Regex($@"\A(?:{pattern})\z", RegexOptions.NonBacktracking | RegexOptions.Singleline | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw PromQLException.Execution($"bad regular expression in label_replace: {e.Message}");
        }
    }

    /// <summary>Go's templates: $1, $name, ${name}, $$. What names no group is empty; a lone $ stays.</summary>
    static string Expand(string template, Match match)
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
                text.Append(match.Groups[name].Value);
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
