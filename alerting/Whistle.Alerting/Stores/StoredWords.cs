using System.Data.Common;

namespace Whistle.Alerting.Stores;

/// <summary>The words that the state keeps for the members of an enum: their names in lower case.</summary>
static class StoredWords
{
    public static string Word<T>(this T value)
        where T : struct, Enum => Of<T>.Words[value];

    /// <exception cref="InvalidDataException">The text is no such word.</exception>
    public static T Word<T>(this DbDataReader reader, int column)
        where T : struct, Enum => Of<T>.Values.TryGetValue(reader.GetString(column), out var value)
        ? value : throw new InvalidDataException($"\"{reader.GetString(column)}\" is no {typeof(T).Name}");

    static class Of<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> Words = Enum.GetValues<T>().ToDictionary(v => v, v => v.ToString().ToLowerInvariant());
        public static readonly Dictionary<string, T> Values = Words.ToDictionary(w => w.Value, w => w.Key);
    }
}
