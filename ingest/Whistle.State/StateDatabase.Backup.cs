using Microsoft.Data.Sqlite;

using Whistle.State.Files;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    /// <summary>Which state it is, through all backups and restores.</summary>
    public async Task<string> IdentityAsync(CancellationToken cancellation)
    {
        await using var connection = await OpenAsync(cancellation);
        return await IdentityAsync(connection, cancellation);
    }

    static async Task<string> IdentityAsync(StateConnection connection, CancellationToken cancellation)
    {
        return await connection.QueryAsync("SELECT id FROM instance", r => r.GetString(0), cancellation) is [var id]
            ? id
            : throw new StateException("The state does not say which one it is. Stop the server and look at it with `whistle data check`.");
    }

    /// <summary>Writes all that is committed now into a new SQLite file, while others go on to read and write.</summary>
    /// <exception cref="StoreException">It could not be written whole.</exception>
    public void CopyTo(string file)
    {
        if (IsPostgreSql)
            throw new InvalidOperationException("A PostgreSQL state is copied with pg_dump.");
        try
        {
            using var connection = OpenSqlite();
            // One transaction that reads: it sees one moment, and no writer waits for it.
            using var command = connection.Inner.CreateCommand();
            command.CommandText = "VACUUM INTO $file";
            command.Parameters.Add(new SqliteParameter("$file", file));
            command.ExecuteNonQuery();
        }
        catch (SqliteException e)
        {
            throw new StoreException($"The state could not be copied to {file}: {e.Message}", e);
        }
    }

    /// <summary>Puts another database's content in place of this one's, which nobody may use until it is done; both are SQLite's.</summary>
    public void Overwrite(StateDatabase with)
    {
        using var from = with.OpenSqlite();
        using var to = OpenSqlite();
        ((SqliteConnection)from.Inner).BackupDatabase((SqliteConnection)to.Inner);
    }

    /// <summary>The next row of a table that numbers its rows gets a number that is so much higher.</summary>
    /// <param name="table">A constant of the stage that calls; its column is <c>id</c>.</param>
    public async Task SkipNumbersAsync(string table, int count, CancellationToken cancellation)
    {
        const string next = "SELECT setval(pg_get_serial_sequence($table, 'id'), nextval(pg_get_serial_sequence($table, 'id')) + $count)";
        await using var connection = await OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(cancellation);
        if (IsPostgreSql)
            await connection.QueryAsync(next, r => r.GetInt64(0), cancellation, ("$table", table), ("$count", (long)count));
        else if (await connection.ExecuteAsync(
            "UPDATE sqlite_sequence SET seq = seq + $count WHERE name = $table", cancellation, ("$count", count), ("$table", table)) == 0)
            await connection.ExecuteAsync(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ($table, $count)", cancellation, ("$table", table), ("$count", count));
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>What SQLite finds wrong with a file of state that nobody writes; null where it is whole.</summary>
    public static string? Damage(string file)
    {
        try
        {
            using var connection = new SqliteConnection(
                new SqliteConnectionStringBuilder { DataSource = file, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ToString());
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA integrity_check(1)";
            var found = $"{command.ExecuteScalar()}";
            return found == "ok" ? null : found;
        }
        catch (SqliteException e)
        {
            return e.Message;
        }
    }
}
