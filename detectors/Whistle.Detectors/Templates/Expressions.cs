using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <summary>
/// What has a value: a text, a long, a double, a bool, null, <see cref="Labels"/>, a sample or a list of them, a map, an instant, or the
/// template's data. A value of the wrong kind is a <see cref="FormatException"/>.
/// </summary>
/// <param name="Depth">How deeply <see cref="Evaluate"/> recurses.</param>
abstract record Expression(int Depth)
{
    public abstract object? Evaluate(Scope scope);
}

sealed record Literal(object? Value) : Expression(1)
{
    public override object? Evaluate(Scope scope) => Value;
}

sealed record DotExpression() : Expression(1)
{
    public override object? Evaluate(Scope scope) => scope.Dot;
}

sealed record VariableExpression(string Name) : Expression(1)
{
    public override object? Evaluate(Scope scope) => scope[Name];
}

sealed record FieldExpression(Expression Of, string Name) : Expression(Of.Depth + 1)
{
    public override object? Evaluate(Scope scope) => (Of.Evaluate(scope), Name) switch
    {
        (Labels labels, _) => labels[Name],
        (IReadOnlyDictionary<string, object?> map, _) => map.GetValueOrDefault(Name),
        (TemplateSample sample, "Labels") => sample.Labels,
        (TemplateSample sample, "Value") => sample.Value,
        (TemplateData data, "Labels") => data.Labels,
        (TemplateData data, "Value") => data.Value,
        (TemplateData, "ExternalLabels") => Labels.Empty,
        (TemplateData, "ExternalURL") => "",
        (var value, _) => throw new FormatException($"{TemplateValue.TypeName(value)} has no field {Name}"),
    };
}

/// <summary>Of several values.</summary>
abstract record CompoundExpression(IReadOnlyList<Expression> Arguments)
    : Expression(1 + Arguments.Select(a => a.Depth).DefaultIfEmpty().Max());

sealed record CallExpression(Func<TemplateData, object?[], object?> Function, IReadOnlyList<Expression> Arguments)
    : CompoundExpression(Arguments)
{
    public override object? Evaluate(Scope scope)
    {
        object?[] arguments = [.. Arguments.Select(a => a.Evaluate(scope))];
        var value = Function(scope.Data, arguments);
        scope.Call(arguments, value);
        return value;
    }
}

/// <summary>
/// <c>and</c> is its first argument that is empty, <c>or</c> the first that is not, else the last; what follows is not evaluated.
/// </summary>
sealed record LogicExpression(bool IsAnd, IReadOnlyList<Expression> Arguments) : CompoundExpression(Arguments)
{
    public override object? Evaluate(Scope scope)
    {
        object? value = null;
        foreach (var argument in Arguments)
        {
            value = argument.Evaluate(scope);
            if (TemplateValue.IsTrue(value) != IsAnd)
                break;
        }

        return value;
    }
}
