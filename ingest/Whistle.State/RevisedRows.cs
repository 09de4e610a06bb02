using System.Collections.Concurrent;
using System.Data.Common;

namespace Whistle.State;

/// <summary>
/// Rows that are read again and again between two changes, remembered by their revision: a new number with every write
/// (<see cref="StateSql.NewRevision"/>; 0 for rows that have none). What is remembered is shared, so it must be immutable. Emptied when it
/// is full.
/// </summary>
/// <param name="columns">Beside <c>id</c> and <c>revision</c>; the table's alias is r.</param>
/// <param name="read">The columns stand from number 2 on.</param>
/// <param name="means">What follows from a damaged row, which is then skipped; null where <paramref name="read"/> does not throw.</param>
public sealed class RevisedRows<T>(string table, string columns, Func<DbDataReader, T> read, string? means = null, int most = 30_000)
{
    // From here on, one question for all is less than one for each.
    const int Many = 16;

    readonly ConcurrentDictionary<(long Database, long Revision), T> _known = new();
    readonly string _select = $"SELECT r.id, r.revision, {columns}, r.id FROM {table} r WHERE r.id";
    readonly RowReader? _reader = means is null ? null : new(table, means);

    /// <param name="sql">Selects <c>id</c> and <c>revision</c>, in the order of the answer.</param>
    public Task<IReadOnlyList<T>> QueryAsync(
        StateConnection connection, string sql, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        QueryAsync(connection, sql, parameters.ToArray(), cancellation);

    async Task<IReadOnlyList<T>> QueryAsync(
        StateConnection connection, string sql, (string Name, object? Value)[] parameters, CancellationToken cancellation)
    {
        var database = connection.Source.Number;
        var keys = await connection.QueryAsync(sql, static r => (Id: r.GetString(0), Revision: r.GetInt64(1)), cancellation, parameters);
        var rows = new List<T>(keys.Count);
        Dictionary<string, T>? fresh = null;
        if (keys.Count(k => !_known.ContainsKey((database, k.Revision))) > Many)
        {
            var all = await ReadAsync(connection, $"{_select} IN (SELECT k.id FROM ({sql}) k)", cancellation, parameters);
            fresh = all.ToDictionary(r => r.Id, r => r.Row);
        }

        foreach (var (id, revision) in keys)
        {
            if (_known.TryGetValue((database, revision), out var known) || fresh?.TryGetValue(id, out known) is true)
                rows.Add(known!);
            else if (await ReadAsync(connection, $"{_select} = $id", cancellation, ("$id", id)) is [var found])
                rows.Add(found.Row);
        }

        return rows;
    }

    Task<List<(string Id, T Row)>> ReadAsync(
        StateConnection connection, string sql, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var database = connection.Source.Number;
        return _reader is null
            ? connection.QueryAsync(sql, r => Keep(database, r), cancellation, parameters)
            : _reader.QueryAsync(connection, sql, r => Keep(database, r), cancellation, parameters);
    }

    (string Id, T Row) Keep(long database, DbDataReader reader)
    {
        var (id, revision, row) = (reader.GetString(0), reader.GetInt64(1), read(reader));
        if (revision != 0)
        {
            if (_known.Count >= most)
                _known.Clear();
            _known[(database, revision)] = row;
        }

        return (id, row);
    }
}
