using System.Globalization;

namespace Whistle.Alerting.Configuration;

/// <summary>
/// The layers together: of one key the latest layer counts, of a list the latest that has any of it, whole. Whoever reads a value
/// makes its key known by that; what nobody asked for is a mistake.
/// </summary>
public sealed class Settings(IReadOnlyList<SettingsLayer> layers, List<string> errors)
{
    // The keys of each section; the topmost one has no name.
    readonly Dictionary<string, List<string>> _sections = new(StringComparer.OrdinalIgnoreCase);
    readonly HashSet<string> _lists = new(StringComparer.OrdinalIgnoreCase);
    readonly HashSet<string> _failed = new(StringComparer.OrdinalIgnoreCase);

    public SettingsSection Section(string path)
    {
        if (path.Length > 0)
            Know(path);
        _sections.TryAdd(path, []);
        return new(this, path);
    }

    internal bool Has(string section) => layers.Any(l => l.Any(s => s.Value.Value is not null && IsIn(s.Key, section)));

    /// <summary>The value that counts, with the number of its layer.</summary>
    internal (Setting Setting, int Layer)? Find(string key)
    {
        Know(key);
        return Value(key);
    }

    /// <summary>A list's items in order, with their keys; a lone text is a list of one.</summary>
    internal IReadOnlyList<(string Key, Setting Setting)> Items(string key)
    {
        Know(key);
        _lists.Add(key);
        return Values(key);
    }

    /// <summary>Values by names that are not ours to know: of each the latest layer counts.</summary>
    internal IReadOnlyDictionary<string, Setting> Free(string section)
    {
        Section(section);
        var found = new Dictionary<string, Setting>(StringComparer.OrdinalIgnoreCase);
        foreach (var (key, setting) in layers.SelectMany(l => l).Where(s => section != s.Key && IsIn(s.Key, section)))
        {
            Know(key);
            if (setting.Value is not null)
                found[key[(section.Length + 1)..]] = setting;
        }

        return found;
    }

    internal void Fail(string key, Setting setting, string reason)
    {
        _failed.Add(key);
        errors.Add($"{setting.Origin}: {reason}");
    }

    /// <summary>
    /// Adds what is wrong with the options made of the settings, unless the key has failed before; then a default is in its place.
    /// </summary>
    public void Fail(OptionError error)
    {
        if (!_failed.Contains(error.Key))
            errors.Add($"{(Values(error.Key) is [var first, ..] ? first.Setting.Origin : error.Key)}: {error.Reason}");
    }

    /// <summary>To be called when all is read.</summary>
    public void FailUnknown()
    {
        foreach (var (key, setting) in layers.SelectMany(l => l).Where(s => !IsKnown(s.Key, s.Value)))
            errors.Add($"{setting.Origin}: {WhyUnknown(key)}");
        foreach (var (key, isList, origin) in layers.SelectMany(l => l.Empty))
        {
            if (!(isList ? _lists.Contains(key) : _sections.ContainsKey(key)))
                errors.Add($"{origin}: {WhyUnknown(key)}");
        }
    }

    string WhyUnknown(string key)
    {
        if (_sections.ContainsKey(key))
            return $"{key} is a section, with the keys {Names(key)}.";
        var section = _sections.Keys.Where(s => IsIn(key, s)).MaxBy(s => s.Length)!;
        var name = key[(section.Length == 0 ? 0 : section.Length + 1)..].Split(':')[0];
        if (_sections[section].Contains(name, StringComparer.OrdinalIgnoreCase))
            return _lists.Contains(Join(section, name)) ? $"{name} is a list of texts." : $"{name} is one value, not a section or a list.";
        return $"there is no key {name}{(section.Length == 0 ? "" : $" in {section}")}. There are {Names(section)}.";
    }

    // A null does not say whether it would be a section.
    bool IsKnown(string key, Setting setting)
    {
        var (section, name) = Split(key);
        if (_lists.Contains(section))
            return Index(key, section) is not null;
        return _sections.TryGetValue(section, out var names) && names.Contains(name, StringComparer.OrdinalIgnoreCase)
            && (setting.Value is null || !_sections.ContainsKey(key));
    }

    (Setting Setting, int Layer)? Value(string key)
    {
        for (var i = layers.Count - 1; i >= 0; i--)
        {
            if (layers[i].TryGetValue(key, out var setting) && setting.Value is not null)
                return (setting, i);
        }

        return null;
    }

    IReadOnlyList<(string Key, Setting Setting)> Values(string key)
    {
        foreach (var layer in layers.Reverse())
        {
            if (layer.TryGetValue(key, out var only) && only.Value is not null)
                return [(key, only)];
            var items = layer.Where(s => s.Value.Value is not null && Index(s.Key, key) is not null)
                .OrderBy(s => Index(s.Key, key)).ToList();
            if (items.Count > 0)
                return [.. items.Select(i => (i.Key, i.Value))];
        }

        return [];
    }

    void Know(string key)
    {
        var (section, name) = Split(key);
        if (!_sections[section].Contains(name))
            _sections[section].Add(name);
    }

    /// <summary>The names that have been asked for in a section.</summary>
    internal IReadOnlyList<string> Keys(string section) => _sections[section];

    /// <summary>The names under a section that any layer has, in order.</summary>
    internal IReadOnlyList<string> Children(string section) =>
        [.. layers.SelectMany(l => l.Keys).Where(k => IsIn(k, section)).Select(k => k[(section.Length + 1)..].Split(':')[0])
            .Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal)];

    string Names(string section) => string.Join(", ", _sections[section]);

    static (string Section, string Name) Split(string key)
    {
        var end = key.LastIndexOf(':');
        return end < 0 ? ("", key) : (key[..end], key[(end + 1)..]);
    }

    static string Join(string section, string name) => section.Length == 0 ? name : $"{section}:{name}";

    static bool IsIn(string key, string section) =>
        section.Length == 0 || key.StartsWith(section + ":", StringComparison.OrdinalIgnoreCase);

    static int? Index(string key, string list) =>
        IsIn(key, list)
            && int.TryParse(key.AsSpan(list.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null;
}
