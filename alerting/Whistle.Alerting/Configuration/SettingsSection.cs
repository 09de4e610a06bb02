using System.Globalization;

using Whistle.PromQL;

namespace Whistle.Alerting.Configuration;

/// <summary>Reads the values of one section. What is not given, or cannot be read (which is an error then), is null.</summary>
public sealed class SettingsSection(Settings settings, string path)
{
    /// <summary>The key of the section itself.</summary>
    public string Name => path;

    /// <summary>The names of the sections in it, where they are not ours to know.</summary>
    public IReadOnlyList<string> Names() => settings.Children(path);

    static readonly List<string> Units = ["KiB", "MiB", "GiB", "TiB"];

    /// <summary>Whether any layer has anything of it.</summary>
    public bool IsGiven => settings.Has(path);

    /// <summary>Says what is wrong with one of its keys, unless its value was refused already.</summary>
    public void Fail(string name, string reason) => settings.Fail(new OptionError(Key(name), reason));

    public SettingsSection Section(string name) => settings.Section(Key(name));

    public string? Text(string name) => settings.Find(Key(name))?.Setting.Value;

    public IReadOnlyList<string>? Texts(string name) =>
        settings.Items(Key(name)) is { Count: > 0 } items ? [.. items.Select(i => i.Setting.Value!)] : null;

    /// <summary>What a section has by names that are somebody else's.</summary>
    public IReadOnlyDictionary<string, string> Free(string name) => settings.Free(Key(name)).ToDictionary(s => s.Key, s => s.Value.Value!);

    /// <summary>As <see cref="Free"/>, of paths.</summary>
    public IReadOnlyDictionary<string, string> FreePaths(string name) =>
        settings.Free(Key(name)).ToDictionary(s => s.Key, s => Whole(s.Value));

    /// <summary>One or more of an enumeration's flags, as a list or joined by commas.</summary>
    public T? Flags<T>(string name)
        where T : struct, Enum
    {
        var items = settings.Items(Key(name));
        if (items.Count == 0)
            return null;
        var flags = 0;
        // Not the one that means nothing.
        List<string> names = [.. Enum.GetValues<T>().Where(v => !v.Equals(default(T))).Select(v => v.ToString().ToLowerInvariant())];
        foreach (var (key, setting) in items)
        {
            foreach (var text in setting.Value!.Split(',', StringSplitOptions.TrimEntries))
            {
                if (names.Contains(text, StringComparer.OrdinalIgnoreCase))
                    flags |= Convert.ToInt32(Enum.Parse<T>(text, ignoreCase: true), CultureInfo.InvariantCulture);
                else
                    settings.Fail(key, setting, $"\"{text}\" is none of {string.Join(", ", names)}. Write one or more.");
            }
        }

        return flags == 0 ? null : (T)Enum.ToObject(typeof(T), flags);
    }

    /// <summary>Whole; a relative one begins where the setting stands, or at the working directory.</summary>
    public string? Path(string name) => settings.Find(Key(name)) is { } found ? Whole(found.Setting) : null;

    public IReadOnlyList<string>? Paths(string name) =>
        settings.Items(Key(name)) is { Count: > 0 } items ? [.. items.Select(i => Whole(i.Setting))] : null;

    /// <summary>Written like 2m or 1h30m, or as .NET does, like 00:02:00.</summary>
    public TimeSpan? Duration(string name) =>
        Value<TimeSpan>(name, "is not a duration. Write it like 30s, 5m, 1h30m or 00:05:00.", text => text switch
        {
            "0" => TimeSpan.Zero,
            // A bare number would be days to .NET, and 24:00:00 would be 24 of them.
            _ when text.Contains(':', StringComparison.Ordinal) =>
                TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var span) ? span : null,
            _ => Durations.TryParse(text, out var milliseconds) ? TimeSpan.FromMilliseconds(milliseconds) : null,
        });

    public int? Number(string name) => Value<int>(name, "is not a whole number. Write it in digits.", text =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null);

    /// <summary>Bytes, written like 64MiB.</summary>
    public long? Size(string name) => Value<long>(name, "is not a size. Write it like 512KiB, 64MiB or 2GiB.", text =>
        text.Length > 3 && Units.IndexOf(text[^3..]) is >= 0 and var unit
            && long.TryParse(text[..^3], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= long.MaxValue >> (10 * (unit + 1)) ? number << (10 * (unit + 1)) : text == "0" ? 0 : null);

    public bool? Truth(string name) => Value<bool>(name, "is neither true nor false. Write one of them.", text =>
        bool.TryParse(text, out var truth) ? truth : null);

    public T? Choice<T>(string name)
        where T : struct, Enum => Value<T>(name, $"is none of {string.Join(", ", Enum.GetNames<T>())}. Write one of them.", text =>
            Enum.GetNames<T>().FirstOrDefault(n => n.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } known
                ? Enum.Parse<T>(known) : null);

    public Uri? Address(string name) => settings.Find(Key(name)) is { } found ? Address(Key(name), found.Setting) : null;

    public IReadOnlyList<Uri>? Addresses(string name) =>
        settings.Items(Key(name)) is { Count: > 0 } items ? [.. items.Select(i => Address(Key(name), i.Setting)).OfType<Uri>()] : null;

    Uri? Address(string key, Setting setting)
    {
        var text = setting.Value!;
        // https://user:secret@host is a way to write a secret, so what cannot be read is not shown.
        if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" && address.UserInfo.Length == 0)
            return address;
        settings.Fail(key, setting, text.Contains('@', StringComparison.Ordinal)
            ? "an address takes no user or password. Write it like https://whistle.example.com:9480."
            : $"\"{text}\" is not an http or https address. Write it like https://whistle.example.com:9480.");
        return null;
    }

    /// <summary>A secret itself or the file that holds it; of the two, that of the later layer counts, and in one layer the file.</summary>
    public (string? Value, string? File) Secret(string name, string fileName)
    {
        var (value, file) = (settings.Find(Key(name)), settings.Find(Key(fileName)));
        if (file is null || value?.Layer > file.Value.Layer)
            return (value?.Setting.Value, null);
        var setting = file.Value.Setting;
        // Whoever mixes up the two keys has the secret here.
        if (!setting.Value!.AsSpan().ContainsAny('/', '\\') && !System.IO.File.Exists(Whole(setting)))
            settings.Fail(Key(fileName), setting, "there is no such file; its name is not shown, because it may be the secret itself. "
                + "Write the full path of a file that contains the secret.");
        return (null, Whole(setting));
    }

    T? Value<T>(string name, string reason, Func<string, T?> parse)
        where T : struct
    {
        if (settings.Find(Key(name)) is not { Setting: { Value: { } text } setting })
            return null;
        if (parse(text) is { } value)
            return value;
        settings.Fail(Key(name), setting, $"\"{text}\" {reason}");
        return null;
    }

    static string Whole(Setting setting) => System.IO.Path.GetFullPath(setting.Value!, setting.Folder);

    string Key(string name) => path.Length == 0 ? name : $"{path}:{name}";
}
