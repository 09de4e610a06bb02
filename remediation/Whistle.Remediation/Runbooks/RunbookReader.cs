using System.Globalization;
using System.Text.RegularExpressions;

using Whistle.Detectors.Yaml;
using Whistle.PromQL;
using Whistle.Telemetry;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Remediation.Runbooks;

/// <summary>Reads one runbook. Goes on after an error, so that one pass reports them all with their positions.</summary>
sealed partial class RunbookReader(string file, string text, List<YamlError> errors)
{
    static readonly string[] Scopes = ["node", "cluster", "tenant", "fleet"];

    readonly YamlReader _yaml = new(file, text, errors);

    /// <summary>Null where an error was added.</summary>
    public Runbook? Read()
    {
        var before = errors.Count;
        var documents = _yaml.Documents();
        if (documents is { Count: not 1 })
            errors.Add(new(file, 1, 1, $"a runbook file has one document, this one has {documents.Count}"));
        var runbook = documents is [var root] ? ReadRunbook(root) : null;
        return errors.Count > before ? null : runbook;
    }

    Runbook? ReadRunbook(YamlNode root)
    {
        if (_yaml.Mapping(root, "a runbook", "name", "summary", "answers", "mode", "gates", "steps", "verify", "page", "ticket", "ladder") is not { } fields)
            return null;
        var name = fields.Required("name");
        if (name is not null && !NamePattern().IsMatch(name))
            fields.Fail("name", $"\"{name}\" is not a name; use lower-case letters, digits and dashes");
        var summary = fields.Required("summary");
        var answers = fields.RequiredItems("answers").Select(ReadAnswer).OfType<AnsweredSignal>().ToList();
        var steps = ReadSteps(fields.RequiredItems("steps"));
        var verify = ReadVerification(fields);
        CheckLadder(fields);
        var runbook = new Runbook
        {
            Name = name ?? "",
            Summary = summary ?? "",
            File = file,
            Text = text,
            Hash = RunbookSet.HashOf(text),
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
        if (_yaml.Mapping(node, "an answered signal", "signal", "labels") is not { } fields)
            return null;
        var matchers = new List<LabelMatcher>();
        foreach (var (label, value) in fields.Pairs("labels"))
            Matcher(label, value, matchers);
        return fields.Required("signal") is { } signal ? new(signal, matchers) : null;
    }

    void Matcher(YamlNode label, YamlNode value, List<LabelMatcher> matchers)
    {
        if (label is not YamlScalarNode { Value: { } name } || value is not YamlScalarNode { Value: { } pattern })
        {
            _yaml.Fail(value, "a label's value is a regular expression that must match it whole");
            return;
        }

        try
        {
            matchers.Add(new(name, MatchOperator.Matches, pattern));
        }
        catch (ArgumentException e)
        {
            _yaml.Fail(value, e.Message);
        }
    }

    RunbookMode ReadMode(YamlFields fields)
    {
        if (fields.Find("mode") is not { } node)
            return RunbookMode.Observe;
        // YAML 1.1 writers may give a bare off as false.
        if (node is YamlScalarNode { Value: { } value } && Enum.GetValues<RunbookMode>().FirstOrDefault(m => Is(m, value), (RunbookMode)(-1)) is >= 0 and var mode)
            return mode;
        _yaml.Fail(node, $"mode: \"{YamlReader.Shown(node)}\" is not a mode; it is off, observe, approve or automatic");
        return RunbookMode.Observe;
    }

    static bool Is(RunbookMode mode, string text) => string.Equals(mode.ToString(), text, StringComparison.OrdinalIgnoreCase);

    static GateNumbers ReadGates(YamlFields fields)
    {
        var numbers = new GateNumbers();
        if (fields.Mapping("gates", "sustained", "freshness", "maxConcurrent", "coolDown", "attempts", "backOff") is not { } gates)
            return numbers;
        return numbers with
        {
            Sustained = gates.Duration("sustained") ?? numbers.Sustained,
            Freshness = gates.Duration("freshness") ?? numbers.Freshness,
            CoolDown = gates.Duration("coolDown") ?? numbers.CoolDown,
            Attempts = gates.Number("attempts", 1, 10) ?? numbers.Attempts,
            BackOff = gates.Number("backOff", 1, 10) ?? numbers.BackOff,
            MaxConcurrent = Concurrency(gates, numbers.MaxConcurrent),
        };
    }

    static IReadOnlyDictionary<string, int> Concurrency(YamlFields gates, IReadOnlyDictionary<string, int> defaults)
    {
        if (gates.Mapping("maxConcurrent", Scopes) is not { } fields)
            return defaults;
        var numbers = defaults.ToDictionary();
        foreach (var scope in fields.Keys)
            numbers[scope] = fields.Number(scope, 1, 100_000) ?? 1;
        return numbers;
    }

    List<RunbookStep> ReadSteps(IEnumerable<YamlNode> nodes)
    {
        var steps = new List<RunbookStep>();
        foreach (var node in nodes)
        {
            if (ReadStep(node) is not { } step)
                continue;
            if (steps.Exists(s => s.Name == step.Name))
                _yaml.Fail(node, $"the step name \"{step.Name}\" is used twice; give one another name");
            steps.Add(step);
        }

        return steps;
    }

    RunbookStep? ReadStep(YamlNode node)
    {
        if (_yaml.Mapping(node, "a step", "name", "action", "parameters", "timeout", "dryRun", "onFailure") is not { } fields)
            return null;
        var name = fields.Required("name");
        var action = fields.Required("action");
        if (action is not null && ActionCatalogue.Find(action) is null)
            fields.Fail("action", $"unknown action \"{action}\"; known are {string.Join(", ", ActionCatalogue.Names)}");
        var parameters = Tree(fields.Pairs("parameters"));
        var timeout = fields.Duration("timeout") ?? TimeSpan.FromMinutes(5);
        if (timeout < TimeSpan.FromSeconds(1) || timeout > TimeSpan.FromHours(1))
            fields.Fail("timeout", "timeout: a step takes from 1s to 1h");
        var goesOn = fields.Choice("onFailure", "stop", "continue") == "continue";
        var dryRun = fields.Choice("dryRun", "false", "true") == "true";
        return name is null || action is null ? null : new(name, action, parameters, timeout, dryRun, goesOn);
    }

    Dictionary<string, object?> Tree(IEnumerable<KeyValuePair<YamlNode, YamlNode>> pairs)
    {
        var tree = new Dictionary<string, object?>();
        foreach (var (key, value) in pairs)
        {
            if (key is YamlScalarNode { Value: { Length: > 0 } name })
                tree[name] = Leaf(value);
            else
                _yaml.Fail(key, "a parameter's name must be a text");
        }

        return tree;
    }

    object? Leaf(YamlNode node) => node switch
    {
        YamlMappingNode mapping => Tree(mapping.Children),
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
            _yaml.Fail(node, $"\"{value}\": write a label of the signal as ${{label}}");
        return value;
    }

    Verification ReadVerification(YamlFields fields)
    {
        var verify = new Verification(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2), null);
        if (fields.Find("verify") is null)
            fields.Fail("verify", "a runbook needs verify: an action's own success proves nothing");
        if (fields.Mapping("verify", "within", "for", "expr") is not { } given)
            return verify;
        return new(given.Duration("within") ?? verify.Within, given.Duration("for") ?? verify.For, Expression(given));
    }

    string? Expression(YamlFields fields)
    {
        if (fields.Text("expr") is not { } expression)
            return null;
        try
        {
            PromQL.Parser.Parse(expression);
        }
        catch (PromQLException e)
        {
            fields.Fail("expr", $"expr: {e.Message}");
        }

        return CheckPlaces(fields.Find("expr")!, expression);
    }

    List<string> Attached(YamlFields fields, string key, List<RunbookStep> steps)
    {
        var names = new List<string>();
        if (fields.Mapping(key, "attach") is not { } given)
            return names;
        foreach (var item in given.RequiredItems("attach"))
        {
            if (item is YamlScalarNode { Value: { } name } && steps.Exists(s => s.Name == name))
                names.Add(name);
            else
                _yaml.Fail(item, $"{key}: there is no step \"{YamlReader.Shown(item)}\" whose output could be attached");
        }

        return names;
    }

    void CheckLadder(YamlFields fields)
    {
        if (fields.Find("ladder") is { } node and not YamlSequenceNode { Children: [YamlScalarNode { Value: "escalate" }] })
            _yaml.Fail(node, "ladder: [escalate] is the only rung so far");
    }

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9-]*[a-z0-9])?\z")]
    private static partial Regex NamePattern();
}
