using System.Globalization;
using System.Text.Json;

using Whistle.Actions.Contract;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>The tables of docs/actions.md as the descriptors have them: all actions, and the parameters of each.</summary>
static class ActionTables
{
    public const string Document = "docs/actions.md";

    const string After = "## Once, or not at all";

    static readonly IReadOnlyList<ActionDescriptor> Actions = [.. NodeActions.All.Select(a => a.Descriptor)];

    /// <summary>The document with its tables made again; an action that it lacks gets a section.</summary>
    public static string Fill(string document)
    {
        var text = Table(document, "# Actions", "| action |", Overview());
        text = Table(text, "## Keys of the node's policy", "| key |", Keys());
        foreach (var action in Actions)
        {
            var heading = $"## {action.Name}";
            if (!text.Contains($"\n{heading}\n", StringComparison.Ordinal))
                text = text.Replace(After, $"{heading}\n\n{action.Summary}\n\n{After}", StringComparison.Ordinal);
            text = Table(text, heading, "| parameter |", Parameters(action));
        }

        return text;
    }

    /// <summary>The report that the document shows of an action, or of the one before it with the same report.</summary>
    public static JsonElement Example(ActionDescriptor action)
    {
        var shown = Actions.First(a => a.Report!.Type == action.Report!.Type).Name;
        var section = Repository.Document(Document).Split($"\n## {shown}\n")[^1].Split("\n## ")[0];
        Assert.True(
            section.Contains("```json\n", StringComparison.Ordinal),
            $"{Document} shows no report of {shown}. Add a json block with "
            + $"{string.Join(", ", action.Report!.Properties.Select(p => p.Name))}.");
        return JsonDocument.Parse(section.Split("```json\n")[1].Split("```")[0]).RootElement;
    }

    static string[] Overview() =>
    [
        "| action | what it does | reads | changes | disturbs | policy | undo |", "| --- | --- | --- | --- | --- | --- | --- |",
        .. Actions.Select(a => Row(
            $"`{a.Name}`", a.Summary, a.Reads, a.Changes ?? "nothing", a.Disturbs ?? "nothing",
            string.Join(", ", a.PolicyKeys.Select(k => $"`{k}`")),
            a.Undo is { } undo ? $"`{undo}`" : "")),
    ];

    static string[] Keys() =>
    [
        "| key | actions |", "| --- | --- |",
        .. from action in Actions
           from key in action.PolicyKeys
           group action.Name by key into actions
           orderby actions.Key
           select Row($"`{actions.Key}`", string.Join(", ", actions.Select(a => $"`{a}`"))),
    ];

    static string[] Parameters(ActionDescriptor action) => action.Parameters.Count == 0 ? [] :
    [
        "| parameter | type | default | what it is |", "| --- | --- | --- | --- |",
        .. action.Parameters.Select(p => Row($"`{p.Name}`", Type(p), Default(p), p.Meaning)),
    ];

    static string Row(params string[] cells) => $"|{string.Concat(cells.Select(c => c.Length > 0 ? $" {c} |" : " |"))}";

    static string Type(ActionParameter parameter)
    {
        var kind = parameter.Kind switch
        {
            ParameterKind.Text => "text",
            ParameterKind.Age => "age",
            ParameterKind.Whole => "whole number",
            ParameterKind.Number => "number",
            ParameterKind.Truth => "`true`, `false`",
            ParameterKind.Texts => "list of texts",
            ParameterKind.TextMap => "texts by name",
            _ => throw new InvalidOperationException($"Unknown kind {parameter.Kind}."),
        };
        var of = parameter.Unit is { } unit ? $" of {unit}" : "";
        return parameter.Bounds is { } bounds ? $"{kind}{of}, {bounds}" : $"{kind}{of}";
    }

    static string Default(ActionParameter parameter) =>
        parameter.Required ? "needed"
        : parameter.Default is { } value ? string.Create(CultureInfo.InvariantCulture, $"`{value}`")
        : parameter.WithoutIt;

    // The first table that begins so under the heading; without one, it goes right below the heading.
    static string Table(string document, string heading, string begin, string[] table)
    {
        var lines = document.Split('\n').ToList();
        var section = lines.IndexOf(heading) + 1;
        var next = lines.FindIndex(section, l => l.StartsWith('#'));
        var at = lines.FindIndex(section, next - section, l => l.StartsWith(begin, StringComparison.Ordinal));
        if (at >= 0)
            lines.RemoveRange(at, lines.FindIndex(at, l => !l.StartsWith('|')) - at);
        else if (table.Length > 0)
            lines.Insert(at = section, "");
        if (table.Length > 0)
            lines.InsertRange(at == section ? at + 1 : at, table);
        return string.Join('\n', lines);
    }
}
