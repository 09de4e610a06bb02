using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

using static Whistle.Inventory.RegisterEntry;

namespace Whistle.Inventory;

/// <summary>What people may write into the register, and how it is stored.</summary>
static partial class RegisterTexts
{
    static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Why it is not taken; null where it is.</summary>
    public static string? MistakeIn(RegisterChange change) =>
        change.Name is { } name && (name.Trim().Length is 0 or > LongestName || name.Any(char.IsControl))
            ? $"name: a name has 1 to {LongestName} characters on one line."
        : change.Notes is { Length: > LongestNotes } ? $"notes: they have at most {LongestNotes} characters."
        : change.Contacts is { Count: > MostTexts } ? $"contacts: there are at most {MostTexts}."
        : change.Contacts?.Any(c => !IsLine(c)) is true
            ? $"contacts: each has 1 to {LongestText} characters on one line."
        : change.Labels is { Count: > MostTexts } ? $"labels: there are at most {MostTexts}."
        : change.Labels?.FirstOrDefault(l => !LabelName().IsMatch(l.Key) || !IsLine(l.Value)) is { Key: not null } label
            ? $"labels: \"{label.Key}\" is not taken. Names have small letters, digits, dots, dashes and underscores, up to 63; "
                + $"values have 1 to {LongestText} characters on one line."
        : null;

    public static RegisterEntry With(RegisterEntry entry, RegisterChange change) => new(
        change.Name?.Trim() ?? entry.Name, change.Contacts ?? entry.Contacts, change.Notes ?? entry.Notes, change.Labels ?? entry.Labels);

    public static RegisterEntry Fresh(string id) => new(id, [], "", new Dictionary<string, string>());

    public static string Write(IReadOnlyList<string> texts) => JsonSerializer.Serialize(texts, Json);

    public static string Write(IReadOnlyDictionary<string, string> labels) =>
        JsonSerializer.Serialize(labels.OrderBy(l => l.Key, StringComparer.Ordinal).ToDictionary(), Json);

    public static IReadOnlyList<string> Texts(string json) => JsonSerializer.Deserialize<List<string>>(json) ?? [];

    public static IReadOnlyDictionary<string, string> Labels(string json) =>
        JsonSerializer.Deserialize<Dictionary<string, string>>(json) ?? [];

    static bool IsLine(string? text) => text?.Trim().Length is > 0 and <= LongestText && !text.Any(char.IsControl);

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,62}\z")]
    private static partial Regex LabelName();
}
