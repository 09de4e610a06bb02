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
            return match is null ? labels : planner.Budget.Make(labels.With(destination, Bounded(call, match.Expand(replacement))));
        }, planner.Uniqueness);
    }

    /// <summary>label_join(v, destination, separator, source…).</summary>
    public static RelabelNode Join(CallExpr call, Planner planner)
    {
        var (destination, separator) = (Planner.Text(call.Arguments[1]), Planner.Text(call.Arguments[2]));
        var sources = call.Arguments.Skip(3).Select(Planner.Text).ToArray();
        foreach (var name in sources.Append(destination))
            RequireName(call, name);
        return new RelabelNode(
            planner.Vector(call.Arguments[0]), labels =>
                planner.Budget.Make(labels.With(destination, Bounded(call, string.Join(separator, sources.Select(s => labels[s]))))),
            planner.Uniqueness);
    }

    // Nested calls can double a value each time.
    static string Bounded(CallExpr call, string value) => value.Length <= Budget.LongestLabel
        ? value
        : throw PromQLException.Execution($"{call.Name} makes a label value of {value.Length} characters, more than {Budget.LongestLabel}");

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
}
