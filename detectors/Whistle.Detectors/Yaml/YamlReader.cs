using Whistle.PromQL;

using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Whistle.Detectors.Yaml;

/// <summary>Reads one file's YAML and notes every fault with its place, so that one pass reports them all.</summary>
public sealed class YamlReader(string file, string text, List<YamlError> errors)
{
    const int LongestShown = 200;

    string[] Lines => field ??= text.Split('\n');

    /// <summary>The roots of the documents; null where it is not YAML, or more of it than is taken.</summary>
    public IReadOnlyList<YamlNode>? Documents()
    {
        var parser = new BoundedParser(new YamlDotNet.Core.Parser(new StringReader(text)));
        try
        {
            var stream = new YamlStream();
            stream.Load(parser);
            return [.. stream.Documents.Select(d => d.RootNode)];
        }
        catch (YamlException e)
        {
            errors.Add(e.Message.Contains(" tab", StringComparison.Ordinal) && TabFrom((int)Math.Max(e.Start.Line, 1)) is { } tab
                ? new(file, tab.Line, tab.Column, $"not valid YAML: {e.Message} Indent with spaces.")
                : At(e.Start, $"not valid YAML: {e.Message}"));
        }
        // Some broken input makes the parser fail in ways of its own.
        catch (Exception e)
        {
            errors.Add(At(parser.Current?.Start ?? Mark.Empty, $"not valid YAML from here on: {e.Message}"));
        }

        return null;
    }

    /// <summary>The values of a mapping that may have the known keys; null where it is no mapping.</summary>
    /// <param name="what">What the mapping is, with its article, for sentences.</param>
    public YamlFields? Mapping(YamlNode node, string what, params IReadOnlyList<string> known)
    {
        if (node is not YamlMappingNode mapping)
            return Fail<YamlFields>(node, $"{what} must be a mapping with the keys {string.Join(", ", known)}");
        var values = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in mapping.Children)
        {
            if (key is YamlScalarNode { Value: { } name } && known.Contains(name))
                values.Add(name, value);
            else
                Fail(key, $"unknown key \"{Shown(key)}\" in {what}; known are {string.Join(", ", known)}");
        }

        return new(this, mapping, what, values);
    }

    public void Fail(YamlNode node, string reason) => errors.Add(new(file, node.Start.Line, node.Start.Column, reason));

    public T? Fail<T>(YamlNode node, string reason)
        where T : class
    {
        Fail(node, reason);
        return null;
    }

    /// <summary>
    /// A fault inside a text: its own place where YAML took the text over character by character, otherwise the text's start and the offset
    /// in words.
    /// </summary>
    public void FailAt(YamlScalarNode node, int offset, string reason)
    {
        var (line, column) = (node.Start.Line, node.Start.Column);
        offset = Math.Clamp(offset, 0, node.Value!.Length);
        if (node.Style is ScalarStyle.Literal)
        {
            var before = node.Value[..offset];
            line += 1 + before.Count(c => c == '\n');
            column = Indent(node) + 1 + offset - (before.LastIndexOf('\n') + 1);
        }
        else if (node.Start.Line == node.End.Line && Lines[line - 1].Contains(node.Value, StringComparison.Ordinal))
        {
            column += offset + (node.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted ? 1 : 0);
        }
        else
        {
            reason += $" (at character {offset + 1} of the text)";
        }

        errors.Add(new(file, line, column, reason));
    }

    /// <summary>
    /// An expression's fault: the place within the expression, which its message begins with, becomes one within the file.
    /// </summary>
    public void FailAt(YamlScalarNode node, PromQLException fault)
    {
        var reason = fault.Offset is null ? fault.Message : fault.Message[(fault.Message.IndexOf(": ", StringComparison.Ordinal) + 2)..];
        FailAt(node, fault.Offset ?? 0, reason);
    }

    /// <summary>A node as a message quotes it.</summary>
    public static string Shown(YamlNode node)
    {
        var shown = node.ToString();
        return shown.Length > LongestShown ? $"{shown[..LongestShown]}…" : shown;
    }

    YamlError At(Mark place, string reason) => new(file, Math.Max(place.Line, 1), Math.Max(place.Column, 1), reason);

    // The scanner names the place before it.
    (int Line, int Column)? TabFrom(int line)
    {
        for (; line <= Lines.Length; line++)
        {
            var indent = Lines[line - 1].AsSpan().IndexOfAnyExcept(' ');
            if (indent >= 0 && Lines[line - 1][indent] == '\t')
                return (line, indent + 1);
        }

        return null;
    }

    int Indent(YamlScalarNode node)
    {
        var first = Lines.Skip((int)node.Start.Line).FirstOrDefault(l => l.Trim().Length > 0) ?? "";
        return first.Length - first.TrimStart(' ').Length;
    }
}
