using System.Globalization;

using Whistle.Actions.Contract;
using Whistle.Detectors.Yaml;
using Whistle.PromQL;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Remediation.Runbooks;

/// <summary>Reads the steps of a runbook, and how each is taken back.</summary>
sealed class StepReader(YamlReader yaml)
{
    internal const int Most = 50;

    public List<RunbookStep> Steps(YamlFields fields)
    {
        var steps = new List<RunbookStep>();
        foreach (var node in fields.RequiredItems("steps"))
        {
            if (Step(node) is not { } step)
                continue;
            if (steps.Exists(s => s.Name == step.Name))
                yaml.Fail(node, $"the step name \"{step.Name}\" is used twice; give one another name");
            steps.Add(step);
        }

        if (steps.Count > Most)
            fields.Fail("steps", $"steps: {steps.Count} are more than {Most}; split the runbook with a ladder");
        return steps;
    }

    /// <summary>A text whose places name labels or parameters, and nothing else.</summary>
    public string Places(YamlNode node, string value, bool undo = false)
    {
        var places = Rendering.Place().Matches(value);
        if (places.Count != value.Split("${").Length - 1)
            yaml.Fail(node, $"\"{value}\": write a label of the signal as ${{label}}; nothing else can be reached from a runbook");
        else if (!undo && places.Any(p => p.Groups[1].Value.StartsWith(Rendering.Output, StringComparison.Ordinal)))
            yaml.Fail(node, $"\"{value}\": a step's report can only be named in its own rollback");
        return value;
    }

    public string? Expression(YamlFields fields, string key)
    {
        if (fields.Text(key) is not { } expression)
            return null;
        try
        {
            PromQL.Parser.Parse(expression);
        }
        catch (PromQLException e)
        {
            fields.Fail(key, $"{key}: {e.Message}");
        }

        return Places(fields.Find(key)!, expression);
    }

    RunbookStep? Step(YamlNode node)
    {
        if (yaml.Mapping(node, "a step", RunbookKeys.Step) is not { } fields)
            return null;
        var name = fields.Required("name");
        var given = RunbookKeys.StepKinds.Where(k => fields.Find(k) is not null).ToList();
        if (given.Count != 1)
        {
            yaml.Fail(node, $"a step is one of {string.Join(", ", RunbookKeys.StepKinds)}; "
                + $"this one is {(given.Count == 0 ? "none" : string.Join(" and ", given))}");
            return null;
        }

        var step = given[0] is "action" ? Action(fields, name ?? "", undo: false) : Other(fields, name ?? "", given[0]);
        return name is null ? null : step;
    }

    RunbookStep? Action(YamlFields fields, string name, bool undo)
    {
        var action = fields.Required("action");
        var known = action is null ? null : ActionCatalogue.Find(action);
        if (action is not null && known is null)
            fields.Fail("action", $"unknown action \"{action}\"; known are {string.Join(", ", ActionCatalogue.Names)}");
        var parameters = Tree(fields.Pairs("parameters"), undo);
        if (known is not null)
            Check(fields, known, parameters, undo);
        var timeout = Timeout(fields, known?.TimeLimit ?? ActionDescriptor.DefaultTimeLimit, TimeSpan.FromHours(1));
        if (undo)
            return action is null ? null : new(name, action, parameters, timeout, false, false) { Proof = Expression(fields, "expr") };
        var goesOn = fields.Choice("onFailure", RunbookKeys.OnFailure) == "continue";
        var dryRun = fields.Choice("dryRun", "false", "true") == "true";
        var step = action is null ? null : new RunbookStep(name, action, parameters, timeout, dryRun, goesOn) { Undo = Undo(fields, name) };
        // Whoever cordons a node lets it go again, whatever happens.
        return step is { Action: ActionCatalogue.Cordon, Undo: null }
            ? step with
            {
                Undo = new(name, ActionCatalogue.Uncordon, new Dictionary<string, object?>(), TimeSpan.FromMinutes(2), false, false),
            } : step;
    }

    RunbookStep? Undo(YamlFields fields, string name) =>
        fields.Mapping("rollback", RunbookKeys.Rollback) is { } undo ? Action(undo, name, undo: true) : null;

    RunbookStep Other(YamlFields fields, string name, string kind)
    {
        foreach (var key in new[] { "parameters", "dryRun", "rollback" })
        {
            if (fields.Find(key) is not null)
                fields.Fail(key, $"{key}: only an action has it, not a {kind}");
        }

        var text = kind switch
        {
            "wait" => Expression(fields, kind) ?? "",
            "approval" => fields.Choice(kind, RunbookKeys.Approvers),
            _ => fields.Text(kind) is { } task ? Places(fields.Find(kind)!, task) : "",
        };
        // People take longer than machines.
        var people = kind is not "wait";
        var timeout = Timeout(
            fields, people ? TimeSpan.FromHours(24) : TimeSpan.FromMinutes(5), people ? TimeSpan.FromDays(7) : TimeSpan.FromHours(1));
        var goesOn = fields.Choice("onFailure", RunbookKeys.OnFailure) == "continue";
        if (kind is "approval" && goesOn)
            fields.Fail("onFailure", "onFailure: an approval that nobody gives cannot let the run continue");
        return new(name, "", new Dictionary<string, object?>(), timeout, false, goesOn)
        {
            Kind = kind switch { "wait" => StepKind.Wait, "task" => StepKind.Task, _ => StepKind.Approval },
            Text = text,
        };
    }

    static TimeSpan Timeout(YamlFields fields, TimeSpan usual, TimeSpan longest)
    {
        var timeout = fields.Duration("timeout") ?? usual;
        if (timeout < TimeSpan.FromSeconds(1) || timeout > longest)
            fields.Fail(
                "timeout",
                longest == TimeSpan.FromHours(1) ? "timeout: a step takes from 1s to 1h" : "timeout: a person has from 1s to 7d");
        return timeout;
    }

    static void Check(YamlFields fields, ActionDescriptor action, Dictionary<string, object?> given, bool undo)
    {
        foreach (var (name, value) in given)
        {
            if (action.Find(name) is not { } parameter)
                fields.Fail("parameters", $"{action.Name} has no parameter {name}; it takes "
                    + $"{(action.Parameters.Count == 0 ? "none" : string.Join(", ", action.Parameters.Select(p => p.Name)))}");
            else if (!Fits(value, parameter) && !(undo && IsOutput(value)))
                fields.Fail("parameters", $"{name} of {action.Name} must be {parameter.Words}");
        }

        foreach (var missing in action.Parameters.Where(p => p.Required && !given.ContainsKey(p.Name)))
            fields.Fail("parameters", $"{action.Name} needs the parameter {missing.Name}, {missing.Words}");
    }

    static bool IsOutput(object? value) => value is string text && text.StartsWith($"${{{Rendering.Output}", StringComparison.Ordinal);

    // What a text must look like is asked on the node, where it is whole.
    static bool Fits(object? value, ActionParameter parameter) => parameter.Kind switch
    {
        ParameterKind.Text => value is string,
        ParameterKind.Age => value is string text && (Rendering.Place().IsMatch(text) || ActionParameter.IsAge(text)),
        ParameterKind.Whole => value is long whole && parameter.Allows(whole),
        ParameterKind.Number => value is long or double && parameter.Allows(Convert.ToDouble(value, CultureInfo.InvariantCulture)),
        ParameterKind.Truth => value is bool,
        ParameterKind.Texts => value is IReadOnlyList<object?> list && list.All(i => i is string) && parameter.Allows(list.Count),
        ParameterKind.TextMap =>
            value is IReadOnlyDictionary<string, object?> map && map.Values.All(i => i is string) && parameter.Allows(map.Count),
        _ => throw new InvalidOperationException($"Unknown kind {parameter.Kind}."),
    };

    internal Dictionary<string, object?> Tree(IEnumerable<KeyValuePair<YamlNode, YamlNode>> pairs, bool undo)
    {
        var tree = new Dictionary<string, object?>();
        foreach (var (key, value) in pairs)
        {
            if (key is YamlScalarNode { Value: { Length: > 0 } name })
                tree[name] = Leaf(value, undo);
            else
                yaml.Fail(key, "a parameter's name must be a text");
        }

        return tree;
    }

    object? Leaf(YamlNode node, bool undo) => node switch
    {
        YamlMappingNode mapping => Tree(mapping.Children, undo),
        YamlSequenceNode sequence => sequence.Children.Select(n => Leaf(n, undo)).ToList(),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" } => true,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "false" } => false,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } number }
            when long.TryParse(number, CultureInfo.InvariantCulture, out var whole) => whole,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } number }
            when double.TryParse(number, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real) => real,
        YamlScalarNode { Value: { } value } => Places(node, value, undo),
        _ => null,
    };
}
