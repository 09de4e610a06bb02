using System.Data.Common;

using Npgsql;

namespace Whistle.State;

/// <summary>The tables, columns and named indexes of a state, as one text each.</summary>
static class StateShape
{
    const string Sqlite =
        """
        SELECT 'table ' || name FROM sqlite_schema WHERE type = 'table'
        UNION ALL SELECT 'column ' || c.name || ' of ' || t.name || CASE WHEN c.pk > 0 THEN ', a part of its key' ELSE '' END
            FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'
        UNION ALL SELECT 'index ' || name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
        """;

    const string PostgreSql =
        """
        WITH own AS (
            SELECT c.oid, relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = current_schema())
        SELECT 'table ' || relname FROM own WHERE relkind = 'r'
        UNION ALL SELECT 'column ' || attname || ' of ' || relname || CASE WHEN attnum = ANY (indkey) THEN ', a part of its key' ELSE '' END
            FROM own JOIN pg_attribute ON attrelid = own.oid LEFT JOIN pg_index ON indrelid = own.oid AND indisprimary
            WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped
        UNION ALL SELECT 'index ' || relname FROM own WHERE relkind = 'i'
        """;

    /// <summary>
    /// What the migrations that were run made and is missing, or is there although its migration was not run; null where nothing is wrong.
    /// </summary>
    /// <param name="applied">How many migrations of a stage were run.</param>
    public static async Task<string?> FaultAsync(
        DbConnection connection, IReadOnlyList<StateSchema> program, Func<string, int> applied, CancellationToken cancellation)
    {
        var found = await OfAsync(connection, cancellation);
        var known = await OfAsync(program, cancellation);
        var made = program.All(s => applied(s.Stage) == s.Scripts.Count) ? known
            : await OfAsync([.. program.Select(s => s with { Scripts = [.. s.Scripts.Take(applied(s.Stage))] })], cancellation);
        // A table that is missing says it all; its columns and indexes are missing too.
        if (made.Except(found).OrderByDescending(IsTable).FirstOrDefault() is { } missing)
            return $"the {missing} is missing";
        return known.Except(made).OrderByDescending(IsTable).FirstOrDefault(found.Contains) is { } early
            ? $"the {early} is there, but the table migrations does not have the migration that made it" : null;

        static bool IsTable(string text) => text.StartsWith("table ", StringComparison.Ordinal);
    }

    static async Task<HashSet<string>> OfAsync(IReadOnlyList<StateSchema> schemas, CancellationToken cancellation)
    {
        using var made = StateDatabase.InMemory();
        await made.MigrateAsync(schemas, isWhole: true, cancellation);
        await using var connection = await made.OpenAsync(cancellation);
        var shape = await OfAsync(connection.Kept.Inner, cancellation);
        shape.RemoveWhere(IsNobodys);
        return shape;
    }

    // SQLite's own tables, and the one that the runner of migrations makes itself.
    static bool IsNobodys(string text) => text.Contains("sqlite_", StringComparison.Ordinal)
        || text.EndsWith(" migrations", StringComparison.Ordinal) || text.Contains(" of migrations", StringComparison.Ordinal);

    static async Task<HashSet<string>> OfAsync(DbConnection connection, CancellationToken cancellation)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = connection is NpgsqlConnection ? PostgreSql : Sqlite;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        HashSet<string> shape = [];
        while (await reader.ReadAsync(cancellation))
            shape.Add(reader.GetString(0));
        return shape;
    }
}
