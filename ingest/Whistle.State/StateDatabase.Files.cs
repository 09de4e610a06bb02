using System.Data.Common;

using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;

using SQLitePCL;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    // After so many commits the log is written into the file.
    const int CheckpointCommits = 100;

    // Nothing of the server reads for longer.
    const int ReaderMilliseconds = 2_000;

    readonly Lock _marking = new();
    StateMark? _mark;
    SafeFileHandle? _markFile;
    long _triedAt;
    bool _isDoubted;

    /// <summary>What was wrong with the file and was accepted (<see cref="StateOpening.Accept"/>); null where nothing was.</summary>
    public string? Accepted { get; private set; }

    /// <summary>Nothing was in it yet.</summary>
    public bool IsNew { get; private init; }

    /// <summary>Counts a commit that changes something, in its transaction; 0 where none are counted.</summary>
    /// <exception cref="StateException">It is not the state that was written last: its content was exchanged.</exception>
    internal async Task<long> CountAsync(StateConnection connection, int changesBefore)
    {
        if (_mark is not { } mark || Changes(connection.Kept.Inner) == changesBefore)
            return 0;
        var found = await connection.QueryAsync(
            "UPDATE seals SET total = total + 1 WHERE scope = $scope RETURNING total, (SELECT id FROM instance)",
            r => (Number: r.GetInt64(0), Id: r.OptionalText(1)), CancellationToken.None, ("$scope", StateMark.Scope));
        return found is [{ } commit] && commit.Id == mark.Id && commit.Number > mark.Commits
            ? commit.Number
            : throw new StateException(Exchanged());
    }

    /// <summary>Notes that a counted commit is durable.</summary>
    internal void Committed(StateConnection connection, long number)
    {
        if (number > 0 || _mark is null)
            Works();
        lock (_marking)
        {
            if (number == 0 || _mark is not { } mark || _markFile is not { IsClosed: false } file)
                return;
            if (number - mark.Base >= CheckpointCommits && number - _triedAt >= CheckpointCommits / 4)
            {
                _triedAt = number;
                if (Checkpoint(connection.Kept, "PASSIVE"))
                    mark = mark with { Base = number };
            }

            _mark = mark = mark with { Commits = number };
            try
            {
                mark.Write(file);
            }
            catch (IOException)
            {
                // The commit stands. A mark that lags behind claims less.
            }
        }
    }

    /// <summary>
    /// Writes the log into the file and waits for who reads it, so that the next write begins the log again, in the room that it has.
    /// </summary>
    internal async Task RestartLogAsync(CancellationToken cancellation)
    {
        await using var connection = await ConnectAsync(cancellation);
        lock (_marking)
        {
            if (_mark is not { } mark || _markFile is not { IsClosed: false } file)
                return;
            raw.sqlite3_busy_timeout(((SqliteConnection)connection.Kept.Inner).Handle, ReaderMilliseconds);
            var isDone = Checkpoint(connection.Kept, "RESTART");
            raw.sqlite3_busy_timeout(((SqliteConnection)connection.Kept.Inner).Handle, 0);
            if (!isDone)
                return;
            _mark = mark = mark with { Base = mark.Commits };
            try
            {
                mark.Write(file);
            }
            catch (IOException)
            {
                // As above.
            }
        }
    }

    internal static int Changes(DbConnection connection) =>
        connection is SqliteConnection sqlite ? raw.sqlite3_total_changes(sqlite.Handle) : 0;

    // SQLite's own checkpoints would let the log begin again without the mark's knowing how far the file has come.
    static bool Checkpoint(KeptConnection kept, string mode)
    {
        try
        {
            using var command = kept.Inner.CreateCommand();
#pragma warning disable CA2100 // A constant of this file.
            command.CommandText = $"PRAGMA wal_checkpoint({mode})";
#pragma warning restore CA2100
            using var reader = command.ExecuteReader();
            return reader.Read() && reader.GetInt64(0) == 0 && reader.GetInt64(1) == reader.GetInt64(2);
        }
        catch (DbException)
        {
            // All of it is in the log; it is tried again.
            return false;
        }
    }

    /// <summary>
    /// To be called once what an accepted state calls for is committed: the kill switch is on. Until then its mark is empty, so that the
    /// next start is refused too if this one ends early.
    /// </summary>
    public Task SettleAsync(CancellationToken cancellation)
    {
        _isDoubted = false;
        return RememberAsync(cancellation);
    }

    /// <summary>Begins to keep the mark, once the database can say which it is.</summary>
    async Task RememberAsync(CancellationToken cancellation)
    {
        if (_file is null || _mark is not null || _isDoubted)
            return;
        await using var connection = await ConnectAsync(cancellation);
        if ((await connection.QueryAsync(
            "SELECT name FROM sqlite_schema WHERE name = 'seals'", r => r.GetString(0), cancellation)).Count == 0)
            return;
        var now = await connection.QueryAsync(
            "SELECT i.id, s.total FROM instance i, seals s WHERE s.scope = $scope", r => new StateMark(r.GetString(0), r.GetInt64(1), 0),
            cancellation, ("$scope", StateMark.Scope));
        lock (_marking)
        {
            if (_mark is not null || now is not [var fresh])
                return;
            var path = _file + StateMark.Suffix;
            var before = Accepted is null ? StateMark.Read(path) : null;
            if (before is null)
                fresh.Create(path);
            _mark = before ?? fresh;
            _markFile = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        }
    }

    /// <summary>Copies an older state file before it is migrated, and says where.</summary>
    string CopyBefore(int found, int known)
    {
        if (_file is null)
            return "";
        var (copy, part) = ($"{_file}.before-{found}-to-{known}", $"{_file}.before.part");
        try
        {
            StateFiles.CreatePrivate(part).Dispose();
            Copy(part);
            File.Move(part, copy, overwrite: true);
        }
        catch (Exception e) when (e is DbException or IOException or UnauthorizedAccessException)
        {
            File.Delete(part);
            throw new StateException(
                $"No copy of the state can be made before it is migrated: {e.Message} Nothing was changed. "
                + $"Make sure that there is space for {copy}, and start again.",
                e);
        }

        return $" The old state is in {copy}.";
    }

    void Copy(string target)
    {
        using var source = new SqliteConnection(_connectionString);
        source.Open();
        using (var copy = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = target, Pooling = false }.ToString()))
        {
            copy.Open();
            source.BackupDatabase(copy);
            using var command = copy.CreateCommand();
            // One file alone, without a log.
            command.CommandText = "PRAGMA journal_mode = DELETE; PRAGMA integrity_check(1)";
            using var reader = command.ExecuteReader();
            reader.NextResult();
            if (!reader.Read() || reader.GetString(0) != "ok")
                throw new StateException($"the copy does not pass SQLite's check: {reader.GetString(0)}.");
        }

        using var handle = File.OpenHandle(target, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }
}
