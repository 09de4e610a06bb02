using System.Data.Common;

using Microsoft.Data.Sqlite;

using Npgsql;

using NpgsqlTypes;

namespace Whistle.State.Copies;

/// <summary>A table of the program's, and what reads it from SQLite and writes it to PostgreSQL.</summary>
/// <param name="Key">The columns of its primary key in their order; empty where it has none.</param>
sealed record CopiedTable(string Name, IReadOnlyList<(string Name, string Type)> Columns, IReadOnlyList<string> Key)
{
    // The runner of migrations writes the one itself, and what fills the reserve of a disk is no state.
    static readonly string[] Left = ["migrations", "reserve"];

    public string Quoted => Quote(Name);

    public string Count => $"SELECT count(*) FROM {Quoted}";

    public string Last => $"SELECT {Keys(", ")} FROM {Quoted} ORDER BY {Keys(" DESC, ")} DESC LIMIT 1";

    public string Import => $"COPY {Quoted} ({string.Join(", ", Columns.Select(c => Quote(c.Name)))}) FROM STDIN (FORMAT BINARY)";

    /// <summary>All of it where nothing tells where to go on from.</summary>
    public int BatchOf(int usual) => Key.Count == 0 ? int.MaxValue : usual;

    /// <summary>The tables that the migrations make, each after those that it refers to.</summary>
    public static async Task<IReadOnlyList<CopiedTable>> AllAsync(IReadOnlyList<StateSchema> program, CancellationToken cancellation)
    {
        const string columns = "SELECT name, type, pk FROM pragma_table_info($table)";
        using var made = StateDatabase.InMemory();
        await made.MigrateAsync([StateSchema.Own, .. program], isWhole: true, cancellation);
        await using var connection = await made.OpenAsync(cancellation);
        var names = await connection.QueryAsync(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid", r => r.GetString(0),
            cancellation);
        List<CopiedTable> tables = [];
        foreach (var name in names.Except(Left))
        {
            var found = await connection.QueryAsync(
                columns, r => (Name: r.GetString(0), Type: r.GetString(1), Key: r.GetInt64(2)), cancellation, ("$table", name));
            tables.Add(new(
                name, [.. found.Select(c => (c.Name, c.Type))], [.. found.Where(c => c.Key > 0).OrderBy(c => c.Key).Select(c => c.Name)]));
        }

        return tables;
    }

    /// <param name="key">Of the last row that is not wanted any more; null for all rows.</param>
    public void SelectAfter(DbCommand command, IReadOnlyList<object>? key)
    {
        var where = key is null ? "" : $" WHERE ({Keys(", ")}) > ({string.Join(", ", key.Select((_, i) => $"$key{i}"))})";
        var order = Key.Count == 0 ? "" : $" ORDER BY {Keys(", ")}";
#pragma warning disable CA2100 // Names of the migrations alone.
        command.CommandText = $"SELECT {string.Join(", ", Columns.Select(c => Quote(c.Name)))} FROM {Quoted}{where}{order}";
#pragma warning restore CA2100
        foreach (var (i, value) in (key ?? []).Index())
            command.Parameters.Add(new SqliteParameter($"$key{i}", value));
    }

    /// <returns>Whether PostgreSQL cannot hold the text as it is.</returns>
    /// <exception cref="StateException">SQLite holds something there that does not belong into the column.</exception>
    public async Task<bool> WriteAsync(NpgsqlBinaryImporter import, DbDataReader row, int column, CancellationToken cancellation)
    {
        switch (row.GetValue(column), Columns[column].Type)
        {
            case (DBNull, _):
                await import.WriteNullAsync(cancellation);
                return false;
            case (long number, "INTEGER"):
                await import.WriteAsync(number, NpgsqlDbType.Bigint, cancellation);
                return false;
            case (string text, "TEXT"):
                var stored = StateDialect.Text(text);
                await import.WriteAsync(stored, NpgsqlDbType.Text, cancellation);
                return stored != text;
            case var (value, type):
                var key = string.Join(", ", Columns.Index().Where(c => Key.Contains(c.Item.Name)).Select(c => row.GetValue(c.Index)));
                throw new StateException(
                    $"The row {key} of {Name} is damaged: {Columns[column].Name} holds a {value.GetType().Name} where {type} belongs, "
                    + "which PostgreSQL does not take. Restore a backup, or repair or delete the row in the file; then run this again.");
        }
    }

    public static string Quote(string name) => $"\"{name}\"";

    string Keys(string separator) => string.Join(separator, Key.Select(Quote));
}
