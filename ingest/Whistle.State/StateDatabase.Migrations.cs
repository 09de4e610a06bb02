using System.Data.Common;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    // Of one stage; a higher number is damage.
    const int MostMigrations = 10_000;

    // What the connections of this object may count on.
    readonly List<StateSchema> _added = [];
    readonly SemaphoreSlim _migrating = new(1);
    volatile bool _isCurrent;

    /// <summary>
    /// Adds the tables of one stage, whose migrations the next <see cref="OpenAsync"/> runs where this database has not seen them.
    /// </summary>
    public void Add(StateSchema schema)
    {
        lock (_added)
        {
            if (_added.Contains(schema))
                return;
            _added.Add(schema);
            _isCurrent = false;
        }
    }

    /// <summary>Runs the migrations of one stage that this database has not seen yet, all in one transaction.</summary>
    /// <exception cref="StateException">It was made by a newer program, or a migration is not the one that was run.</exception>
    public Task MigrateAsync(StateSchema schema, CancellationToken cancellation) =>
        MigrateAsync([StateSchema.Own, schema], isWhole: false, cancellation);

    async Task MigrateAddedAsync(CancellationToken cancellation)
    {
        await _migrating.WaitAsync(cancellation);
        try
        {
            StateSchema[] added;
            lock (_added)
                added = [.. _added];
            if (_isCurrent)
                return;
            if (added.Length > 0)
                await MigrateAsync([StateSchema.Own, .. added], isWhole: false, cancellation);
            else
                await RememberAsync(cancellation);
            lock (_added)
                _isCurrent = _added.Count == added.Length;
        }
        finally
        {
            _migrating.Release();
        }
    }

    // The stages that the program as a whole has migrated are not looked at one by one.
    void KnowAll(IReadOnlyList<StateSchema> program)
    {
        lock (_added)
        {
            _added.AddRange(program.Except(_added));
            _isCurrent = true;
        }
    }

    /// <summary>
    /// Brings the state to what the whole program knows, or changes nothing: what was made by a newer one is refused. Of an older file a
    /// copy is made beside it first.
    /// </summary>
    /// <param name="program">All its stages.</param>
    /// <param name="tell">Called with what is done.</param>
    /// <exception cref="StateException">It was made by a newer program, a migration is not the one that was run, or no copy can be
    /// made.</exception>
    public async Task UpgradeAsync(IReadOnlyList<StateSchema> program, Action<string> tell, CancellationToken cancellation)
    {
        IReadOnlyList<StateSchema> schemas = [StateSchema.Own, .. program];
        var (isWhole, found) = await IsWholeAsync(schemas, cancellation);
        if (!isWhole)
        {
            var known = schemas.Sum(s => s.Scripts.Count);
            if (found > 0)
                tell($"The state has schema version {found}, this program has {known}: it is migrated.{CopyBefore(found, known)}");
            await MigrateAsync(schemas, isWhole: true, cancellation);
        }

        await RememberAsync(cancellation);
        KnowAll(program);
    }

    /// <summary>As <see cref="UpgradeAsync"/> where the state is new; else it must be current.</summary>
    /// <exception cref="StateException">Besides: it is older than this program.</exception>
    public async Task RequireCurrentAsync(IReadOnlyList<StateSchema> program, CancellationToken cancellation)
    {
        IReadOnlyList<StateSchema> schemas = [StateSchema.Own, .. program];
        var (isWhole, found) = await IsWholeAsync(schemas, cancellation);
        if (!isWhole && found > 0)
        {
            throw new StateException(
                $"The state has schema version {found}, this program has {schemas.Sum(s => s.Scripts.Count)}. "
                + "Start `whistle serve` of this version once, which migrates it.");
        }

        if (!isWhole)
            await MigrateAsync(schemas, isWhole: true, cancellation);
        await RememberAsync(cancellation);
        KnowAll(program);
    }

    // In one transaction, since another process may migrate in between. Without the check, a missing table would come to light only when
    // somebody needs it.
    async Task<(bool IsWhole, int Found)> IsWholeAsync(IReadOnlyList<StateSchema> schemas, CancellationToken cancellation)
    {
        await using var connection = await ConnectAsync(cancellation);
        await using var picture = await connection.BeginReadAsync(cancellation);
        var applied = await AppliedAsync(connection, cancellation);
        var isCurrent = IsCurrent(applied, schemas, isWhole: true);
        var fault = await connection.GuardedAsync(() => ShapeFaultAsync(connection.Kept.Inner, schemas, applied.Keys, cancellation));
        return fault is null ? (isCurrent, applied.Count) : throw Damaged(connection, fault);
    }

    /// <summary>What the migrations that were run made and is not as they made it; null where nothing is wrong.</summary>
    internal static async Task<string?> ShapeFaultAsync(
        DbConnection connection, IReadOnlyList<StateSchema> schemas, IEnumerable<(string Stage, long Number)> applied,
        CancellationToken cancellation)
    {
        var numbers = applied.ToLookup(m => m.Stage, m => m.Number);
        var gap = numbers.FirstOrDefault(stage => stage.Max() >= stage.Count());
        return gap is not null
            ? $"the table migrations has migration {gap.Max() + 1} of the stage {gap.Key}, but not all before it"
            : await StateShape.FaultAsync(connection, schemas, stage => numbers[stage].Count(), cancellation);
    }

    internal async Task MigrateAsync(IReadOnlyList<StateSchema> schemas, bool isWhole, CancellationToken cancellation)
    {
        await using (var connection = await ConnectAsync(cancellation))
        {
            if (!IsCurrent(await AppliedAsync(connection, cancellation), schemas, isWhole))
            {
                await using var transaction = await connection.BeginWriteAsync(cancellation);
                await MakeTableAsync(connection, cancellation);
                var applied = await AppliedAsync(connection, cancellation);
                IsCurrent(applied, schemas, isWhole);
                foreach (var schema in schemas)
                {
                    for (var number = 0; number < schema.Scripts.Count; number++)
                        await ApplyAsync(connection, schema, number, applied, cancellation);
                }

                await transaction.CommitAsync(along: null, cancellation);
            }
        }

        await RememberAsync(cancellation);
    }

    static async Task ApplyAsync(
        StateConnection connection, StateSchema schema, int number, Dictionary<(string Stage, long Number), string?> applied,
        CancellationToken cancellation)
    {
        var script = schema.Scripts[number];
        (string, object?)[] row = [("$stage", schema.Stage), ("$number", number), ("$checksum", script.Checksum)];
        if (!applied.TryGetValue((schema.Stage, number), out var checksum))
        {
            await RunAsync(connection, schema, number, cancellation);
            await connection.ExecuteAsync(
                "INSERT INTO migrations (stage, number, checksum) VALUES ($stage, $number, $checksum)", cancellation, row);
        }
        else if (checksum is null)
        {
            // Run by a version that kept no checksums.
            await connection.ExecuteAsync(
                "UPDATE migrations SET checksum = $checksum WHERE stage = $stage AND number = $number", cancellation, row);
        }
    }

    static async Task RunAsync(StateConnection connection, StateSchema schema, int number, CancellationToken cancellation)
    {
        try
        {
            await connection.RunScriptAsync(schema.Scripts[number].Sql, cancellation);
            if (schema.Scripts[number].Then is { } then)
                await then(connection, cancellation);
        }
        catch (DbException e) when (e is not StateException)
        {
            throw new StateException(
                $"Migration {number + 1} of the stage {schema.Stage} failed: {e.Message} Nothing was changed. "
                + "Restore a backup from before the upgrade with `whistle backup restore`, or go back to the version that ran before.", e);
        }
    }

    /// <summary>Whether nothing is left to do.</summary>
    static bool IsCurrent(Dictionary<(string Stage, long Number), string?> applied, IReadOnlyList<StateSchema> schemas, bool isWhole)
    {
        var known = schemas.Sum(s => s.Scripts.Count);
        foreach (var ((stage, number), checksum) in applied)
        {
            if (schemas.FirstOrDefault(s => s.Stage == stage) is not { } schema)
            {
                if (isWhole)
                    throw Newer(applied.Count, known, $"the stage {stage}, which this version does not have");
            }
            else if (number >= schema.Scripts.Count)
            {
                throw Newer(
                    applied.Count, known,
                    $"migration {number + 1} of the stage {stage}, of which this version knows {schema.Scripts.Count}");
            }
            else if (checksum is not null && checksum != schema.Scripts[(int)number].Checksum)
            {
                throw new StateException(
                    $"Migration {number + 1} of the stage {stage} was run with checksum {checksum}, but this program's has "
                    + $"{schema.Scripts[(int)number].Checksum}: the state was made by another build of Whistle, or its row is damaged. "
                    + "Nothing was changed. Start the build that made it, or restore a backup with `whistle backup restore`.");
            }
        }

        return schemas.All(s => Enumerable.Range(0, s.Scripts.Count).All(n => applied.GetValueOrDefault((s.Stage, n)) is not null));
    }

    static StateException Newer(int found, int known, string what) => new(
        $"The state has schema version {found} and this program knows version {known}: it was made by a newer version of Whistle, "
        + $"for it has {what}. Nothing was changed. Start the newer version again, or restore a backup from before the upgrade with "
        + "`whistle backup restore`.");

    /// <summary>The checksums of the migrations that were run; null where an older version kept none.</summary>
    static async Task<Dictionary<(string Stage, long Number), string?>> AppliedAsync(
        StateConnection connection, CancellationToken cancellation)
    {
        var columns = await ColumnsAsync(connection, cancellation);
        if (columns.Count == 0)
            return [];
        var rows = await connection.QueryAsync(
            $"SELECT stage, number, {(columns.Contains("checksum") ? "checksum" : "NULL")} FROM migrations ORDER BY stage, number",
            r => (Key: MigrationOf(r) ?? throw Damaged(connection, NoMigration), Checksum: r.IsDBNull(2) ? null : r.GetValue(2).ToString()),
            cancellation);
        return rows.DistinctBy(m => m.Key).ToDictionary(m => m.Key, m => m.Checksum);
    }

    /// <summary>The stage and number that a row of <c>migrations</c> begins with; null where it names none.</summary>
    internal static (string Stage, long Number)? MigrationOf(DbDataReader row) =>
        row.GetValue(0) is string stage && row.GetValue(1) is long and >= 0 and < MostMigrations and var number ? (stage, number) : null;

    internal const string NoMigration = "a row of the table migrations names no migration";

    static StateException Damaged(StateConnection connection, string what) =>
        new(StateInspection.Damaged(connection.Source._file ?? "in PostgreSQL", what));

    static async Task MakeTableAsync(StateConnection connection, CancellationToken cancellation)
    {
        await connection.RunScriptAsync(
            "CREATE TABLE IF NOT EXISTS migrations (stage TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (stage, number))",
            cancellation);
        if (!(await ColumnsAsync(connection, cancellation)).Contains("checksum"))
            await connection.RunScriptAsync("ALTER TABLE migrations ADD COLUMN checksum TEXT", cancellation);
    }

    static Task<List<string>> ColumnsAsync(StateConnection connection, CancellationToken cancellation) => connection.QueryAsync(
        connection.Source.IsPostgreSql
            ? "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'migrations'"
            : "SELECT name FROM pragma_table_info('migrations')",
        r => r.GetString(0), cancellation);
}
