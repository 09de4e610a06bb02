using System.Security.Cryptography;

namespace Whistle.State;

/// <summary>
/// What a state descends from. One that is restored from a backup begins a new generation: ids and tokens that were given since the backup
/// are not known to it, so whatever is given from now on carries the generation's name.
/// </summary>
/// <param name="Generation">Empty while the state has never been restored.</param>
/// <param name="BackupAt">Of when the backup is; 1970 where nobody knows.</param>
/// <param name="RestoredAt">When a server first started on it.</param>
public sealed record Lineage(string Generation, DateTimeOffset BackupAt, DateTimeOffset RestoredAt)
{
    static readonly CheckedTable Checked = new("lineage", ["id"], ["id", "generation", "backup_at", "restored_at"]);

    /// <summary>A migration of the state's own.</summary>
    internal static readonly StateScript Table = new(
        """
        CREATE TABLE lineage (

        """
        + "    id INTEGER PRIMARY KEY CHECK (id = 1), generation TEXT NOT NULL, backup_at INTEGER NOT NULL, "
        + "restored_at INTEGER NOT NULL, checksum INTEGER);",
        static async (connection, cancellation) =>
        {
            await connection.ExecuteAsync(
                "INSERT INTO lineage (id, generation, backup_at, restored_at) VALUES (1, '', 0, 0)", cancellation);
            await Checked.FillAsync(connection, cancellation);
        });

    static readonly Lineage Damaged = new("damaged", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);

    /// <summary>Nobody knows whether it was restored, so nothing begins.</summary>
    public bool IsDamaged => this == Damaged;

    public bool IsRestored => Generation.Length > 0;

    /// <summary>
    /// What an id gets appended that must differ from all that were given before the restore; empty while there was none.
    /// </summary>
    public string Suffix => IsRestored ? $"-{Generation}" : "";

    public static string NewGeneration() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));

    /// <summary>As it is in the caller's transaction.</summary>
    public static async Task<Lineage> ReadAsync(StateConnection connection, CancellationToken cancellation)
    {
        var rows = await connection.QueryAsync(
            $"SELECT {Checked.Columns()} FROM lineage",
            r => Checked.Holds(r) ? new Lineage(r.GetString(1), r.Instant(2), r.Instant(3)) : Damaged, cancellation);
        return rows is [var only] ? only : Damaged;
    }

    /// <summary>Begins a new generation inside the caller's transaction.</summary>
    public static Task BeginAsync(
        StateConnection connection, string generation, DateTimeOffset backupAt, DateTimeOffset now, CancellationToken cancellation) =>
        connection.ExecuteAsync(
            """
            INSERT INTO lineage (id, generation, backup_at, restored_at, checksum) VALUES (1, $generation, $backup, $now, $checksum)
            ON CONFLICT (id) DO UPDATE SET generation = excluded.generation, backup_at = excluded.backup_at,
                restored_at = excluded.restored_at,
                checksum = excluded.checksum
            """,
            cancellation,
            ("$generation", generation), ("$backup", backupAt), ("$now", now), ("$checksum", Checked.Of(1, generation, backupAt, now)));
}
