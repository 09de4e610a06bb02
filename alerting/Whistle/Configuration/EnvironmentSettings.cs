using Whistle.Alerting.Configuration;

namespace Whistle.Configuration;

/// <summary>Settings from environment variables that begin with <c>WHISTLE_</c>.</summary>
static class EnvironmentSettings
{
    const string Prefix = "WHISTLE_";

    // The one variable whose name is not that of a setting; every verb reads it.
    const string DataFolder = "WHISTLE_DATA";

    // For the verbs that look at a server.
    const string Server = "WHISTLE_SERVER";

    static readonly string[] Sections =
        [nameof(WhistleOptions.Alerting), nameof(WhistleOptions.Incidents), nameof(WhistleOptions.Kafka), nameof(WhistleOptions.InfluxDb)];

    /// <summary><c>WHISTLE_Alerting__Mail__Host</c> is <c>Alerting:Mail:Host</c>. An empty variable counts as none.</summary>
    public static SettingsLayer Read(IReadOnlyDictionary<string, string> variables, Action<string> fail)
    {
        var layer = new SettingsLayer();
        foreach (var (name, value) in variables.Where(v => IsOurs(v.Key, v.Value)).OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            var key = name[Prefix.Length..].Replace("__", ":", StringComparison.Ordinal);
            if (key.Contains('_', StringComparison.Ordinal))
                CheckOthers(name, key, fail);
            else if (!layer.TryAdd(key, new(value, name, Environment.CurrentDirectory)))
                fail($"{name}: {layer[key].Origin} is the same setting, for case does not count. Take one away.");
        }

        if (variables.GetValueOrDefault(DataFolder) is { Length: > 0 } folder)
            layer.TryAdd(nameof(WhistleOptions.DataFolder), new(folder, DataFolder, Environment.CurrentDirectory));
        return layer;
    }

    // Kubernetes sets WHISTLE_PORT to an address in every pod beside a service that is named whistle.
    static bool IsOurs(string name, string value) =>
        name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) && value.Length > 0 && name is not (DataFolder or Server)
            && !(name == "WHISTLE_PORT" && value.Contains("://", StringComparison.Ordinal));

    // No setting has an underscore in its name: what has one is the agent's, the tests' or
    // Kubernetes's, unless it begins like a section of ours.
    static void CheckOthers(string name, string key, Action<string> fail)
    {
        if (Sections.FirstOrDefault(s => key.StartsWith(s, StringComparison.OrdinalIgnoreCase)) is not null)
            fail($"{name}: sections and keys are joined by two underscores. Write it like WHISTLE_Alerting__Mail__Host.");
    }
}
