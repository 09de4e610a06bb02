namespace Whistle.Alerting.Configuration;

/// <summary>One value as it was given.</summary>
/// <param name="Value">Null for a JSON null, which leaves the value to the layers before.</param>
/// <param name="Origin">Where it stands: a file with line and key, a variable or an option.</param>
/// <param name="Folder">Where a relative path begins.</param>
public sealed record Setting(string? Value, string Origin, string Folder);

/// <summary>
/// One source of settings by their keys, which are .NET's: sections and list items after colons (<c>Alerting:Mail:To:0</c>), in any case.
/// </summary>
public sealed class SettingsLayer() : Dictionary<string, Setting>(StringComparer.OrdinalIgnoreCase)
{
    /// <summary>Lists and sections without content: they set nothing, but may stand where the key is something else.</summary>
    public List<(string Key, bool IsList, string Origin)> Empty { get; } = [];
}
