using System.Data.Common;

using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

using Npgsql;

using SQLitePCL;

namespace Whistle.Ingest;

public sealed partial class StateDatabase
{
    /// <summary>The state on <see cref="HealthBoard"/>.</summary>
    public const string Component = "state";

    HealthBoard? _health;
    ILogger? _logger;
    volatile bool _isTroubled;
    volatile bool _isLogFull;
    volatile string? _exchanged;
    KeptConnection? _anchor;
    FileIdentity? _log;

    /// <summary>From now on, trouble is logged once and reported until it is over.</summary>
    public void Watch(HealthBoard health, ILogger logger) => (_health, _logger) = (health, logger);

    /// <summary>Reports a file that was deleted, moved or replaced while it is in use: what is written from here on is gone with the process.</summary>
    internal void LookAtFile()
    {
        if (_file is null)
            return;
        if ((FileLoss() ?? LogLoss() ?? Exchange()) is { } loss)
            _health?.Report(Component, "file", HealthState.Failed, loss);
        else
            _health?.Clear(Component, "file");
    }

    string? FileLoss()
    {
        var what = !File.Exists(_file) ? "deleted or moved" : _opened is { } opened && FileIdentity.Of(_file) is { } now && now != opened ? "replaced by another file" : null;
        return what is null ? null
            : $"{_file} was {what} while the server runs: what is set from here on is lost when it ends. Stop the server, put the file back with its -wal and -instance or restore a backup, and start it again.";
    }

    // Its log stands as long as a connection is open, so one always is.
    string? LogLoss()
    {
        try
        {
            if (_anchor is null)
            {
                _anchor = OpenSqlite();
                using var command = _anchor.Inner.CreateCommand();
                command.CommandText = "SELECT count(*) FROM sqlite_schema";
                command.ExecuteScalar();
                _log = FileIdentity.Of(_file + "-wal");
            }
        }
        catch (DbException)
        {
            // Whoever needs the state meets it too, and says so.
            return null;
        }

        return _log is not null && FileIdentity.Of(_file + "-wal") != _log
            ? $"The log {_file}-wal was deleted or replaced while the server runs: what was set last, and what is set from here on, is lost when it ends. Stop the server, look at what was set last, and start it again." : null;
    }

    // Another content in the same file: SQLite takes it for a change like any other.
    string? Exchange()
    {
        if (_exchanged is not null || _mark is not { } mark)
            return _exchanged;
        try
        {
            using var connection = Open();
            var now = connection.Query(
                "SELECT i.id, s.total FROM instance i, seals s WHERE s.scope = $scope", r => (Id: r.GetString(0), Commits: r.GetInt64(1)), ("$scope", StateMark.Scope));
            return now is [{ } found] && found.Id == mark.Id && found.Commits >= mark.Commits ? null : Exchanged();
        }
        catch (DbException)
        {
            return null;
        }
    }

    string Exchanged()
    {
        _exchanged = $"The content of {_file} was replaced by an older state or another server's while the server runs, so nothing of it is believed. Stop the server, restore a backup with `whistle backup restore`, and start it again.";
        _health?.Report(Component, "file", HealthState.Failed, _exchanged);
        return _exchanged;
    }

    /// <summary>What to throw in place of an error of the engine's; null where it is the statement's own.</summary>
    internal StateException? Trouble(DbException error)
    {
        var message = error switch
        {
            StateException => null,
            SqliteException sqlite when IsTrouble(sqlite.SqliteErrorCode) || LacksSchema(sqlite) => StateInspection.Explain(_file ?? "the state in memory", sqlite),
            PostgresException { SqlState: var state } when !IsTrouble(state) => null,
            NpgsqlException => $"The state's database cannot be used: {error.Message} See that PostgreSQL runs, can be reached and has room.",
            _ => null,
        };
        if (message is null)
            return null;
        _isLogFull |= error is SqliteException { SqliteErrorCode: raw.SQLITE_FULL };
        if (!_isTroubled)
            _logger?.StateTroubled(message);
        _isTroubled = true;
        _health?.Report(Component, "", HealthState.Failed, message);
        return new StateException(message, error);
    }

    /// <summary>Where a write found no room, the log has grown to the end of its own; the file may still have some.</summary>
    internal void MakeRoom()
    {
        if (!_isLogFull)
            return;
        _isLogFull = false;
        RestartLog();
    }

    /// <summary>Something was written, so what was wrong is over.</summary>
    internal void Works()
    {
        if (!_isTroubled)
            return;
        _isTroubled = false;
        _health?.Clear(Component, "");
        _logger?.StateRecovered();
    }

    static bool IsTrouble(int code) => code is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB or raw.SQLITE_IOERR or raw.SQLITE_FULL or raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM;

    // Every statement is a constant that the migrations fit: somebody dropped it, or a name in the schema's own text was garbled, which SQLite's check does not see.
    static bool LacksSchema(SqliteException error) => error.SqliteErrorCode is raw.SQLITE_ERROR
        && Lacking.Any(l => error.Message.Contains(l, StringComparison.Ordinal));

    static readonly string[] Lacking = ["no such column", "no such table", "has no column named"];

    // Data that are damaged (XX), no resources (53), an operator (57), the system (58), no connection (08), no such table or column (42P01, 42703), no right (42501).
    static bool IsTrouble(string state) => state[..2] is "XX" or "53" or "57" or "58" or "08" || state is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.InsufficientPrivilege;
}
