using System.Text.Json.Nodes;

using Whistle.Detectors.Yaml;
using Whistle.Telemetry;

using YamlDotNet.RepresentationModel;

namespace Whistle.Remediation.Runbooks;

/// <summary>
/// Text cases for runbooks: a signal with its labels, which runbooks answer it, and what they would send or why no plan can be made.
/// <code>
/// - name: a full /var
///   signal: NodeFilesystemSpaceFillingUp
///   labels: { node: n, mountpoint: /var }
///   answered: [var-filling]
///   commands:
///     - { action: disk.vacuum-journal, parameters: { mountPoint: /var, maximumAge: 7d } }
/// - { name: nobody answers, signal: Other, answered: [] }
/// - { name: no mount point, signal: NodeFilesystemSpaceFillingUp, labels: { node: n }, refused: no label mountpoint }
/// </code>
/// </summary>
public static class RunbookCases
{
    static readonly string[] Keys = ["name", "signal", "labels", "answered", "commands", "refused"];

    /// <summary>How many cases there are, and what is wrong: with the file, or of a case what came instead.</summary>
    public static (int Count, IReadOnlyList<YamlError> Errors) Run(RunbookSet runbooks, string file)
    {
        var errors = new List<YamlError>();
        if (YamlFiles.Read(file, errors) is not { } text)
            return (0, errors);
        var yaml = new YamlReader(file, text, errors);
        if (yaml.Documents() is not { } documents)
            return (0, errors);
        if (documents is not [YamlSequenceNode { Children: { Count: > 0 } cases }])
            return (0, [new(file, 1, 1, "a file of cases is one list that is not empty")]);
        foreach (var node in cases)
        {
            if (yaml.Mapping(node, "a case", Keys) is { } fields)
                Check(runbooks, yaml, node, fields, errors);
        }

        return (cases.Count, errors);
    }

    static void Check(RunbookSet runbooks, YamlReader yaml, YamlNode node, YamlFields fields, List<YamlError> errors)
    {
        var before = errors.Count;
        var (name, signal) = (fields.Required("name"), fields.Required("signal"));
        if (fields.Find("answered") is null && fields.Find("commands") is null && fields.Find("refused") is null)
            yaml.Fail(node, "a case says what it expects: answered, commands or refused");
        var labels = Labels.From(
            fields.Pairs("labels").Select(p => new Label(Text(yaml, p.Key), Text(yaml, p.Value))).DistinctBy(l => l.Name));
        var expected = Commands(yaml, fields);
        if (errors.Count > before)
            return;
        var answering = runbooks.Runbooks.Where(r => r.IsAnswerTo(signal!, labels)).ToList();
        if (fields.Find("answered") is not null)
        {
            var wanted = string.Join(", ", fields.Items("answered").Select(n => Text(yaml, n)).Order(StringComparer.Ordinal));
            var found = string.Join(", ", answering.Select(r => r.Name));
            if (wanted != found)
                yaml.Fail(
                    node, $"{name}: {(found.Length > 0 ? found : "no runbook")} answers it, not {(wanted.Length > 0 ? wanted : "nobody")}");
        }

        if (expected is null && fields.Find("refused") is null)
            return;
        if (answering is not [var runbook])
            yaml.Fail(node, $"{name}: {answering.Count} runbooks answer it; commands and refused need exactly one");
        else
            CheckPlan(yaml, node, name!, runbook, labels, expected, fields.Text("refused"));
    }

    static void CheckPlan(
        YamlReader yaml, YamlNode node, string name, Runbook runbook, Labels labels, List<string>? expected, string? refused)
    {
        try
        {
            var commands = Rendering.Plan(runbook, labels).Steps.Where(s => s.Step.Kind is StepKind.Action)
                .Select(s => Shown(s.Step.Action, s.Parameters)).ToList();
            if (refused is not null)
                yaml.Fail(node, $"{name}: a plan can be made: {string.Join("; ", commands)}");
            else if (expected is not null && !commands.SequenceEqual(expected))
                yaml.Fail(node, $"{name}: the commands are{Environment.NewLine}    "
                    + $"{string.Join($"{Environment.NewLine}    ", commands)}{Environment.NewLine}  not{Environment.NewLine}    "
                    + $"{string.Join($"{Environment.NewLine}    ", expected)}");
        }
        catch (RenderException e)
        {
            if (refused is null || !e.Message.Contains(refused, StringComparison.Ordinal))
                yaml.Fail(node, $"{name}: no plan can be made: {e.Message}");
        }
    }

    static List<string>? Commands(YamlReader yaml, YamlFields fields)
    {
        if (fields.Find("commands") is null)
            return null;
        var commands = new List<string>();
        foreach (var node in fields.Items("commands"))
        {
            if (yaml.Mapping(node, "a command", "action", "parameters") is { } command && command.Required("action") is { } action)
                commands.Add(Shown(action, Rendering.Written(new StepReader(yaml).Tree(command.Pairs("parameters"), undo: false))));
        }

        return commands;
    }

    // The order of parameters is nothing.
    static string Shown(string action, string parameters) =>
        $"{action} " + new JsonObject(
            JsonNode.Parse(parameters)!.AsObject().ToList().OrderBy(p => p.Key, StringComparer.Ordinal)
                .Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone()))).ToJsonString();

    static string Text(YamlReader yaml, YamlNode node)
    {
        if (node is YamlScalarNode { Value: { } text })
            return text;
        yaml.Fail(node, "this must be a text");
        return "";
    }
}
