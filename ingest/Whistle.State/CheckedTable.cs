using System.Buffers;
using System.Buffers.Binary;
using System.Data.Common;
using System.IO.Hashing;
using System.Text;

namespace Whistle.State;

/// <summary>
/// A table whose rows carry a checksum over what they say, the table's name and their key. It is against damage, not against forgery:
/// whoever may write the state may write a checksum.
/// </summary>
/// <param name="name">The table's.</param>
/// <param name="key">Its key, a part of the columns.</param>
/// <param name="columns">What is checked.</param>
/// <param name="checksum">The column of the checksum; null in a row that is to be sealed.</param>
public sealed class CheckedTable(string name, string[] key, string[] columns, string checksum = "checksum")
{
    [ThreadStatic]
    static ArrayBufferWriter<byte>? _buffer;

    readonly string _where = string.Join(" AND ", key.Select(k => $"{k} = ${k}"));

    public string Name => name;

    public IReadOnlyList<string> Key => key;

    /// <summary>The columns and, after them, the checksum; of an alias where one is named.</summary>
    public string Columns(string alias = "") => string.Join(", ", columns.Append(checksum).Select(c => alias + c));

    public int Count => columns.Length;

    /// <param name="values">In the order of the columns, as they are written.</param>
    public long Of(params ReadOnlySpan<object?> values)
    {
        var buffer = _buffer ??= new(512);
        buffer.ResetWrittenCount();
        Add(buffer, name);
        foreach (var value in values)
            Add(buffer, StateSql.Stored(value, isPostgreSql: true));
        return (long)XxHash3.HashToUInt64(buffer.WrittenSpan);
    }

    /// <summary>Whether the row at the reader says what was written.</summary>
    /// <param name="from">Where the columns stand that <see cref="Columns"/> names.</param>
    public bool Holds(DbDataReader reader, int from = 0) =>
        reader.GetValue(from + columns.Length) is long stored && stored == Of(Values(reader, from));

    /// <summary>Gives a checksum to the rows that have none.</summary>
    public async Task FillAsync(StateConnection connection, CancellationToken cancellation)
    {
        var update = $"UPDATE {name} SET {checksum} = $checksum WHERE {_where}";
        var select = $"SELECT {string.Join(", ", columns)} FROM {name} WHERE {checksum} IS NULL";
        foreach (var values in await connection.QueryAsync(select, r => Values(r, 0), cancellation))
        {
            (string, object?)[] parameters = [("$checksum", Of(values)), .. key.Select(k => ($"${k}", values[Array.IndexOf(columns, k)]))];
            await connection.ExecuteAsync(update, cancellation, parameters);
        }
    }

    /// <summary>Makes the table again from these rows alone: a damaged row may not be found by its key.</summary>
    internal async Task RewriteAsync(StateConnection connection, IEnumerable<object?[]> rows, CancellationToken cancellation)
    {
        await connection.ExecuteAsync($"DELETE FROM {name}", cancellation);
        var insert = $"INSERT INTO {name} ({Columns()}) VALUES ({string.Join(", ", columns.Append(checksum).Select(c => $"${c}"))})";
        foreach (var values in rows)
        {
            (string, object?)[] parameters = [.. columns.Zip(values, (c, v) => ($"${c}", v)), ($"${checksum}", Of(values))];
            await connection.ExecuteAsync(insert, cancellation, parameters);
        }
    }

    internal object?[] Values(DbDataReader reader, int from)
    {
        var values = new object?[columns.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = reader.GetValue(from + i);
        return values;
    }

    // Each value with its type and length, so that no two rows are written alike.
    static void Add(ArrayBufferWriter<byte> buffer, object? value)
    {
        switch (value)
        {
            case null or DBNull:
                Add(buffer, 'n', 0);
                break;
            case string text:
                // Beyond what an engine could not keep as it was, such as NUL, they do not read the same.
                var read = StateDialect.Text(text).AsSpan();
                read = read.IndexOf('\uFFFD') is >= 0 and var end ? read[..end] : read;
                Add(buffer, 's', Encoding.UTF8.GetByteCount(read));
                Encoding.UTF8.GetBytes(read, buffer);
                break;
            case byte[] bytes:
                Add(buffer, 'b', bytes.Length);
                buffer.Write(bytes);
                break;
            case double number:
                Add(buffer, 'd', BitConverter.DoubleToInt64Bits(number));
                break;
            default:
                Add(buffer, 'i', Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture));
                break;
        }
    }

    static void Add(ArrayBufferWriter<byte> buffer, char type, long number)
    {
        var span = buffer.GetSpan(9);
        span[0] = (byte)type;
        BinaryPrimitives.WriteInt64LittleEndian(span[1..], number);
        buffer.Advance(9);
    }
}

/// <summary>What was read of a table that is sealed.</summary>
/// <param name="Rows">Those whose checksum is right.</param>
/// <param name="Fault">What is wrong with the table; null where it is whole.</param>
public sealed record SealedRows<T>(IReadOnlyList<T> Rows, string? Fault);

/// <summary>
/// A checked table of which the state also keeps how many rows it has and the sum of their checksums, so that a row which is missing or
/// came back is seen too. Read again only when that sum is another.
/// </summary>
public sealed class SealedTable<T>(CheckedTable table, Func<DbDataReader, T> read)
{
    readonly System.Runtime.CompilerServices.ConditionalWeakTable<StateDatabase, Verified> _verified = [];

    /// <param name="seals">From the same transaction.</param>
    public async Task<SealedRows<T>> ReadAsync(StateConnection connection, StateSeals seals, CancellationToken cancellation)
    {
        var database = connection.Source;
        var seal = seals[table.Name];
        if (seal is not null && _verified.TryGetValue(database, out var known) && known.Seal == seal)
            return new(known.Rows, null);
        var (rows, damaged, found) = await AllAsync(connection, cancellation);
        var fault = damaged > 0 ? $"{damaged} of the {found.Size} rows of {table.Name} are damaged"
            : found != seal ? $"rows of {table.Name} are missing or were not written by Whistle" : null;
        if (fault is null)
            _verified.AddOrUpdate(database, new(found, [.. rows.Select(r => r.Row)]));
        return new([.. rows.Select(r => r.Row)], fault);
    }

    /// <summary>Drops what is damaged, and takes the rest for the table.</summary>
    public async Task RewriteAsync(StateConnection connection, CancellationToken cancellation)
    {
        var (rows, _, _) = await AllAsync(connection, cancellation);
        await table.RewriteAsync(connection, [.. rows.Select(r => r.Values)], cancellation);
        await SealAsync(connection, cancellation);
    }

    /// <summary>
    /// Gives new rows their checksums, and seals the table as it is. To be called only where it was whole before the change.
    /// </summary>
    public async Task SealAsync(StateConnection connection, CancellationToken cancellation)
    {
        await table.FillAsync(connection, cancellation);
        var (_, _, found) = await AllAsync(connection, cancellation);
        await StateSeals.SetAsync(connection, table.Name, found, cancellation);
    }

    async Task<(List<(T Row, object?[] Values)> Rows, int Damaged, StateSeal Found)> AllAsync(
        StateConnection connection, CancellationToken cancellation)
    {
        var rows = await connection.QueryAsync(
            $"SELECT {table.Columns()} FROM {table.Name} ORDER BY {string.Join(", ", table.Key)}",
            r => table.Holds(r) ? (Row: read(r), Values: table.Values(r, 0), Checksum: r.GetInt64(table.Count))
                : default((T Row, object?[] Values, long Checksum)?),
            cancellation);
        var whole = rows.Where(r => r is not null).Select(r => r!.Value).ToList();
        var total = whole.Aggregate(0L, (sum, r) => unchecked(sum + r.Checksum));
        return ([.. whole.Select(r => (r.Row, r.Values))], rows.Count - whole.Count, new(rows.Count, total));
    }

    sealed record Verified(StateSeal Seal, IReadOnlyList<T> Rows);
}

/// <summary>How many rows a table has, and the sum of their checksums.</summary>
public sealed record StateSeal(long Size, long Total)
{
    internal StateSeal Plus(StateSeal other) => new(Size + other.Size, unchecked(Total + other.Total));
}

/// <summary>The seals of all tables, as of one transaction.</summary>
public sealed class StateSeals
{
    // Parts of a table's seal, which clusters change apart from one another, have its name and theirs.
    const char Part = '\n';

    readonly Dictionary<string, StateSeal> _seals;

    StateSeals(Dictionary<string, StateSeal> seals) => _seals = seals;

    /// <summary>Null where it is missing.</summary>
    public StateSeal? this[string table] => _seals.GetValueOrDefault(table);

    public static async Task<StateSeals> ReadAsync(StateConnection connection, CancellationToken cancellation)
    {
        var rows = await connection.QueryAsync(
            "SELECT scope, size, total FROM seals", r => (Scope: r.GetString(0), Seal: new StateSeal(r.GetInt64(1), r.GetInt64(2))),
            cancellation);
        // A part without the whole says nothing.
        return new(rows.DistinctBy(s => s.Scope).GroupBy(s => s.Scope.Split(Part)[0]).Where(g => g.Any(s => s.Scope == g.Key))
            .ToDictionary(g => g.Key, g => g.Select(s => s.Seal).Aggregate((a, b) => a.Plus(b))));
    }

    /// <summary>One row more, or less; of a table that was whole before.</summary>
    /// <param name="part">What of the table the caller has the scope of, such as a cluster; others change theirs at the same time.</param>
    public static async Task AddAsync(
        StateConnection connection, string table, string part, int rows, long checksum, CancellationToken cancellation)
    {
        var scope = $"{table}{Part}{part}";
        var seal = (await connection.QueryAsync(
            "SELECT size, total FROM seals WHERE scope = $scope", r => new StateSeal(r.GetInt64(0), r.GetInt64(1)), cancellation,
            ("$scope", scope)))
            .FirstOrDefault() ?? new(0, 0);
        await SetAsync(connection, scope, seal.Plus(new(rows, unchecked(rows * checksum))), cancellation);
    }

    internal static async Task SetAsync(StateConnection connection, string table, StateSeal seal, CancellationToken cancellation)
    {
        // The whole stands for all of its parts.
        if (!table.Contains(Part))
            await connection.ExecuteAsync("DELETE FROM seals WHERE scope LIKE $parts", cancellation, ("$parts", $"{table}{Part}%"));
        await connection.ExecuteAsync(
            """
            INSERT INTO seals (scope, size, total) VALUES ($scope, $size, $total)
            ON CONFLICT (scope) DO UPDATE SET size = excluded.size, total = excluded.total
            """,
            cancellation, ("$scope", table), ("$size", seal.Size), ("$total", seal.Total));
    }
}
