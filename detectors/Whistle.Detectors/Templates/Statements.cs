using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>What stands in a template's text.</summary>
abstract record Statement
{
    public abstract Flow Run(Scope scope);
}

sealed record TextStatement(string Text) : Statement
{
    public override Flow Run(Scope scope)
    {
        scope.Text.Append(Text);
        return Flow.Next;
    }
}

sealed record PrintStatement(Expression Value) : Statement
{
    public override Flow Run(Scope scope)
    {
        scope.Text.Append(TemplateValue.Text(Value.Evaluate(scope)));
        return Flow.Next;
    }
}

sealed record SetStatement(string Variable, bool Declares, Expression Value) : Statement
{
    public override Flow Run(Scope scope)
    {
        var value = Value.Evaluate(scope);
        if (Declares)
            scope.Declare(Variable, value);
        else
            scope[Variable] = value;
        return Flow.Next;
    }
}

sealed record JumpStatement(Flow To) : Statement
{
    public override Flow Run(Scope scope) => To;
}

sealed record BlockStatement(IReadOnlyList<Statement> Statements) : Statement
{
    public static readonly BlockStatement Empty = new([]);

    public override Flow Run(Scope scope)
    {
        foreach (var statement in Statements)
        {
            scope.Step();
            if (statement.Run(scope) is var flow and not Flow.Next)
                return flow;
        }

        return Flow.Next;
    }
}

/// <summary><c>if</c>, and <c>with</c>, within which the dot is the subject.</summary>
sealed record IfStatement(bool IsWith, string? Variable, Expression Subject, Statement Then, Statement Else) : Statement
{
    public override Flow Run(Scope scope)
    {
        var (count, dot) = (scope.VariableCount, scope.Dot);
        var subject = Subject.Evaluate(scope);
        if (Variable is not null)
            scope.Declare(Variable, subject);
        var holds = TemplateValue.IsTrue(subject);
        if (holds && IsWith)
            scope.Dot = subject;
        var flow = (holds ? Then : Else).Run(scope);
        scope.Dot = dot;
        scope.Forget(count);
        return flow;
    }
}

/// <summary>Goes over samples, the values of a map by their keys, or the numbers below one.</summary>
sealed record RangeStatement(string? Key, string? Item, Expression Subject, Statement Body, Statement Else) : Statement
{
    public override Flow Run(Scope scope)
    {
        var (count, dot) = (scope.VariableCount, scope.Dot);
        var any = false;
        foreach (var (key, item) in Items(Subject.Evaluate(scope)))
        {
            any = true;
            scope.Step();
            scope.Dot = item;
            if (Key is not null)
                scope.Declare(Key, key);
            if (Item is not null)
                scope.Declare(Item, item);
            var flow = Body.Run(scope);
            scope.Forget(count);
            if (flow is Flow.Break)
                break;
        }

        scope.Dot = dot;
        var left = any ? Flow.Next : Else.Run(scope);
        scope.Forget(count);
        return left;
    }

    static IEnumerable<(object? Key, object? Item)> Items(object? value) => value switch
    {
        null => [],
        IReadOnlyList<TemplateSample> samples => samples.Select((s, i) => ((object?)(long)i, (object?)s)),
        Labels labels => labels.OrderBy(l => l.Name, StringComparer.Ordinal).Select(l => ((object?)l.Name, (object?)l.Value)),
        IReadOnlyDictionary<string, object?> map => map.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => ((object?)p.Key, p.Value)),
        long number => Numbers(number),
        _ => throw new FormatException($"range cannot go over {TemplateValue.Text(value)}"),
    };

    static IEnumerable<(object? Key, object? Item)> Numbers(long end)
    {
        for (var i = 0L; i < end; i++)
            yield return (i, i);
    }
}
