using System.Data.Common;

using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

using Npgsql;

using SQLitePCL;

using Whistle.State.Health;

namespace Whistle.State;

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

    /// <summary>What to throw in place of an error of the engine's; null where it is the statement's own.</summary>
    internal StateException? Trouble(DbException error)
    {
        var message = error switch
        {
            StateException => null,
            SqliteException sqlite when IsTrouble(sqlite.SqliteErrorCode) || LacksSchema(sqlite) =>
                StateInspection.Explain(_file ?? "the state in memory", sqlite),
            PostgresException { SqlState: var state } when !IsTrouble(state) => null,
            NpgsqlException => $"The state's database cannot be used: {error.Message} Check that PostgreSQL runs, "
                + "can be reached and has space, and that the database and "
                + "its user exist.",
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
    internal Task MakeRoomAsync(CancellationToken cancellation)
    {
        if (!_isLogFull)
            return Task.CompletedTask;
        _isLogFull = false;
        return RestartLogAsync(cancellation);
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

    static bool IsTrouble(int code) => code is raw.SQLITE_CORRUPT or raw.SQLITE_NOTADB or raw.SQLITE_IOERR or raw.SQLITE_FULL
        or raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY or raw.SQLITE_PERM;

    // Statements are constants that fit the migrations, so somebody dropped it, or its name is garbled, which SQLite's check does not see.
    static bool LacksSchema(SqliteException error) => error.SqliteErrorCode is raw.SQLITE_ERROR
        && Lacking.Any(l => error.Message.Contains(l, StringComparison.Ordinal));

    static readonly string[] Lacking = ["no such column", "no such table", "has no column named"];

    // Damaged data (XX), no resources (53), an operator (57), the system (58), no connection (08), no such user (28) or database (3D); a
    // table or column that is missing or forbidden.
    static bool IsTrouble(string state) => state[..2] is "XX" or "53" or "57" or "58" or "08" or "28" or "3D"
        || state is PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.InsufficientPrivilege;
}
