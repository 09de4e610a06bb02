using Microsoft.Data.Sqlite;

namespace Whistle.Alerting.Outbox;

/// <summary>SQL with its parameters, on a connection and its transaction.</summary>
static class Statement
{
    public static int Execute(this SqliteTransaction transaction, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var command = transaction.Connection!.Prepare(sql, parameters);
        command.Transaction = transaction;
        return command.ExecuteNonQuery();
    }

    public static object? Scalar(this SqliteTransaction transaction, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var command = transaction.Connection!.Prepare(sql, parameters);
        command.Transaction = transaction;
        return command.ExecuteScalar() is var value and not DBNull ? value : null;
    }

    public static List<T> Query<T>(
        this SqliteTransaction transaction, string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var command = transaction.Connection!.Prepare(sql, parameters);
        command.Transaction = transaction;
        return Read(command, read);
    }

    public static List<T> Query<T>(
        this SqliteConnection connection, string sql, Func<SqliteDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var command = connection.Prepare(sql, parameters);
        return Read(command, read);
    }

    static List<T> Read<T>(SqliteCommand command, Func<SqliteDataReader, T> read)
    {
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
            rows.Add(read(reader));
        return rows;
    }

    public static DateTimeOffset Instant(this SqliteDataReader reader, int column) => DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(column));

    public static DateTimeOffset? OptionalInstant(this SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.Instant(column);

    public static string? OptionalText(this SqliteDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    static SqliteCommand Prepare(this SqliteConnection connection, string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var command = connection.CreateCommand();
#pragma warning disable CA2100 // Every text is a constant of this project.
        command.CommandText = sql;
#pragma warning restore CA2100
        foreach (var (name, value) in parameters)
            command.Parameters.AddWithValue(name, value is DateTimeOffset at ? at.ToUnixTimeMilliseconds() : value ?? DBNull.Value);
        return command;
    }
}
