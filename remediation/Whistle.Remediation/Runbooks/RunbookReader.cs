using System.Globalization;
using System.Text.RegularExpressions;

using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Remediation.Runbooks;

/// <summary>Reads one runbook. Goes on after an error, so that one pass reports them all with their positions.</summary>
sealed partial class RunbookReader(string file, string text, string hash, List<RunbookError> errors)
{
    static readonly string[] Scopes = ["node", "cluster", "tenant", "fleet"];

    /// <summary>Null where an error was added.</summary>
    public Runbook? Read()
    {
        var before = errors.Count;
        var runbook = ReadStream();
        return errors.Count > before ? null : runbook;
    }

    Runbook? ReadStream()
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            if (stream.Documents.Count == 1)
                return ReadRunbook(stream.Documents[0].RootNode);
            errors.Add(new(file, 1, 1, $"a runbook file has one document, this one has {stream.Documents.Count}"));
            return null;
        }
        catch (YamlException e)
        {
            errors.Add(new(file, Math.Max(e.Start.Line, 1), Math.Max(e.Start.Column, 1), $"not valid YAML: {e.Message}"));
            return null;
        }
    }

    Runbook? ReadRunbook(YamlNode root)
    {
        if (Mapping(root, "a runbook", "name", "summary", "answers", "mode", "gates", "steps", "verify", "page", "ticket", "ladder") is not { } fields)
            return null;
        var name = Required(root, fields, "name", "a runbook");
        if (name is not null && !NamePattern().IsMatch(name))
            Fail(fields["name"], $"\"{name}\" is not a name; use lower-case letters, digits and dashes");
        var summary = Required(root, fields, "summary", "a runbook");
        var answers = List(root, fields, "answers", "a runbook").Select(ReadAnswer).OfType<AnsweredSignal>().ToList();
        var steps = ReadSteps(List(root, fields, "steps", "a runbook"));
        var verify = ReadVerification(root, fields);
        CheckLadder(fields);
        var runbook = new Runbook
        {
            Name = name ?? "",
            Summary = summary ?? "",
            File = file,
            Text = text,
            Hash = hash,
            Mode = ReadMode(fields),
            Answers = answers,
            Gates = ReadGates(fields),
            Steps = steps,
            Verify = verify,
            PageAttaches = Attached(fields, "page", steps),
            TicketAttaches = Attached(fields, "ticket", steps),
        };
        return runbook;
    }

    AnsweredSignal? ReadAnswer(YamlNode node)
    {
        if (Mapping(node, "an answered signal", "signal", "labels") is not { } fields)
            return null;
        var matchers = new List<LabelMatcher>();
        if (fields.TryGetValue("labels", out var labels) && AsMapping(labels, "labels") is { } mapping)
        {
            foreach (var (label, value) in mapping.Children)
                Matcher(label, value, matchers);
        }

        return Required(node, fields, "signal", "an answered signal") is { } signal ? new(signal, matchers) : null;
    }

    void Matcher(YamlNode label, YamlNode value, List<LabelMatcher> matchers)
    {
        if (label is not YamlScalarNode { Value: { } name } || value is not YamlScalarNode { Value: { } pattern })
        {
            Fail(value, "a label's value is a regular expression that must match it whole");
            return;
        }

        try
        {
            matchers.Add(new(name, MatchOperator.Matches, pattern));
        }
        catch (ArgumentException e)
        {
            Fail(value, e.Message);
        }
    }

    RunbookMode ReadMode(Dictionary<string, YamlNode> fields)
    {
        if (!fields.TryGetValue("mode", out var node))
            return RunbookMode.Observe;
        // YAML 1.1 writers may give a bare off as false.
        if (node is YamlScalarNode { Value: { } value } && Enum.GetValues<RunbookMode>().FirstOrDefault(m => Is(m, value), (RunbookMode)(-1)) is >= 0 and var mode)
            return mode;
        Fail(node, $"mode: \"{node}\" is not a mode; it is off, observe, approve or automatic");
        return RunbookMode.Observe;
    }

    static bool Is(RunbookMode mode, string text) => string.Equals(mode.ToString(), text, StringComparison.OrdinalIgnoreCase);

    GateNumbers ReadGates(Dictionary<string, YamlNode> fields)
    {
        var numbers = new GateNumbers();
        if (!fields.TryGetValue("gates", out var node)
            || Mapping(node, "gates", "sustained", "freshness", "maxConcurrent", "coolDown", "attempts", "backOff") is not { } gates)
            return numbers;
        return numbers with
        {
            Sustained = Duration(gates, "sustained") ?? numbers.Sustained,
            Freshness = Duration(gates, "freshness") ?? numbers.Freshness,
            CoolDown = Duration(gates, "coolDown") ?? numbers.CoolDown,
            Attempts = Number(gates, "attempts", 1, 10) ?? numbers.Attempts,
            BackOff = Number(gates, "backOff", 1, 10) ?? numbers.BackOff,
            MaxConcurrent = Concurrency(gates, numbers.MaxConcurrent),
        };
    }

    IReadOnlyDictionary<string, int> Concurrency(Dictionary<string, YamlNode> gates, IReadOnlyDictionary<string, int> defaults)
    {
        if (!gates.TryGetValue("maxConcurrent", out var node) || Mapping(node, "maxConcurrent", Scopes) is not { } fields)
            return defaults;
        var numbers = defaults.ToDictionary();
        foreach (var scope in fields.Keys)
            numbers[scope] = Number(fields, scope, 1, 100_000) ?? 1;
        return numbers;
    }

    List<RunbookStep> ReadSteps(IReadOnlyList<YamlNode> nodes)
    {
        var steps = new List<RunbookStep>();
        foreach (var node in nodes)
        {
            if (ReadStep(node) is not { } step)
                continue;
            if (steps.Exists(s => s.Name == step.Name))
                Fail(node, $"the step name \"{step.Name}\" is used twice; give one another name");
            steps.Add(step);
        }

        return steps;
    }

    RunbookStep? ReadStep(YamlNode node)
    {
        if (Mapping(node, "a step", "name", "action", "parameters", "timeout", "dryRun", "onFailure") is not { } fields)
            return null;
        var name = Required(node, fields, "name", "a step");
        var action = Required(node, fields, "action", "a step");
        if (action is not null && ActionCatalogue.Find(action) is null)
            Fail(fields["action"], $"unknown action \"{action}\"; known are {string.Join(", ", ActionCatalogue.Names)}");
        var parameters = fields.TryGetValue("parameters", out var given) && AsMapping(given, "parameters") is { } mapping ? Tree(mapping) : [];
        var timeout = Duration(fields, "timeout") ?? TimeSpan.FromMinutes(5);
        if (timeout < TimeSpan.FromSeconds(1) || timeout > TimeSpan.FromHours(1))
            Fail(fields["timeout"], "timeout: a step takes from 1s to 1h");
        var goesOn = Choice(fields, "onFailure", "stop", "stop", "continue") == "continue";
        var dryRun = Choice(fields, "dryRun", "false", "false", "true") == "true";
        return name is null || action is null ? null : new(name, action, parameters, timeout, dryRun, goesOn);
    }

    Dictionary<string, object?> Tree(YamlMappingNode mapping)
    {
        var tree = new Dictionary<string, object?>();
        foreach (var (key, value) in mapping.Children)
        {
            if (key is YamlScalarNode { Value: { Length: > 0 } name })
                tree[name] = Leaf(value);
            else
                Fail(key, "a parameter's name must be a text");
        }

        return tree;
    }

    object? Leaf(YamlNode node) => node switch
    {
        YamlMappingNode mapping => Tree(mapping),
        YamlSequenceNode sequence => sequence.Children.Select(Leaf).ToList(),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" } => true,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "false" } => false,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } number } when long.TryParse(number, CultureInfo.InvariantCulture, out var whole) => whole,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: { } number } when double.TryParse(number, CultureInfo.InvariantCulture, out var real) => real,
        YamlScalarNode { Value: { } value } => CheckPlaces(node, value),
        _ => null,
    };

    string CheckPlaces(YamlNode node, string value)
    {
        if (Rendering.Place().Count(value) != value.Split("${").Length - 1)
            Fail(node, $"\"{value}\": write a label of the signal as ${{label}}");
        return value;
    }

    Verification ReadVerification(YamlNode root, Dictionary<string, YamlNode> fields)
    {
        var verify = new Verification(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2), null);
        if (!fields.TryGetValue("verify", out var node))
        {
            Fail(root, "a runbook needs verify: an action's own success proves nothing");
            return verify;
        }

        if (Mapping(node, "verify", "within", "for", "expr") is not { } given)
            return verify;
        return new(Duration(given, "within") ?? verify.Within, Duration(given, "for") ?? verify.For, Expression(given));
    }

    string? Expression(Dictionary<string, YamlNode> fields)
    {
        if (!fields.TryGetValue("expr", out var node))
            return null;
        if (node is not YamlScalarNode { Value: { Length: > 0 } expression })
        {
            Fail(node, "expr must be a text that is not empty");
            return null;
        }

        try
        {
            PromQL.Parser.Parse(expression);
        }
        catch (PromQLException e)
        {
            Fail(node, $"expr: {e.Message}");
        }

        return expression;
    }

    List<string> Attached(Dictionary<string, YamlNode> fields, string key, List<RunbookStep> steps)
    {
        var names = new List<string>();
        if (!fields.TryGetValue(key, out var node) || Mapping(node, key, "attach") is not { } given)
            return names;
        foreach (var item in List(node, given, "attach", key))
        {
            if (item is YamlScalarNode { Value: { } name } && steps.Exists(s => s.Name == name))
                names.Add(name);
            else
                Fail(item, $"{key}: there is no step \"{item}\" whose output could be attached");
        }

        return names;
    }

    void CheckLadder(Dictionary<string, YamlNode> fields)
    {
        if (!fields.TryGetValue("ladder", out var node))
            return;
        if (node is not YamlSequenceNode { Children: [YamlScalarNode { Value: "escalate" }] })
            Fail(node, "ladder: [escalate] is the only rung so far");
    }

    Dictionary<string, YamlNode>? Mapping(YamlNode node, string what, params string[] known)
    {
        if (AsMapping(node, what, known) is not { } mapping)
            return null;
        var fields = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in mapping.Children)
        {
            if (key is YamlScalarNode { Value: { } name } && known.Contains(name))
                fields.Add(name, value);
            else
                Fail(key, $"unknown key \"{key}\" in {what}; known are {string.Join(", ", known)}");
        }

        return fields;
    }

    YamlMappingNode? AsMapping(YamlNode node, string what, params string[] known)
    {
        if (node is YamlMappingNode mapping)
            return mapping;
        Fail(node, known.Length > 0 ? $"{what} must be a mapping with the keys {string.Join(", ", known)}" : $"{what} must be a mapping");
        return null;
    }

    IReadOnlyList<YamlNode> List(YamlNode parent, Dictionary<string, YamlNode> fields, string key, string what)
    {
        if (fields.TryGetValue(key, out var node) && node is YamlSequenceNode { Children: { Count: > 0 } children })
            return [.. children];
        Fail(node ?? parent, $"{what} needs {key}, a list that is not empty");
        return [];
    }

    string? Required(YamlNode parent, Dictionary<string, YamlNode> fields, string key, string what)
    {
        if (fields.TryGetValue(key, out var node) && node is YamlScalarNode { Value: { Length: > 0 } value })
            return value;
        Fail(node ?? parent, node is null ? $"{what} needs {key}" : $"{key} must be a text that is not empty");
        return null;
    }

    TimeSpan? Duration(Dictionary<string, YamlNode> fields, string key)
    {
        if (!fields.TryGetValue(key, out var node))
            return null;
        if (node is YamlScalarNode { Value: "0" })
            return TimeSpan.Zero;
        if (node is YamlScalarNode { Value: { } value } && Durations.TryParse(value, out var milliseconds))
            return TimeSpan.FromMilliseconds(milliseconds);
        Fail(node, $"{key}: \"{node}\" is not a duration; write it like 30s, 5m or 1h30m");
        return null;
    }

    int? Number(Dictionary<string, YamlNode> fields, string key, int least, int most)
    {
        if (!fields.TryGetValue(key, out var node))
            return null;
        if (node is YamlScalarNode { Value: { } value } && int.TryParse(value, out var number) && number >= least && number <= most)
            return number;
        Fail(node, $"{key}: \"{node}\" is not a whole number from {least} to {most}");
        return null;
    }

    string Choice(Dictionary<string, YamlNode> fields, string key, string usual, params string[] known)
    {
        if (!fields.TryGetValue(key, out var node))
            return usual;
        if (node is YamlScalarNode { Value: { } value } && known.Contains(value))
            return value;
        Fail(node, $"{key}: \"{node}\" is not one of {string.Join(", ", known)}");
        return usual;
    }

    void Fail(YamlNode node, string reason) => errors.Add(new(file, node.Start.Line, node.Start.Column, reason));

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9-]*[a-z0-9])?\z")]
    private static partial Regex NamePattern();
}
