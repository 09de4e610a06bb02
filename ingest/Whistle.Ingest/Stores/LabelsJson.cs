using System.Buffers;
using System.Text;
using System.Text.Json;

using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>Labels as the store keeps them: a JSON object, so that any tool can read them.</summary>
static class LabelsJson
{
    public static string Write(Labels labels)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            foreach (var (name, value) in labels)
                json.WriteString(name, value);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>How the label stands in the text of every series that has it.</summary>
    public static string Pair(string name, string value) => Write(Labels.From([new Label(name, value)]))[1..^1];

    /// <summary>In the order written, which is sorted by name.</summary>
    public static List<Label> Read(string text)
    {
        var labels = new List<Label>();
        var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var name = json.GetString()!;
            json.Read();
            labels.Add(new Label(name, json.GetString()!));
        }

        return labels;
    }
}
