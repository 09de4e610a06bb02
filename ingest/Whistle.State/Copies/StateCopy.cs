using System.Data.Common;
using System.Globalization;

using Npgsql;

namespace Whistle.State.Copies;

/// <summary>How far a copy is.</summary>
/// <param name="Doing">Such as <c>copying audit</c>.</param>
/// <param name="Total">In rows.</param>
public sealed record CopyProgress(string Doing, long Done, long Total);

/// <param name="Id">Of the state, which stays the same.</param>
/// <param name="Altered">Texts that PostgreSQL cannot hold as they were, such as with NUL: these characters have a replacement.</param>
public sealed record CopiedState(string Id, IReadOnlyList<ComparedTable> Tables, long Altered)
{
    public long Rows => Tables.Sum(t => t.Rows);
}

/// <summary>
/// Copies a state from an SQLite file that nobody uses into an empty PostgreSQL database. A copy that ended early is gone on with by the
/// next one: each batch of rows and how far the copy is are one transaction.
/// </summary>
public static class StateCopy
{
    // In the target from the beginning to the end of the copy.
    const string Book = StateDatabase.UnfinishedCopy;

    const int Batch = 1_000;
    const long LockKey = 0x57686973436F7079;
    const string Again = "Nothing is lost: run the same command again, and it goes on from there.";

    /// <param name="tell">Called with how far it is.</param>
    /// <param name="whenWhole">
    /// Called once all is copied and compared, before the target may be used: marks the source. Called with false where that must be
    /// undone.
    /// </param>
    /// <exception cref="StateException">One of the two cannot be used, the copy did not come to its end, or it is not the same.</exception>
    public static async Task<CopiedState> RunAsync(
        StateDatabase from, StateDatabase to, IReadOnlyList<StateSchema> program, Action<CopyProgress> tell, Func<bool, Task> whenWhole,
        CancellationToken cancellation)
    {
        await from.RequireCurrentAsync(program, cancellation);
        await using var source = await from.OpenAsync(cancellation);
        await using var picture = await source.BeginReadAsync(cancellation);
        var id = (await source.QueryAsync("SELECT id FROM instance", r => r.GetString(0), cancellation)).Single();
        try
        {
            await using var target = await to.ConnectAsync(cancellation);
            var isAlone = await target.QueryAsync(
                "SELECT pg_try_advisory_lock($key)", r => r.GetBoolean(0), cancellation, ("$key", LockKey));
            if (!isAlone[0])
                throw new StateException("Another copy into this database is at work. Wait until it has ended.");
            await BeginAsync(target, id, await CommitsAsync(source, cancellation), cancellation);
            await to.UpgradeAsync(program, _ => { }, cancellation);
            var altered = await CopyAsync(source, target, await CopiedTable.AllAsync(program, cancellation), tell, cancellation);
            await NumberOnAsync(source, target, cancellation);
            var compared = await StateComparison.RunAsync(source.Kept.Inner, target.Kept.Inner, tell, cancellation);
            await whenWhole(true);
            await RequireUnchangedAsync(from, await CommitsAsync(source, cancellation), whenWhole, cancellation);
            await target.RunScriptAsync($"DROP TABLE {Book}", cancellation);
            return new(id, compared, altered);
        }
        catch (StateException e) when (e.InnerException is NpgsqlException)
        {
            throw new StateException($"The copy did not come to its end. {e.Message} {Again}", e);
        }
        catch (PostgresException e)
        {
            throw new StateException(
                $"PostgreSQL did not take {e.TableName ?? "a row"}: {e.MessageText}. The copy did not come to its end. Remove the cause, "
                + "then run the same command again, and it goes on from there.", e);
        }
        catch (NpgsqlException e)
        {
            throw new StateException($"The copy did not come to its end: {e.Message.TrimEnd('.')}. {Again}", e);
        }
    }

    // A command may have written to the file while it was read; from the mark on none does.
    static async Task RequireUnchangedAsync(
        StateDatabase from, long copied, Func<bool, Task> whenWhole, CancellationToken cancellation)
    {
        await using var fresh = await from.OpenAsync(cancellation);
        if (await CommitsAsync(fresh, cancellation) == copied)
            return;
        await whenWhole(false);
        throw new StateException(
            "The state was changed while it was copied, so the copy lacks that. Nothing was moved. Run no other command on the folder, "
            + "empty the database, and run the same command again.");
    }

    static async Task BeginAsync(StateConnection target, string id, long commits, CancellationToken cancellation)
    {
        // Under the lock that a server takes to make its tables: what is seen here stays so until the book is there.
        await using var transaction = await target.BeginWriteAsync(cancellation);
        var tables = await target.QueryAsync(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()", r => r.GetString(0), cancellation);
        if (tables.Contains(Book))
        {
            var begun = (await NotesAsync(target, cancellation)).GetValueOrDefault("source");
            if (begun != Source(id, commits))
                throw new StateException(
                    "In the database is the beginning of a copy of another state, or of this one before it was changed. "
                    + "Drop its schema or make an empty database, and copy into that.");
            return;
        }

        if (tables.Contains("instance"))
            throw new StateException((await target.QueryAsync("SELECT id FROM instance", r => r.GetString(0), cancellation)) is [var other]
                && other == id
                ? "The database already has this state. Nothing was changed. Name it in the server's settings, or name an empty database."
                : "The database already has another state. Nothing was changed. Name an empty database, or a schema with Search Path.");
        if (tables.Contains("migrations"))
            throw new StateException("The database has a table migrations that is not Whistle's. Nothing was changed. Name an empty one.");
        await target.RunScriptAsync($"CREATE TABLE {Book} (name TEXT PRIMARY KEY, value TEXT NOT NULL)", cancellation);
        await NoteAsync(target, "source", Source(id, commits), cancellation);
        await transaction.CommitAsync(along: null, cancellation);
    }

    static string Source(string id, long commits) => string.Create(CultureInfo.InvariantCulture, $"{id} {commits}");

    static async Task<long> CommitsAsync(StateConnection source, CancellationToken cancellation) => (await source.QueryAsync(
        "SELECT total FROM seals WHERE scope = $scope", r => r.GetInt64(0), cancellation, ("$scope", StateMark.Scope))).Single();

    static async Task<long> CopyAsync(
        StateConnection source, StateConnection target, IReadOnlyList<CopiedTable> tables, Action<CopyProgress> tell,
        CancellationToken cancellation)
    {
        var notes = await NotesAsync(target, cancellation);
        var altered = 0L;
        foreach (var table in tables)
        {
            if (!notes.TryGetValue(table.Name, out var state))
                await ClearAsync(target, table, cancellation);
            if (state != "copied")
                altered += await CopyAsync(source, target, table, tell, cancellation);
        }

        return altered;
    }

    // A new state has a few rows of its own, such as its id.
    static async Task ClearAsync(StateConnection target, CopiedTable table, CancellationToken cancellation)
    {
        await using var transaction = await target.BeginWriteAsync(cancellation);
        // Not where there is nothing: the audit lets nobody delete.
        if ((await target.QueryAsync(table.Count, r => r.GetInt64(0), cancellation))[0] > 0)
            await target.RunScriptAsync($"DELETE FROM {table.Quoted}", cancellation);
        await NoteAsync(target, table.Name, "begun", cancellation);
        await transaction.CommitAsync(along: null, cancellation);
    }

    static async Task<long> CopyAsync(
        StateConnection source, StateConnection target, CopiedTable table, Action<CopyProgress> tell, CancellationToken cancellation)
    {
        var total = (await source.QueryAsync(table.Count, r => r.GetInt64(0), cancellation))[0];
        var done = (await target.QueryAsync(table.Count, r => r.GetInt64(0), cancellation))[0];
        var altered = 0L;
        await using var command = source.Kept.Inner.CreateCommand();
        table.SelectAfter(command, done == 0 ? null : await LastKeyAsync(target, table, cancellation));
        command.Transaction = source.Current!.Inner;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        for (var isMore = true; isMore;)
        {
            await using var transaction = await target.BeginWriteAsync(StateScope.Rows, cancellation);
            var (rows, texts) = await WriteAsync((NpgsqlConnection)target.Kept.Inner, table, reader, cancellation);
            isMore = rows == table.BatchOf(Batch);
            if (!isMore)
                await NoteAsync(target, table.Name, "copied", cancellation);
            await transaction.CommitAsync(along: null, cancellation);
            (done, altered) = (done + rows, altered + texts);
            tell(new($"copying {table.Name}", done, total));
        }

        return altered;
    }

    static async Task<(int Rows, int Altered)> WriteAsync(
        NpgsqlConnection target, CopiedTable table, DbDataReader reader, CancellationToken cancellation)
    {
        var (rows, altered) = (0, 0);
        await using var import = await target.BeginBinaryImportAsync(table.Import, cancellation);
        while (rows < table.BatchOf(Batch) && await reader.ReadAsync(cancellation))
        {
            await import.StartRowAsync(cancellation);
            for (var i = 0; i < table.Columns.Count; i++)
                altered += await table.WriteAsync(import, reader, i, cancellation) ? 1 : 0;
            rows++;
        }

        await import.CompleteAsync(cancellation);
        return (rows, altered);
    }

    static async Task<IReadOnlyList<object>?> LastKeyAsync(StateConnection target, CopiedTable table, CancellationToken cancellation) =>
        (await target.QueryAsync(
            table.Last, r => (IReadOnlyList<object>)[.. Enumerable.Range(0, r.FieldCount).Select(r.GetValue)], cancellation))
        .FirstOrDefault();

    // A number that was given is not given again, even where its row is gone.
    static async Task NumberOnAsync(StateConnection source, StateConnection target, CancellationToken cancellation)
    {
        const string identities =
            "SELECT table_name::text, column_name::text FROM information_schema.columns "
            + "WHERE table_schema = current_schema() AND is_identity = 'YES'";
        const string set =
            "SELECT setval(pg_get_serial_sequence($table, $column), CASE WHEN $last > 0 THEN $last ELSE 1 END, $last > 0)";
        var given = (await source.QueryAsync("SELECT name, seq FROM sqlite_sequence", r => (r.GetString(0), r.GetInt64(1)), cancellation))
            .ToDictionary(r => r.Item1, r => r.Item2);
        foreach (var (table, column) in await target.QueryAsync(identities, r => (r.GetString(0), r.GetString(1)), cancellation))
        {
            var highest = await target.QueryAsync(
                $"SELECT coalesce(max({CopiedTable.Quote(column)}), 0) FROM {CopiedTable.Quote(table)}", r => r.GetInt64(0), cancellation);
            var last = Math.Max(highest[0], given.GetValueOrDefault(table));
            await target.QueryAsync(
                set, _ => true, cancellation, ("$table", CopiedTable.Quote(table)), ("$column", column), ("$last", last));
        }
    }

    static async Task<Dictionary<string, string>> NotesAsync(StateConnection target, CancellationToken cancellation) =>
        (await target.QueryAsync($"SELECT name, value FROM {Book}", r => (r.GetString(0), r.GetString(1)), cancellation))
        .ToDictionary(r => r.Item1, r => r.Item2);

    static Task<int> NoteAsync(StateConnection target, string name, string value, CancellationToken cancellation) => target.ExecuteAsync(
        $"INSERT INTO {Book} (name, value) VALUES ($name, $value) ON CONFLICT (name) DO UPDATE SET value = excluded.value", cancellation,
        ("$name", name), ("$value", value));
}
