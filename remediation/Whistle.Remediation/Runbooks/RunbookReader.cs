using System.Text.RegularExpressions;

using Whistle.Detectors.Yaml;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Remediation.Runbooks;

/// <summary>Reads one runbook. Goes on after an error, so that one pass reports them all with their positions.</summary>
sealed partial class RunbookReader(string file, string text, List<YamlError> errors)
{
    readonly YamlReader _yaml = new(file, text, errors);

    StepReader Steps => field ??= new(_yaml);

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
        if (_yaml.Mapping(root, "a runbook", RunbookKeys.Runbook) is not { } fields)
            return null;
        var name = fields.Required("name");
        if (name is not null && !NamePattern().IsMatch(name))
            fields.Fail("name", $"\"{name}\" is not a name; use lower-case letters, digits and dashes");
        var summary = fields.Required("summary");
        if (name == Runbook.Escalate)
            fields.Fail("name", "escalate is the name of every ladder's last rung; take another");
        var answers = fields.Items("answers").Select(ReadAnswer).OfType<AnsweredSignal>().ToList();
        var parameters = ReadParameters(fields);
        var steps = Steps.Steps(fields);
        var verify = ReadVerification(fields);
        var runbook = new Runbook
        {
            Name = name ?? "",
            Summary = summary ?? "",
            File = file,
            Text = text,
            Hash = RunbookSet.HashOf(text),
            Mode = ReadMode(fields),
            Answers = answers,
            Parameters = parameters,
            Ladder = ReadLadder(fields, name),
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
        if (_yaml.Mapping(node, "an answered signal", RunbookKeys.Answer) is not { } fields)
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
        if (node is YamlScalarNode { Value: { } value }
            && Enum.GetValues<RunbookMode>().FirstOrDefault(m => Is(m, value), (RunbookMode)(-1)) is >= 0 and var mode)
            return mode;
        _yaml.Fail(node, $"mode: \"{YamlReader.Shown(node)}\" is not a mode; it is off, observe, approve or automatic");
        return RunbookMode.Observe;
    }

    static bool Is(RunbookMode mode, string text) => string.Equals(mode.ToString(), text, StringComparison.OrdinalIgnoreCase);

    static GateNumbers ReadGates(YamlFields fields)
    {
        var numbers = new GateNumbers();
        if (fields.Mapping("gates", RunbookKeys.Gates) is not { } gates)
            return numbers;
        var blast = gates.Mapping("blastRadius", RunbookKeys.BlastRadius);
        var flapping = gates.Mapping("flapping", RunbookKeys.Flapping);
        return numbers with
        {
            Window = gates.Choice("window", RunbookKeys.Windows) switch
            {
                "required" => WindowRule.Required,
                "ignored" => WindowRule.Ignored,
                _ => WindowRule.Auto,
            },
            BlastNodes = blast?.Number("nodes", 1, 100_000) ?? numbers.BlastNodes,
            BlastPercent = blast?.Number("percent", 1, 100) ?? numbers.BlastPercent,
            StormCoolDown = gates.Duration("stormCoolDown") ?? numbers.StormCoolDown,
            FlappingOnsets = flapping?.Number("onsets", 2, 1000) ?? numbers.FlappingOnsets,
            FlappingWithin = flapping?.Duration("within") ?? numbers.FlappingWithin,
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
        if (gates.Mapping("maxConcurrent", RunbookKeys.Scopes) is not { } fields)
            return defaults;
        var numbers = defaults.ToDictionary();
        foreach (var scope in fields.Keys)
            numbers[scope] = fields.Number(scope, 1, 100_000) ?? 1;
        return numbers;
    }

    Verification ReadVerification(YamlFields fields)
    {
        var verify = new Verification(TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(2), null);
        if (fields.Find("verify") is null)
            fields.Fail("verify", "a runbook needs verify: an action's own success proves nothing");
        if (fields.Mapping("verify", RunbookKeys.Verify) is not { } given)
            return verify;
        return new(given.Duration("within") ?? verify.Within, given.Duration("for") ?? verify.For, Steps.Expression(given, "expr"));
    }

    List<string> Attached(YamlFields fields, string key, List<RunbookStep> steps)
    {
        var names = new List<string>();
        if (fields.Mapping(key, RunbookKeys.Attach) is not { } given)
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

    List<string> ReadLadder(YamlFields fields, string? own)
    {
        var rungs = new List<string>();
        foreach (var node in fields.Items("ladder"))
        {
            if (rungs.Contains(Runbook.Escalate))
                _yaml.Fail(node, "ladder: escalate is the last rung; nothing follows it");
            else if (node is not YamlScalarNode { Value: { Length: > 0 } rung })
                _yaml.Fail(node, "ladder: a rung is the name of a runbook, or escalate");
            else if (rung == own || rungs.Contains(rung))
                _yaml.Fail(node, $"ladder: {rung} would be tried again and again; a ladder goes up");
            else
                rungs.Add(rung);
        }

        rungs.Remove(Runbook.Escalate);
        return rungs;
    }

    Dictionary<string, string> ReadParameters(YamlFields fields)
    {
        var parameters = new Dictionary<string, string>();
        foreach (var (key, value) in fields.Pairs("parameters"))
        {
            if (key is YamlScalarNode { Value: { } name } && ParameterPattern().IsMatch(name)
                && value is YamlScalarNode { Value: { } text })
                parameters[name] = Steps.Places(value, text);
            else
                _yaml.Fail(key, "parameters: a name of letters, digits and underscores stands for a text");
        }

        return parameters;
    }

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9-]*[a-z0-9])?\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\A[a-zA-Z_][a-zA-Z0-9_]*\z")]
    private static partial Regex ParameterPattern();
}
