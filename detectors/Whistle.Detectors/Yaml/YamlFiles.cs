using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Whistle.Detectors.Yaml;

/// <summary>One fault in a file. Line and column count from 1.</summary>
public sealed record YamlError(string File, long Line, long Column, string Reason)
{
    public override string ToString() => $"{File}:{Line}:{Column}: {Reason}";
}

/// <summary>Rules and runbooks as they lie on disk.</summary>
public static class YamlFiles
{
    const int Largest = 4 << 20;

    /// <summary>Files as they are, folders as their *.yaml and *.yml in order of name; what is named twice, once.</summary>
    public static IEnumerable<string> Expand(IEnumerable<string> paths) => paths.SelectMany<string, string>(path => Directory.Exists(path)
        ? Directory.EnumerateFiles(path).Where(f => Path.GetExtension(f) is ".yaml" or ".yml").Order(StringComparer.Ordinal)
        : [path]).DistinctBy(Path.GetFullPath);

    /// <summary>The text of a file; null where an error was added.</summary>
    public static string? Read(string file, List<YamlError> errors)
    {
        try
        {
            using var stream = File.OpenRead(file);
            var bytes = new byte[Largest + 1];
            var text = bytes.AsSpan(0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
            if (text.Length > Largest)
                errors.Add(new(file, 1, 1, $"the file is larger than {Largest >> 20} MiB; split it"));
            else if (Utf8.IsValid(text))
                return Encoding.UTF8.GetString(text.StartsWith(Encoding.UTF8.Preamble) ? text[Encoding.UTF8.Preamble.Length..] : text);
            else
                errors.Add(NotText(file, text));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            errors.Add(new(file, 1, 1, $"cannot be read: {e.Message}"));
        }

        return null;
    }

    static YamlError NotText(string file, ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var length) is OperationStatus.Done)
            at += length;
        var before = bytes[..at];
        var line = before[(before.LastIndexOf((byte)'\n') + 1)..];
        return new(
            file, before.Count((byte)'\n') + 1, Encoding.UTF8.GetCharCount(line) + 1,
            $"the byte 0x{bytes[at]:x2} is not UTF-8; save the file as UTF-8");
    }
}
