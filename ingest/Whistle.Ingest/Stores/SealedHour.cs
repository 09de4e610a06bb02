using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Ingest.Stores;

/// <summary>A file of a sealed hour as it was written; it never changes afterwards.</summary>
/// <param name="Hash">XxHash128 of its content in hexadecimal.</param>
sealed record SealedFile(string Name, long Bytes, string Hash)
{
    public static SealedFile Of(string path, string name)
    {
        using var stream = new FileStream(path, new FileStreamOptions { Options = FileOptions.SequentialScan, BufferSize = 0 });
        var hash = new XxHash128();
        hash.Append(stream);
        return new SealedFile(name, stream.Length, Convert.ToHexStringLower(hash.GetCurrentHash()));
    }
}

/// <summary>
/// The three files of a sealed hour, and what they must contain to be trusted. Series ids have a meaning within one hour's generation only:
/// <see cref="Series"/> tells what <see cref="Samples"/> refers to.
/// </summary>
/// <param name="Hour">Hours since 1970 UTC.</param>
/// <param name="Generation">Rises with each sealing of the hour; 0 is what a store of format 1 sealed.</param>
sealed record SealedHour(long Hour, int Generation, SealedFile Samples, SealedFile Series, SealedFile Labels)
{
    public const string ManifestSuffix = ".json";

    [JsonIgnore]
    public SealedFile[] Files => [Samples, Series, Labels];

    [JsonIgnore]
    public string ManifestName => NameOf(Hour) + ManifestSuffix;

    public static string NameOf(long hour) =>
        DateTimeOffset.FromUnixTimeMilliseconds(hour * DuckDbStore.Hour).ToString("yyyy-MM-dd'T'HH'Z'", CultureInfo.InvariantCulture);

    /// <summary>The hour of a file of the sealed folder; null where the name is not one of ours.</summary>
    public static long? HourOf(string fileName) =>
        DateTimeOffset.TryParseExact(
            fileName.Split('.')[0], "yyyy-MM-dd'T'HH'Z'", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var hour)
            ? hour.ToUnixTimeMilliseconds() / DuckDbStore.Hour : null;

    /// <summary>For example <c>2026-03-01T10Z.2.samples.parquet</c>.</summary>
    public static string FileName(long hour, int generation, string kind) =>
        string.Create(CultureInfo.InvariantCulture, $"{NameOf(hour)}{(generation == 0 ? "" : $".{generation}")}.{kind}.parquet");

    /// <summary>The generation that a file's name tells; 0 where it tells none.</summary>
    public static int GenerationOf(string fileName) =>
        fileName.Split('.') is [_, var number, _, _]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var generation) ? generation : 0;

    public string Write() =>
        JsonSerializer.Serialize(new SealedHourManifest(this, HashOf(this)), SealedHourJson.Default.SealedHourManifest) + "\n";

    /// <summary>Null where the text is damaged: not what was written, or of another hour.</summary>
    public static SealedHour? Read(string text, long hour)
    {
        try
        {
            return JsonSerializer.Deserialize(text, SealedHourJson.Default.SealedHourManifest) is { Content: { } content } manifest
                && content.Hour == hour && manifest.Hash == HashOf(content) ? content : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static string HashOf(SealedHour content) =>
        Convert.ToHexStringLower(
            XxHash128.Hash(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(content, SealedHourJson.Default.SealedHour))));
}

/// <param name="Hash">XxHash128 of the content's JSON, so that a manifest that is damaged is not taken for damaged files.</param>
sealed record SealedHourManifest([property: JsonRequired] SealedHour Content, [property: JsonRequired] string Hash);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(SealedHourManifest))]
[JsonSerializable(typeof(SealedHour))]
sealed partial class SealedHourJson : JsonSerializerContext;
