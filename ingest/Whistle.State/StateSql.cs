using System.Data.Common;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Whistle.State;

/// <summary>
/// Statements over the state. They take part in the connection's open transaction. Instants are stored as milliseconds
/// since 1970 UTC; texts of statements are constants, values always parameters.
/// </summary>
public static partial class StateSql
{
    static long _revision = (BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8)) & (long.MaxValue >> 1)) + 1;

    /// <summary>
    /// Begins a transaction that reads and writes: no other writes until it ends, so what it has read stays true. To be used wherever a write
    /// depends on what was read. Others go on to read what was before.
    /// </summary>
    public static DbTransaction BeginWrite(this DbConnection connection) => ((StateConnection)connection).BeginWrite();

    /// <summary>Begins a transaction that only reads, all of it as of one moment.</summary>
    public static DbTransaction BeginRead(this DbConnection connection) => ((StateConnection)connection).BeginRead();

    /// <summary>Returns the number of rows that were changed. Outside of a transaction it is one of its own.</summary>
    public static int Execute(this DbConnection connection, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var state = (StateConnection)connection;
        if (state.Current is { IsWrite: false })
            throw new InvalidOperationException("A transaction that reads cannot write; begin it with BeginWrite.");
        using var own = state.Current is null ? state.BeginWrite() : null;
        var command = Command(state, sql, parameters);
        var changed = Run(state, command, static c => c.ExecuteNonQuery());
        state.Kept.Give(sql, command);
        own?.Commit();
        return changed;
    }

    /// <summary>A statement that changes rows and returns them needs <see cref="BeginWrite"/>.</summary>
    public static List<T> Query<T>(
        this DbConnection connection, string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var state = (StateConnection)connection;
        var command = Command(state, sql, parameters);
        var rows = Run(state, command, c => ReadAll(c, r => Read(sql, r, read)));
        state.Kept.Give(sql, command);
        return rows;
    }

    /// <summary>For the column <c>revision</c> of a row that is written: see <see cref="RevisedRows{T}"/>. No two processes draw the same.</summary>
    public static long NewRevision() => Interlocked.Increment(ref _revision);

    // SQLite reads a text as the number 0.
    public static DateTimeOffset Instant(this DbDataReader reader, int column) => reader.GetFieldType(column) == typeof(long)
        ? DateTimeOffset.FromUnixTimeMilliseconds(reader.GetInt64(column)) : throw new InvalidDataException($"{reader.GetName(column)} is no instant");

    public static DateTimeOffset? OptionalInstant(this DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.Instant(column);

    public static string? OptionalText(this DbDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    /// <summary>Runs a script of several statements, in the connection's open transaction where there is one.</summary>
    internal static void Script(this DbConnection connection, string sql)
    {
        var state = (StateConnection)connection;
        using var command = state.Kept.Inner.CreateCommand();
#pragma warning disable CA2100 // Every script is a constant of the stage that calls.
        command.CommandText = state.Source.IsPostgreSql ? StateDialect.Script(sql) : sql;
#pragma warning restore CA2100
        state.Guarded(_ => command.ExecuteNonQuery());
    }

    static List<T> ReadAll<T>(DbCommand command, Func<DbDataReader, T> read)
    {
        using var reader = command.ExecuteReader();
        var rows = new List<T>();
        while (reader.Read())
            rows.Add(read(reader));
        return rows;
    }

    // Where nobody reads past it: see RowReader.
    static T Read<T>(string sql, DbDataReader reader, Func<DbDataReader, T> read)
    {
        try
        {
            return read(reader);
        }
        catch (Exception e) when (
            e is InvalidCastException or FormatException or OverflowException or ArgumentException or InvalidDataException or InvalidOperationException or JsonException)
        {
            throw new DamagedRowException(
                $"A row of {Table().Match(sql).Groups[1].Value} is damaged: {e.Message.TrimEnd('.')}. "
                + "Restore a backup with `whistle backup restore`, or stop the server and repair or delete the row.", e);
        }
    }

    [GeneratedRegex(@"\b(?:FROM|INTO|UPDATE)\s+(\w+)")]
    private static partial Regex Table();

    // One that failed is not used again.
    static T Run<T>(StateConnection connection, DbCommand command, Func<DbCommand, T> work)
    {
        try
        {
            return connection.Guarded(_ => work(command));
        }
        catch
        {
            command.Dispose();
            throw;
        }
    }

    static DbCommand Command(StateConnection connection, string sql, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        var command = connection.Kept.Take(sql);
        command.Transaction = connection.Current?.Inner;
        if (!HasNames(command, parameters))
        {
            command.Parameters.Clear();
            foreach (var (name, _) in parameters)
            {
                var parameter = command.CreateParameter();
                parameter.ParameterName = connection.Source.IsPostgreSql ? name[1..] : name;
                command.Parameters.Add(parameter);
            }
        }

        for (var i = 0; i < parameters.Length; i++)
            command.Parameters[i].Value = Stored(parameters[i].Value, connection.Source.IsPostgreSql);
        return command;
    }

    static bool HasNames(DbCommand command, ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        if (command.Parameters.Count != parameters.Length)
            return false;
        for (var i = 0; i < parameters.Length; i++)
        {
            if (command.Parameters[i].ParameterName != parameters[i].Name)
                return false;
        }

        return true;
    }

    internal static object Stored(object? value, bool isPostgreSql) => value switch
    {
        null => DBNull.Value,
        DateTimeOffset instant => instant.ToUnixTimeMilliseconds(),
        Enum name => name.ToString(),
        string text when isPostgreSql => StateDialect.Text(text),
        _ => value,
    };
}
