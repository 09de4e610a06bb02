using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Detectors.Http;

/// <summary>
/// Names of enumerations in kebab case, one name for one value. The library's own takes a list of names too, whose numbers it puts together
/// to another name.
/// </summary>
public sealed class EnumNameConverter : JsonConverterFactory
{
    static readonly JsonStringEnumConverter Library = new(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false);

    /// <summary>What values of the type are called.</summary>
    public static IEnumerable<string> Names(Type type) => Enum.GetNames(type).Select(JsonNamingPolicy.KebabCaseLower.ConvertName);

    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsEnum;

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(
            typeof(OneName<>).MakeGenericType(typeToConvert), Library.CreateConverter(typeToConvert, options))!;

    sealed class OneName<T>(JsonConverter<T> library) : JsonConverter<T>
        where T : struct, Enum
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && Names(typeof(T)).Contains(reader.GetString(), StringComparer.OrdinalIgnoreCase)
                ? library.Read(ref reader, typeToConvert, options)
                : throw new JsonException($"It is none of {string.Join(", ", Names(typeof(T)))}.");

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => library.Write(writer, value, options);

        public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            library.ReadAsPropertyName(ref reader, typeToConvert, options);

        public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            library.WriteAsPropertyName(writer, value, options);
    }
}
