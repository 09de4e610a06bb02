using System.Data.Common;

using Microsoft.Data.Sqlite;

using SQLitePCL;

using Whistle.State.Files;

namespace Whistle.State;

/// <summary>
/// Room that the state has for itself on a disk that others fill to the last byte. Freed space would be theirs at once, so it is never
/// free: it is unused pages within the state's file, and blocks of its write-ahead log that are allocated before they are needed. A clean
/// stop gives the log's blocks back, so a file keeps as much: at a start on a full disk it becomes the log.
/// </summary>
/// <remarks>
/// The state's file itself and its <c>-shm</c> are never opened here: closing any handle on them would drop SQLite's locks of this process.
/// A page of the <c>-shm</c> that gets no block when it is first written to ends the process with SIGBUS, so it has all that the log can
/// need from the start.
/// </remarks>
public sealed class StateReserve : IDisposable
{
    public static readonly StateSchema Tables = new("reserve", "CREATE TABLE reserve (filling TEXT NOT NULL)");

    const long MostLog = 16L << 20;
    const int Chunk = 1 << 20;

    // SQLite indexes 4,062 pages of the log in 32 KiB. It writes a byte every 4 KiB to make
    // sure of them, which leaves holes where blocks are smaller.
    const long IndexBytes = 64L << 10;
    const int Inodes = 8;

    // SQLite truncates its -shm at a start and writes it again.
    const long Scraps = 1L << 20;

    readonly string _folder;
    readonly string _state;
    readonly string _log;
    readonly long _bytes;
    SqliteConnection? _first;
    bool _isUsed;

    /// <param name="dataFolder">It exists.</param>
    /// <param name="stateFile">The state's file there, which need not exist.</param>
    /// <param name="bytes">Room for rows; the log gets as much, up to 16 MiB. On a small file system both are a twentieth of it.</param>
    public StateReserve(string dataFolder, string stateFile, long bytes)
    {
        (_folder, _state, _log) = (Path.Combine(dataFolder, "reserve"), stateFile, stateFile + "-wal");
        _bytes = Math.Min(bytes, DiskSpace.Of(dataFolder).Total / 20);
    }

    long LogBytes => Math.Min(_bytes, MostLog);

    string Index => _state + "-shm";

    string SpaceFile => Path.Combine(_folder, "space");

    /// <summary>Before anything else is opened: on a full disk, the state takes what is kept for it.</summary>
    public void Open()
    {
        if (new FileInfo(_state) is not { Exists: true, Length: > 0 } || !File.Exists(SpaceFile))
            return;
        _isUsed = true;
        var space = DiskSpace.Of(_folder);
        if (space.Free >= LogBytes && (space.Inodes == 0 || space.FreeInodes >= Inodes))
            return;
        // A log without a header is an empty one. A process that was killed has left its own, which must not be touched.
        if (!File.Exists(_log))
            File.Move(SpaceFile, _log);
        Directory.Delete(_folder, recursive: true);
        // At once, before others take what the scraps gave back, and held until the server has connections of its own.
        _first = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = _state, DefaultTimeout = 10, Pooling = false }.ToString());
        try
        {
            _first.Open();
            // Should it be the last one too, the log stays as it is.
            raw.sqlite3_db_config(_first.Handle, raw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, out _);
            using var look = _first.CreateCommand();
            look.CommandText = "SELECT count(*) FROM sqlite_schema";
            look.ExecuteScalar();
            DiskSpace.TryReserveOpen(Index, IndexBytes);
        }
        catch (SqliteException)
        {
            // Whoever opens the state next says what is wrong with it.
        }
    }

    /// <summary>Once the state is open: makes sure of the log's blocks, which is quick.</summary>
    public bool ReserveLog(StateDatabase database)
    {
        var isHeld = database.IsPostgreSql
            || (File.Exists(_log) && DiskSpace.TryReserve(_log, LogBytes) && DiskSpace.TryReserveOpen(Index, IndexBytes));
        _first?.Dispose();
        _first = null;
        return isHeld;
    }

    /// <summary>Makes sure of all of it. False where there is no room.</summary>
    public async Task<bool> ReserveAsync(StateDatabase database, CancellationToken cancellation)
    {
        if (database.IsPostgreSql)
            return true;
        _isUsed = true;
        try
        {
            if (!ReserveLog(database))
                return false;
            await ReservePagesAsync(database, cancellation);
            TakeFiles();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DbException)
        {
            return false;
        }
    }

    /// <summary>After the state was closed, which gave the log's blocks back.</summary>
    public void Dispose()
    {
        _first?.Dispose();
        try
        {
            if (_isUsed)
                TakeFiles();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start has what there is then.
        }
    }

    async Task ReservePagesAsync(StateDatabase database, CancellationToken cancellation)
    {
        const string pages = "SELECT (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)";
        await using var connection = await database.OpenAsync(cancellation);
        // What a process left that ended between the two.
        await connection.ExecuteAsync("DELETE FROM reserve", cancellation);
        var free = (await connection.QueryAsync(pages, r => r.GetInt64(0), cancellation))[0];
        // A little use is no reason to write it all again.
        if (free >= _bytes / 2)
            return;
        try
        {
            // Each chunk is committed: pages that are freed in the transaction that made them would never be written.
            // Nor may the log grow beyond its own room: the pages are the file's once they are written there.
            for (var filled = 0L; filled < _bytes; filled += Chunk)
            {
                await connection.ExecuteAsync(
                    "INSERT INTO reserve (filling) VALUES (zeroblob($bytes))", cancellation, ("$bytes", Math.Min(Chunk, _bytes - filled)));
                await database.RestartLogAsync(cancellation);
            }
        }
        finally
        {
            await connection.ExecuteAsync("DELETE FROM reserve", CancellationToken.None);
        }
    }

    void TakeFiles()
    {
        if (File.Exists(SpaceFile))
            return;
        Directory.CreateDirectory(_folder);
        Take(Path.Combine(_folder, "scraps"), Scraps);
        for (var i = 0; i < Inodes; i++)
            Take(Path.Combine(_folder, $"inode-{i}"), 0);
        // Last: it stands for all of them.
        Take(SpaceFile + ".new", LogBytes);
        File.Move(SpaceFile + ".new", SpaceFile);
    }

    static void Take(string file, long bytes)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, PreallocationSize = bytes };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var stream = new FileStream(file, options);
    }
}
