using System.Text;
using System.Text.Json;
using System.Text.Unicode;

using Whistle.Actions.Files;
using Whistle.Alerting.Configuration;

namespace Whistle.Configuration;

/// <summary>
/// Reads a JSON file as .NET's own provider does (comments and trailing commas are taken), and keeps the line of every value, so that
/// what is wrong with one can be found.
/// </summary>
sealed class SettingsFile
{
    const string Twice = "this key is in the file twice. Take one away.";

    static readonly JsonReaderOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    readonly string _path;
    readonly byte[] _json;
    readonly Action<string> _fail;
    readonly SettingsLayer _layer = new();
    readonly HashSet<string> _containers = new(StringComparer.OrdinalIgnoreCase);

    SettingsFile(string path, byte[] json, Action<string> fail)
    {
        _path = path;
        _json = json;
        _fail = fail;
    }

    /// <summary>Null where it cannot be read as a whole.</summary>
    public static SettingsLayer? Read(string path, Action<string> fail)
    {
        // Whoever writes the settings chooses the rules, the runbooks and the files of secrets.
        if (Native.IsKnown && PathTrust.FaultOfFile(Path.GetFullPath(path), Native.EffectiveUser) is { } fault)
        {
            fail($"{path}: is not read, because others could change it. {fault}");
            return null;
        }

        try
        {
            var bytes = File.ReadAllBytes(path);
            var file = new SettingsFile(
                path, bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes, fail);
            return file.ReadAll() ? file._layer : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            fail($"{path}: cannot be read: {e.Message}");
            return null;
        }
    }

    bool ReadAll()
    {
        if (!Utf8.IsValid(_json))
        {
            _fail($"{_path}: is not UTF-8. Save it as that.");
            return false;
        }

        var reader = new Utf8JsonReader(_json, Options);
        try
        {
            reader.Read();
            if (reader.TokenType is JsonTokenType.StartObject)
                ReadObject(ref reader, "");
            else
                _fail($"{_path}:{Line(reader)}: must be a JSON object, like {{ \"Retention\": \"30d\" }}.");
            // What follows the object is an error that the reader knows.
            return !reader.Read();
        }
        catch (JsonException e)
        {
            var end = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
            _fail($"{_path}:{e.LineNumber + 1}:{e.BytePositionInLine + 1}: not valid JSON: {(end < 0 ? e.Message : e.Message[..end])}");
        }
        catch (InvalidOperationException e)
        {
            // Half a surrogate pair, which is valid JSON and no text.
            _fail($"{_path}:{Line(reader)}: {e.Message}");
        }

        return false;
    }

    void ReadObject(ref Utf8JsonReader reader, string section)
    {
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            ReadValue(ref reader, section.Length == 0 ? name : $"{section}:{name}");
        }
    }

    void ReadValue(ref Utf8JsonReader reader, string key)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                ReadContainer(ref reader, key, isList: false);
                break;
            case JsonTokenType.StartArray:
                ReadContainer(ref reader, key, isList: true);
                break;
            case JsonTokenType.Null:
                Add(reader, key, null);
                break;
            case JsonTokenType.String:
                Add(reader, key, reader.GetString());
                break;
            default:
                Add(reader, key, Encoding.UTF8.GetString(reader.ValueSpan));
                break;
        }
    }

    void ReadContainer(ref Utf8JsonReader reader, string key, bool isList)
    {
        var origin = $"{_path}:{Line(reader)}: {key}";
        if (!_containers.Add(key) || _layer.ContainsKey(key))
            _fail($"{origin}: {Twice}");
        var before = _layer.Count;
        if (isList)
        {
            for (var i = 0; reader.Read() && reader.TokenType is not JsonTokenType.EndArray; i++)
                ReadValue(ref reader, $"{key}:{i}");
        }
        else
            ReadObject(ref reader, key);
        if (_layer.Count == before)
            _layer.Empty.Add((key, isList, origin));
    }

    void Add(in Utf8JsonReader reader, string key, string? value)
    {
        var origin = $"{_path}:{Line(reader)}: {key}";
        if (value?.Contains('\0', StringComparison.Ordinal) is true)
            _fail($"{origin}: no value has the character 0 in it. Take it out.");
        else if (_containers.Contains(key) || !_layer.TryAdd(key, new(value, origin, Path.GetDirectoryName(_path)!)))
            _fail($"{origin}: {Twice}");
    }

    int Line(in Utf8JsonReader reader) => 1 + _json.AsSpan(0, (int)reader.TokenStartIndex).Count((byte)'\n');
}
