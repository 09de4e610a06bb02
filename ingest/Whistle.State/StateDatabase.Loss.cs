using System.Data.Common;

using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    // Why nothing in the file is believed any more; null while it is.
    volatile string? _exchanged;
    KeptConnection? _anchor;
    FileIdentity? _log;

    /// <summary>
    /// Reports a file that was deleted, moved or replaced while it is in use: what is written from here on is gone with the process.
    /// </summary>
    public async Task LookAtFileAsync(CancellationToken cancellation)
    {
        if (_file is null)
            return;
        if ((FileLoss() ?? LogLoss() ?? await ExchangeAsync(cancellation)) is { } loss)
            _health?.Report(Component, "file", HealthState.Failed, loss);
        else
            _health?.Clear(Component, "file");
    }

    string? FileLoss()
    {
        var what = !File.Exists(_file) ? "deleted or moved"
            : _opened is { } opened && FileIdentity.Of(_file) is { } now && now != opened ? "replaced by another file" : null;
        return what is null ? null
            : $"{_file} was {what} while the server runs: what is set from here on is lost when it ends. "
                + "Stop the server, put the file back with its -wal and -instance or restore a backup, and start it again.";
    }

    string? LogLoss()
    {
        try
        {
            if (_anchor is null)
                DropAnchor();
        }
        catch (DbException)
        {
            // Whoever needs the state meets it too, and says so.
            return null;
        }

        return _log is null || FileIdentity.Of(_file + "-wal") == _log ? null
            : $"The log {_file}-wal was deleted or replaced while the server runs: "
                + "what was set last, and what is set from here on, is lost when it ends. "
                + "Stop the server, look at what was set last, and start it again.";
    }

    // SQLite deletes the log when the last connection closes, so one stays open.
    void DropAnchor()
    {
        _anchor = OpenSqlite();
        using var command = _anchor.Inner.CreateCommand();
        command.CommandText = "SELECT count(*) FROM sqlite_schema";
        command.ExecuteScalar();
        _log = FileIdentity.Of(_file + "-wal");
    }

    // SQLite takes another content in the same file for a change like any other.
    async Task<string?> ExchangeAsync(CancellationToken cancellation)
    {
        if (_exchanged is not null || _mark is not { } mark)
            return _exchanged;
        try
        {
            await using var connection = await ConnectAsync(cancellation);
            var now = await connection.QueryAsync(
                "SELECT i.id, s.total FROM instance i, seals s WHERE s.scope = $scope", r => (Id: r.GetString(0), Commits: r.GetInt64(1)),
                cancellation, ("$scope", StateMark.Scope));
            return now is [{ } found] && found.Id == mark.Id && found.Commits >= mark.Commits ? null : Exchanged();
        }
        catch (DbException)
        {
            return null;
        }
    }

    string Exchanged()
    {
        _exchanged =
            $"The content of {_file} was replaced by an older state or another server's while the server runs, so it is no longer trusted. "
                + "Stop the server, restore a backup with `whistle backup restore`, and start it again.";
        _health?.Report(Component, "file", HealthState.Failed, _exchanged);
        return _exchanged;
    }
}
