using System.Data.Common;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Whistle.State;

/// <summary>What rows of the state are read and written with.</summary>
public static partial class StateSql
{
    static long _revision = (BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8)) & (long.MaxValue >> 1)) + 1;

    /// <summary>
    /// For the column <c>revision</c> of a row that is written: see <see cref="RevisedRows{T}"/>. No two processes draw the same.
    /// </summary>
    public static long NewRevision() => Interlocked.Increment(ref _revision);

    // SQLite reads a text as the number 0.
    public static DateTimeOffset Instant(this DbDataReader reader, int column) => reader.GetFieldType(column) == typeof(long)
        ? DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(column))
        : throw new InvalidDataException($"{reader.GetName(column)} is not an instant");

    public static DateTimeOffset? OptionalInstant(this DbDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.Instant(column);

    public static string? OptionalText(this DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    // Where nobody reads past it: see RowReader.
    internal static T Row<T>(string sql, DbDataReader reader, Func<DbDataReader, T> read)
    {
        try
        {
            return read(reader);
        }
        catch (Exception e) when (
            e is InvalidCastException or FormatException or OverflowException or ArgumentException or InvalidDataException
                or InvalidOperationException or JsonException)
        {
            throw new DamagedRowException(
                $"A row of {Table().Match(sql).Groups[1].Value} is damaged: {e.Message.TrimEnd('.')}. "
                + "Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.", e);
        }
    }

    [GeneratedRegex(@"\b(?:FROM|INTO|UPDATE)\s+(\w+)")]
    private static partial Regex Table();

    internal static object Stored(object? value, bool isPostgreSql) => value switch
    {
        null => DBNull.Value,
        DateTimeOffset instant => instant.ToUnixTimeMilliseconds(),
        Enum name => name.ToString(),
        string text when isPostgreSql => StateDialect.Text(text),
        _ => value,
    };
}
