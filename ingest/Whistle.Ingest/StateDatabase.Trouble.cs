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

    /// <summary>From now on, trouble is logged once and reported until it is over.</summary>
    public void Watch(HealthBoard health, ILogger logger) => (_health, _logger) = (health, logger);

    /// <summary>Reports a file that was deleted, moved or replaced while it is in use: what is written from here on is gone with the process.</summary>
    internal void LookAtFile()
    {
        if (_file is null)
            return;
        if (FileLoss() is { } loss)
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

    // Data that are damaged (XX), no resources (53), an operator (57), the system (58), no connection (08), no such table or column (42P01, 42703).
    static bool IsTrouble(string state) => state[..2] is "XX" or "53" or "57" or "58" or "08" || state is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn;
}
