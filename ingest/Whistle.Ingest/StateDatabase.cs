using Microsoft.Data.Sqlite;

namespace Whistle.Ingest;

/// <summary>
/// The embedded state: one SQLite file. Each stage owns its tables and numbers its own migrations.
/// </summary>
public sealed class StateDatabase : IDisposable
{
    readonly string _connectionString;

    public StateDatabase(string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        _connectionString = new SqliteConnectionStringBuilder { DataSource = file, DefaultTimeout = 10, Pooling = true }.ToString();
        using var connection = Open();
        Execute(connection, "PRAGMA journal_mode = WAL");
        Execute(connection, "CREATE TABLE IF NOT EXISTS migrations (stage TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (stage, number))");
    }

    public SqliteConnection Open()
    {
        var connection = new SqliteConnection(_connectionString);
        connection.Open();
        // FULL: what a caller was told is written survives the loss of power too.
        Execute(connection, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
        return connection;
    }

    /// <summary>Closes the pooled connections, so that the file can be moved or its disk unmounted.</summary>
    public void Dispose()
    {
        using var connection = new SqliteConnection(_connectionString);
        SqliteConnection.ClearPool(connection);
    }

    /// <summary>Runs the scripts that this database has not seen yet. A script, once released, never changes.</summary>
    public void Migrate(string stage, params ReadOnlySpan<string> scripts)
    {
        using var connection = Open();
        for (var number = 0; number < scripts.Length; number++)
        {
            using var transaction = connection.BeginTransaction(deferred: false);
            using var mark = connection.CreateCommand();
            mark.CommandText = "INSERT OR IGNORE INTO migrations (stage, number) VALUES ($stage, $number)";
            mark.Parameters.AddWithValue("$stage", stage);
            mark.Parameters.AddWithValue("$number", number);
            if (mark.ExecuteNonQuery() > 0)
                Execute(connection, scripts[number]);
            transaction.Commit();
        }
    }

    static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
