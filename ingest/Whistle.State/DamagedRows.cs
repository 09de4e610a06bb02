using System.Data.Common;

using Whistle.State.Health;

namespace Whistle.State;

/// <summary>Reads the rows of a table each by itself: a damaged one stays where it is, is skipped, reported and logged once.</summary>
/// <param name="Table">Its name.</param>
/// <param name="Means">What follows from a damaged row, and what to do.</param>
public sealed record RowReader(string Table, string Means)
{
    /// <param name="sql">Its last column names the row.</param>
    public Task<List<T>> QueryAsync<T>(
        StateConnection connection, string sql, Func<DbDataReader, T> read, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var database = connection.Source;
        return WholeAsync(connection.QueryAsync(
            sql,
            reader =>
            {
                var row = reader.GetValue(reader.FieldCount - 1).ToString()!;
                try
                {
                    var value = read(reader);
                    database.Reads(Table, row);
                    return (IsWhole: true, Value: value);
                }
                catch (Exception e) when (e is not DbException)
                {
                    database.Damaged(this, row, e);
                    return (IsWhole: false, Value: default(T)!);
                }
            },
            cancellation,
            parameters));
    }

    static async Task<List<T>> WholeAsync<T>(Task<List<(bool IsWhole, T Value)>> rows) =>
        [.. (await rows).Where(r => r.IsWhole).Select(r => r.Value)];
}

public static class StoredNames
{
    /// <exception cref="InvalidDataException">The text names none.</exception>
    public static T Named<T>(this DbDataReader reader, int column)
        where T : struct, Enum => Enum.TryParse<T>(reader.GetString(column), out var value) && Enum.IsDefined(value)
        ? value : throw new InvalidDataException($"\"{reader.GetString(column)}\" is no {typeof(T).Name}");
}

public sealed partial class StateDatabase
{
    readonly System.Collections.Concurrent.ConcurrentDictionary<(string Table, string Row), bool> _damaged = new();

    /// <summary>Whether the row was damaged when it was read last.</summary>
    public bool IsDamaged(string table, string row) => _damaged.ContainsKey((table, row));

    internal void Damaged(RowReader reader, string row, Exception error)
    {
        if (!_damaged.TryAdd((reader.Table, row), true))
            return;
        var reason = $"Row {row} of {reader.Table} is damaged ({error.Message.ReplaceLineEndings(" ").TrimEnd('.')}), so {reader.Means}";
        _health?.Report(Component, $"{reader.Table} {row}", HealthState.Degraded, reason);
        _logger?.RowDamaged(reason);
    }

    internal void Reads(string table, string row)
    {
        if (!_damaged.IsEmpty && _damaged.TryRemove((table, row), out _))
            _health?.Clear(Component, $"{table} {row}");
    }
}
