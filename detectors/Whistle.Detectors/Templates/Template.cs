using System.Text;

using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <summary>A template does not parse; <paramref name="offset"/> counts characters from the template's start.</summary>
sealed class TemplateException(int offset, string message) : Exception(message)
{
    public int Offset => offset;
}

/// <summary>What a template may read: the element's labels and its value, and within <c>with</c> what that is about.</summary>
readonly record struct TemplateData(Labels Labels, double Value, object? Dot = null);

/// <summary>
/// The part of Go's template language that rule files commonly use: text with <c>{{ pipeline }}</c>, where a pipeline is
/// made of <c>$labels.x</c>, <c>$value</c>, literals, parentheses and functions, and <c>{{ with pipeline }}</c> to <c>{{ end }}</c>. Other control
/// actions are refused at load.
/// Parsed once, rendered at each evaluation.
/// </summary>
sealed class Template
{
    readonly List<Node> _nodes;

    Template(List<Node> nodes)
    {
        _nodes = nodes;
        ReadsValue = nodes.Exists(Reads);
    }

    /// <summary>The text depends on more than the labels.</summary>
    public bool ReadsValue { get; }

    /// <exception cref="TemplateException">The template does not parse or names an unknown function.</exception>
    public static Template Parse(string text) => new(new TemplateParser(text).Parse());

    /// <summary>Never throws: what cannot be rendered becomes an explanation in the text, as a broken annotation must not cost an alert.</summary>
    public string Render(TemplateData data)
    {
        var text = new StringBuilder();
        foreach (var node in _nodes)
        {
            try
            {
                text.Append(TemplateFunctions.Text(node.Evaluate(data)));
            }
            catch (FormatException e)
            {
                text.Append("<error: ").Append(e.Message).Append('>');
            }
        }

        return text.ToString();
    }

    static bool Reads(Node node) => node switch
    {
        ValueNode => true,
        CallNode call => call.Arguments.Any(Reads),
        WithNode with => Reads(with.Subject) || with.Body.Any(Reads),
        _ => false,
    };
}

/// <summary>A part of a template. Values are strings, doubles or <see cref="Labels"/>.</summary>
abstract record Node
{
    public abstract object Evaluate(TemplateData data);
}

sealed record Literal(object Value) : Node
{
    public override object Evaluate(TemplateData data) => Value;
}

sealed record LabelNode(string? Name) : Node
{
    public override object Evaluate(TemplateData data) => Name is null ? data.Labels : data.Labels[Name];
}

sealed record ValueNode : Node
{
    public override object Evaluate(TemplateData data) => data.Value;
}

sealed record CallNode(Func<object[], object> Function, IReadOnlyList<Node> Arguments) : Node
{
    public override object Evaluate(TemplateData data) => Function([.. Arguments.Select(a => a.Evaluate(data))]);
}

/// <summary>What the innermost <c>with</c> around it is about.</summary>
sealed record DotNode : Node
{
    public override object Evaluate(TemplateData data) => data.Dot!;
}

/// <summary>The body, if its subject is not empty in Go's sense.</summary>
sealed record WithNode(Node Subject, IReadOnlyList<Node> Body) : Node
{
    public override object Evaluate(TemplateData data)
    {
        var dot = Subject.Evaluate(data);
        return dot is "" or 0.0 or Labels { Count: 0 }
            ? ""
            : string.Concat(Body.Select(n => TemplateFunctions.Text(n.Evaluate(data with { Dot = dot }))));
    }
}
