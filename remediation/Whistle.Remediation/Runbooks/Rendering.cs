using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runbooks;

/// <summary>Puts the labels of a signal into a runbook's texts.</summary>
static partial class Rendering
{
    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="RenderException">The signal lacks a label that the runbook names.</exception>
    public static Plan Plan(Runbook runbook, Labels labels)
    {
        var steps = runbook.Steps.Select(s => new PlannedStep(s, Parameters(s, labels))).ToList();
        // A plan whose proof could never be asked for is none.
        _ = Expression(runbook.Verify.Expression ?? "", labels);
        var commands = steps.Select(s => $"{s.Step.Name} {s.Step.Action} {s.Step.DryRun} {s.Step.Timeout} {s.Parameters}");
        return new(RunbookSet.HashOf($"{runbook.Hash}\n{string.Join('\n', commands)}"), steps);
    }

    /// <summary>PromQL with its places filled; a label stands inside a quoted text there.</summary>
    public static string Expression(string expression, Labels labels) => Fill(
        expression, labels, v => v.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal));

    static string Parameters(RunbookStep step, Labels labels)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Json))
            Write(json, step.Parameters, labels);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    static void Write(Utf8JsonWriter json, object? value, Labels labels)
    {
        switch (value)
        {
            case null: json.WriteNullValue(); break;
            case bool truth: json.WriteBooleanValue(truth); break;
            case long whole: json.WriteNumberValue(whole); break;
            case double real: json.WriteNumberValue(real); break;
            case string text: json.WriteStringValue(Fill(text, labels, v => v)); break;
            case IReadOnlyDictionary<string, object?> mapping:
                json.WriteStartObject();
                foreach (var (key, item) in mapping)
                {
                    json.WritePropertyName(key);
                    Write(json, item, labels);
                }

                json.WriteEndObject();
                break;
            case IReadOnlyList<object?> list:
                json.WriteStartArray();
                foreach (var item in list)
                    Write(json, item, labels);
                json.WriteEndArray();
                break;
            default: throw new InvalidOperationException($"A parameter cannot be a {value.GetType()}.");
        }
    }

    static string Fill(string text, Labels labels, Func<string, string> escape) => Place().Replace(text, match =>
    {
        var label = match.Groups[1].Value;
        return labels.Has(label) ? escape(labels[label]) : throw new RenderException($"The signal has no label {label}, which the runbook's \"{text}\" names.");
    });

    [GeneratedRegex(@"\$\{([a-zA-Z_][a-zA-Z0-9_]*)\}")]
    internal static partial Regex Place();
}

sealed class RenderException(string message) : Exception(message);
