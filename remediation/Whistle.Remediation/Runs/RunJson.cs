using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Telemetry;

namespace Whistle.Remediation.Runs;

[JsonSourceGenerationOptions(UseStringEnumConverter = true, Converters = [typeof(LabelsConverter)])]
[JsonSerializable(typeof(Run))]
[JsonSerializable(typeof(Labels))]
[JsonSerializable(typeof(Dictionary<string, JsonElement>))]
sealed partial class RunJson : JsonSerializerContext;

sealed class LabelsConverter : JsonConverter<Labels>
{
    public override Labels Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var labels = new List<Label>();
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            labels.Add(new(name, reader.GetString()!));
        }

        return Labels.From(labels);
    }

    public override void Write(Utf8JsonWriter writer, Labels value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        foreach (var (name, text) in value)
            writer.WriteString(name, text);
        writer.WriteEndObject();
    }
}
