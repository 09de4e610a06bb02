using System.Collections.Concurrent;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

using Whistle.Actions.Contract;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runbooks;

/// <summary>Puts the labels of a signal into a runbook's texts.</summary>
static partial class Rendering
{
    internal const string Output = "output.";

    const int MostKept = 20_000;

    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    static readonly ConcurrentDictionary<(string, Labels), Plan> Kept = new();

    /// <exception cref="RenderException">The signal lacks a label that the runbook names.</exception>
    public static Plan Plan(Runbook runbook, Labels labels)
    {
        if (Kept.TryGetValue((runbook.Hash, labels), out var kept))
            return kept;
        var values = Values(runbook, labels);
        var steps = runbook.Steps.Select(s => Planned(s, values)).ToList();
        // A plan whose proof could never be asked for is none.
        _ = Expression(runbook.Verify.Expression ?? "", values);
        var commands = steps.Select(
            s => $"{s.Step.Name} {s.Step.Kind} {s.Step.Action} {s.Step.DryRun} {s.Step.Timeout} {s.Parameters} {s.Text}");
        var plan = new Plan(RunbookSet.HashOf($"{runbook.Hash}\n{string.Join('\n', commands)}"), steps);
        if (Kept.Count >= MostKept)
            Kept.Clear();
        return runbook.Hash.Length > 0 ? Kept.GetOrAdd((runbook.Hash, labels), plan) : plan;
    }

    /// <summary>What the places of a runbook's texts stand for: its own parameters, and the signal's labels.</summary>
    public static Func<string, string?> Values(Runbook runbook, Labels labels)
    {
        string? Label(string name) => labels.Has(name) ? labels[name] : null;
        return name => runbook.Parameters.TryGetValue(name, out var text) ? Fill(text, Label, v => v) : Label(name);
    }

    /// <summary>PromQL with its places filled; a label stands inside a quoted text there.</summary>
    public static string Expression(string expression, Func<string, string?> values) => Fill(
        expression, values, v => v.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal));

    /// <summary>The command that takes a step back.</summary>
    /// <exception cref="RenderException">The step's report lacks a field that the undoing names.</exception>
    public static PlannedStep Undo(Runbook runbook, Labels labels, RunbookStep undo, JsonElement? output)
    {
        var values = Values(runbook, labels);
        return Planned(
            undo,
            name => name.StartsWith(Output, StringComparison.Ordinal) ? Field(output, name[Output.Length..])?.ToString() : values(name),
            output);
    }

    static PlannedStep Planned(RunbookStep step, Func<string, string?> values, JsonElement? output = null)
    {
        var parameters = (Dictionary<string, object?>)Rendered(step.Parameters, values, output)!;
        return new(step, Written(parameters))
        {
            Traits = step.Kind is not StepKind.Action || step.DryRun ? ActionTraits.None
                : ActionCatalogue.TraitsOf(step.Action, name => parameters.GetValueOrDefault(name) as string),
            Text = step.Kind is StepKind.Wait ? Expression(step.Text, values) : Fill(step.Text, values, v => v),
        };
    }

    static JsonElement? Field(JsonElement? output, string name) =>
        output is { ValueKind: JsonValueKind.Object } report && report.TryGetProperty(name, out var field)
            && field.ValueKind is not JsonValueKind.Null ? field : null;

    static object? Rendered(object? value, Func<string, string?> values, JsonElement? output) => value switch
    {
        // A text that is nothing but a field of a report keeps the field's type.
        string text when output is not null && Place().Match(text) is { } match && match.Value == text
            && match.Groups[1].Value.StartsWith(Output, StringComparison.Ordinal)
            && Field(output, match.Groups[1].Value[Output.Length..]) is { } field => field,
        string text => Fill(text, values, v => v),
        IReadOnlyDictionary<string, object?> mapping => mapping.ToDictionary(p => p.Key, p => Rendered(p.Value, values, output)),
        IReadOnlyList<object?> list => list.Select(item => Rendered(item, values, output)).ToList(),
        _ => value,
    };

    internal static string Written(object? parameters)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Json))
            Write(json, parameters);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    static void Write(Utf8JsonWriter json, object? value)
    {
        switch (value)
        {
            case null: json.WriteNullValue(); break;
            case bool truth: json.WriteBooleanValue(truth); break;
            case long whole: json.WriteNumberValue(whole); break;
            case double real: json.WriteNumberValue(real); break;
            case string text: json.WriteStringValue(text); break;
            case JsonElement element: element.WriteTo(json); break;
            case IReadOnlyDictionary<string, object?> mapping:
                json.WriteStartObject();
                foreach (var (key, item) in mapping)
                {
                    json.WritePropertyName(key);
                    Write(json, item);
                }

                json.WriteEndObject();
                break;
            case IReadOnlyList<object?> list:
                json.WriteStartArray();
                foreach (var item in list)
                    Write(json, item);
                json.WriteEndArray();
                break;
            default: throw new InvalidOperationException($"A parameter cannot be a {value.GetType()}.");
        }
    }

    static string Fill(string text, Func<string, string?> values, Func<string, string> escape) => Place().Replace(text, match =>
        values(match.Groups[1].Value) is { } value ? escape(value)
            : throw new RenderException($"The signal has no label {match.Groups[1].Value}, which the runbook's \"{text}\" names."));

    [GeneratedRegex(@"\$\{((?:output\.)?[a-zA-Z_][a-zA-Z0-9_]*)\}")]
    internal static partial Regex Place();
}

sealed class RenderException(string message) : Exception(message);
