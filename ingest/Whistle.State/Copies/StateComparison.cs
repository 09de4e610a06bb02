using System.Data.Common;
using System.Security.Cryptography;
using System.Text;

namespace Whistle.State.Copies;

/// <summary>A table that is the same on both sides.</summary>
/// <param name="Hash">SHA-256 over all its rows in the order of their keys, in hexadecimal.</param>
public sealed record ComparedTable(string Name, long Rows, string Hash);

/// <summary>
/// Reads two states row by row, side by side. It asks both what they have, so that what the copy forgot is missing here too. Nothing of it
/// is the copy's but what a text becomes in PostgreSQL.
/// </summary>
static class StateComparison
{
    const string SqliteTables =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN ('migrations', 'reserve')";

    const string SqliteColumns = "SELECT name, pk FROM pragma_table_info('{0}') ORDER BY name";

    const string PostgreSqlTables = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";

    /// <exception cref="StateException">They are not the same.</exception>
    public static async Task<IReadOnlyList<ComparedTable>> RunAsync(
        DbConnection source, DbConnection target, Action<CopyProgress> tell, CancellationToken cancellation)
    {
        // Somebody's own tables beside Whistle's are in one of the two alone.
        var there = (await RowsAsync(target, PostgreSqlTables, cancellation)).Select(r => (string)r[0]!).ToHashSet(StringComparer.Ordinal);
        List<ComparedTable> tables = [];
        foreach (var name in (await RowsAsync(source, SqliteTables, cancellation)).Select(r => (string)r[0]!).Where(there.Contains))
        {
            var columns = await RowsAsync(source, string.Format(null, CompositeFormat.Parse(SqliteColumns), name), cancellation);
            tables.Add(await CompareAsync(source, target, name, columns, tell, cancellation));
        }

        return tables;
    }

    static async Task<ComparedTable> CompareAsync(
        DbConnection source, DbConnection target, string name, List<object?[]> columns, Action<CopyProgress> tell,
        CancellationToken cancellation)
    {
        var key = columns.Where(c => (long)c[1]! > 0).OrderBy(c => (long)c[1]!).ToList();
        var sql = $"SELECT {List(columns)} FROM \"{name}\" ORDER BY {List(key.Count > 0 ? key : columns)}";
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await using var one = Command(source, sql);
        await using var other = Command(target, sql);
        await using var left = await one.ExecuteReaderAsync(cancellation);
        await using var right = await other.ExecuteReaderAsync(cancellation);
        var rows = 0L;
        while (true)
        {
            var (isLeft, isRight) = (await left.ReadAsync(cancellation), await right.ReadAsync(cancellation));
            if (!isLeft && !isRight)
                break;
            var (a, b) = (isLeft ? Text(left) : null, isRight ? Text(right) : null);
            if (a != b)
                throw new StateException(
                    $"The copy is not the same: row {rows + 1} of {name}, in the order of its key, differs. The database must not be used. "
                    + "Drop its schema, and copy again; if it happens again, report it with the output of `whistle data check`.");
            hash.AppendData(Encoding.UTF8.GetBytes(a!));
            if (++rows % 10_000 == 0)
                tell(new($"comparing {name}", rows, 0));
        }

        return new(name, rows, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    static string List(IEnumerable<object?[]> columns) => string.Join(", ", columns.Select(c => $"\"{c[0]}\""));

    // Each value with its type and length, so that no two rows read alike.
    static string Text(DbDataReader row)
    {
        var text = new StringBuilder();
        for (var i = 0; i < row.FieldCount; i++)
        {
            if (row.IsDBNull(i))
                text.Append("n;");
            else if (row.GetValue(i) is string words && StateDialect.Text(words) is var stored)
                text.Append('s').Append(stored.Length).Append(':').Append(stored).Append(';');
            else
                text.Append('i').Append(row.GetInt64(i)).Append(';');
        }

        return text.ToString();
    }

    static async Task<List<object?[]>> RowsAsync(DbConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = Command(connection, sql);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        List<object?[]> rows = [];
        while (await reader.ReadAsync(cancellation))
            rows.Add([.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetValue)]);
        return rows;
    }

    static DbCommand Command(DbConnection connection, string sql)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // Made of the names of tables and columns.
        command.CommandText = sql;
#pragma warning restore CA2100
        return command;
    }
}
