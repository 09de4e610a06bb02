using System.Text.RegularExpressions;

using YamlDotNet.Core;
using YamlDotNet.Serialization;

namespace Whistle.Tests.Deployment;

/// <summary>docker-compose.yml as Compose reads it: aliases and merges resolved, variables with their defaults.</summary>
sealed partial class ComposeFile
{
    readonly Dictionary<string, object> _root;

    public ComposeFile()
    {
        var text = Variable().Replace(
            File.ReadAllText(Path.Combine(Repository.Root, "docker-compose.yml")), m => m.Groups["default"].Value);
        _root = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(
            new MergingParser(new Parser(new StringReader(text))));
    }

    public IReadOnlyList<ComposeService> Services =>
        [.. Map(_root["services"]).Select(s => new ComposeService(s.Key, Map(s.Value)))];

    public IEnumerable<string> Secrets => Map(_root["secrets"]).Keys;

    public IEnumerable<string> Volumes => Map(_root["volumes"]).Keys;

    internal static Dictionary<string, object?> Map(object? node) =>
        ((Dictionary<object, object?>)node!).ToDictionary(p => (string)p.Key, p => p.Value);

    internal static IReadOnlyList<string> List(object? node) => node is null ? [] : [.. ((List<object>)node).Cast<string>()];

    [GeneratedRegex(@"\$\{\w+:-(?<default>[^}]*)\}")]
    private static partial Regex Variable();
}

sealed record ComposeService(string Name, Dictionary<string, object?> Keys)
{
    public bool IsWhistle => Image.StartsWith("whistle:", StringComparison.Ordinal);

    public string Image => (string)Keys["image"]!;

    public Dictionary<string, string> Environment =>
        Keys.TryGetValue("environment", out var node) ? ComposeFile.Map(node).ToDictionary(p => p.Key, p => (string)p.Value!) : [];

    public IReadOnlyList<string> ListOf(string key) => ComposeFile.List(Keys.GetValueOrDefault(key));
}
