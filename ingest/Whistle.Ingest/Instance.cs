using System.Data.Common;
using System.Security.Cryptography;

namespace Whistle.Ingest;

/// <summary>
/// Who a state is. A restore from a backup begins a new generation: ids and tokens that were given since the backup are not known to the
/// state, so whatever is given from now on carries the generation's name.
/// </summary>
/// <param name="Name">Drawn when the state was made; it stays.</param>
/// <param name="Generation">Empty while the state has never been restored.</param>
/// <param name="BackupAt">Of when the restored backup is.</param>
/// <param name="RestoredAt">When a server first started on it.</param>
public sealed record Instance(string Name, string Generation, DateTimeOffset BackupAt, DateTimeOffset RestoredAt)
{
    const string Table =
        """
        CREATE TABLE instance (
            id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, generation TEXT NOT NULL, backup_at INTEGER NOT NULL, restored_at INTEGER NOT NULL);
        """;

    public bool IsRestored => Generation.Length > 0;

    /// <summary>What an id gets appended that must differ from all that were given before the restore; empty while there was none.</summary>
    public string Suffix => IsRestored ? $"-{Generation}" : "";

    public static string NewGeneration() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));

    /// <summary>Makes the table, and gives the state its name where it has none.</summary>
    public static Instance Open(StateDatabase state)
    {
        state.Migrate("instance", Table);
        using var connection = state.Open();
        if (Find(connection) is { } known)
            return known;
        connection.Execute(
            "INSERT INTO instance (id, name, generation, backup_at, restored_at) VALUES (1, $name, '', 0, 0) ON CONFLICT (id) DO NOTHING",
            ("$name", Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))));
        return Read(connection);
    }

    /// <summary>As it is in the caller's transaction.</summary>
    public static Instance Read(DbConnection connection) => Find(connection) ?? throw new StoreException("The state has lost its row in the table instance.");

    /// <summary>Begins a new generation inside the caller's transaction.</summary>
    public static void Begin(DbConnection connection, string generation, DateTimeOffset backupAt, DateTimeOffset now) => connection.Execute(
        "UPDATE instance SET generation = $generation, backup_at = $backup, restored_at = $now WHERE id = 1",
        ("$generation", generation), ("$backup", backupAt), ("$now", now));

    static Instance? Find(DbConnection connection) => connection.Query(
        "SELECT name, generation, backup_at, restored_at FROM instance WHERE id = 1",
        r => new Instance(r.GetString(0), r.GetString(1), r.Instant(2), r.Instant(3))) is [var found] ? found : null;
}
