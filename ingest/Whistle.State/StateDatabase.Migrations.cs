using System.Data.Common;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    // Of one stage; a higher number is damage.
    const int MostMigrations = 10_000;

    /// <summary>Runs the migrations of one stage that this database has not seen yet, all in one transaction.</summary>
    /// <exception cref="StateException">It was made by a newer program, or a migration is not the one that was run.</exception>
    public void Migrate(StateSchema schema) => Migrate([StateSchema.Own, schema], isWhole: false);

    /// <summary>As <see cref="Migrate(StateSchema)"/>.</summary>
    public void Migrate(string stage, params IReadOnlyList<StateScript> scripts) => Migrate(new StateSchema(stage, scripts));

    /// <summary>
    /// Brings the state to what the whole program knows, or changes nothing: what was made by a newer one is refused. Of an older file a copy
    /// is made beside it first.
    /// </summary>
    /// <param name="program">All its stages.</param>
    /// <param name="tell">Told what is done.</param>
    /// <exception cref="StateException">It was made by a newer program, a migration is not the one that was run, or no copy can be made.</exception>
    public void Upgrade(IReadOnlyList<StateSchema> program, Action<string> tell)
    {
        IReadOnlyList<StateSchema> schemas = [StateSchema.Own, .. program];
        int found;
        using (var connection = Open())
        {
            if (IsWhole(connection, schemas, out found))
                return;
        }

        var known = schemas.Sum(s => s.Scripts.Count);
        if (found > 0)
            tell($"The state has schema version {found}, this program has {known}: it is migrated.{CopyBefore(found, known)}");
        Migrate(schemas, isWhole: true);
    }

    /// <summary>As <see cref="Upgrade"/> where the state is new; else it must be current.</summary>
    /// <exception cref="StateException">Besides: it is older than this program.</exception>
    public void RequireCurrent(IReadOnlyList<StateSchema> program)
    {
        IReadOnlyList<StateSchema> schemas = [StateSchema.Own, .. program];
        using var connection = Open();
        if (IsWhole(connection, schemas, out var found))
            return;
        if (found > 0)
            throw new StateException($"The state has schema version {found}, this program has {schemas.Sum(s => s.Scripts.Count)}. Start `whistle serve` of this version once, which migrates it.");
        Migrate(schemas, isWhole: true);
    }

    // In one transaction, since another process may migrate in between. Without the check, a missing table would come to light only when
    // somebody needs it.
    static bool IsWhole(DbConnection connection, IReadOnlyList<StateSchema> schemas, out int found)
    {
        using var picture = connection.BeginRead();
        var applied = Applied(connection);
        found = applied.Count;
        var isCurrent = IsCurrent(applied, schemas, isWhole: true);
        var state = (StateConnection)connection;
        return state.Guarded(c => ShapeFault(c.Kept.Inner, schemas, applied.Keys)) is { } fault ? throw Damaged(state, fault) : isCurrent;
    }

    /// <summary>What the migrations that were run made and is not as they made it; null where nothing is wrong.</summary>
    internal static string? ShapeFault(DbConnection connection, IReadOnlyList<StateSchema> schemas, IEnumerable<(string Stage, long Number)> applied)
    {
        var numbers = applied.ToLookup(m => m.Stage, m => m.Number);
        var gap = numbers.FirstOrDefault(stage => stage.Max() >= stage.Count());
        return gap is not null
            ? $"the table migrations has migration {gap.Max() + 1} of the stage {gap.Key}, but not all before it"
            : StateShape.Fault(connection, schemas, stage => numbers[stage].Count());
    }

    internal void Migrate(IReadOnlyList<StateSchema> schemas, bool isWhole)
    {
        using var connection = Open();
        if (!IsCurrent(Applied(connection), schemas, isWhole))
        {
            using var transaction = connection.BeginWrite();
            MakeTable(connection);
            IsCurrent(Applied(connection), schemas, isWhole);
            var applied = Applied(connection);
            foreach (var schema in schemas)
            {
                for (var number = 0; number < schema.Scripts.Count; number++)
                    Apply(connection, schema, number, applied);
            }

            transaction.Commit();
        }

        Remember(connection);
    }

    static void Apply(DbConnection connection, StateSchema schema, int number, Dictionary<(string Stage, long Number), string?> applied)
    {
        var script = schema.Scripts[number];
        (string, object?)[] row = [("$stage", schema.Stage), ("$number", number), ("$checksum", script.Checksum)];
        if (!applied.TryGetValue((schema.Stage, number), out var checksum))
        {
            Run(connection, schema, number);
            connection.Execute("INSERT INTO migrations (stage, number, checksum) VALUES ($stage, $number, $checksum)", row);
        }
        else if (checksum is null)
        {
            // Run by a version that kept no checksums.
            connection.Execute("UPDATE migrations SET checksum = $checksum WHERE stage = $stage AND number = $number", row);
        }
    }

    static void Run(DbConnection connection, StateSchema schema, int number)
    {
        try
        {
            connection.Script(schema.Scripts[number].Sql);
            schema.Scripts[number].Then?.Invoke(connection);
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
                throw Newer(applied.Count, known, $"migration {number + 1} of the stage {stage}, of which this version knows {schema.Scripts.Count}");
            }
            else if (checksum is not null && checksum != schema.Scripts[(int)number].Checksum)
            {
                throw new StateException(
                    $"Migration {number + 1} of the stage {stage} was run with checksum {checksum}, but this program's has {schema.Scripts[(int)number].Checksum}: the state was made by another build of Whistle, or its row is damaged. Nothing was changed. Start the build that made it, or restore a backup with `whistle backup restore`.");
            }
        }

        return schemas.All(s => Enumerable.Range(0, s.Scripts.Count).All(n => applied.GetValueOrDefault((s.Stage, n)) is not null));
    }

    static StateException Newer(int found, int known, string what) => new(
        $"The state has schema version {found} and this program knows version {known}: it was made by a newer version of Whistle, for it has {what}. Nothing was changed. Start the newer version again, or restore a backup from before the upgrade with `whistle backup restore`.");

    /// <summary>The checksums of the migrations that were run; null where an older version kept none.</summary>
    static Dictionary<(string Stage, long Number), string?> Applied(DbConnection connection)
    {
        var columns = Columns(connection);
        return columns.Count == 0
            ? []
            : connection.Query(
                $"SELECT stage, number, {(columns.Contains("checksum") ? "checksum" : "NULL")} FROM migrations ORDER BY stage, number",
                r => (Key: MigrationOf(r) ?? throw Damaged((StateConnection)connection, NoMigration), Checksum: r.IsDBNull(2) ? null : r.GetValue(2).ToString()))
                .DistinctBy(m => m.Key).ToDictionary(m => m.Key, m => m.Checksum);
    }

    /// <summary>The stage and number that a row of <c>migrations</c> begins with; null where it names none.</summary>
    internal static (string Stage, long Number)? MigrationOf(DbDataReader row) =>
        row.GetValue(0) is string stage && row.GetValue(1) is long and >= 0 and < MostMigrations and var number ? (stage, number) : null;

    internal const string NoMigration = "a row of the table migrations names no migration";

    static StateException Damaged(StateConnection connection, string what) => new(StateInspection.Damaged(connection.Source._file ?? "in PostgreSQL", what));

    static void MakeTable(DbConnection connection)
    {
        connection.Script("CREATE TABLE IF NOT EXISTS migrations (stage TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (stage, number))");
        if (!Columns(connection).Contains("checksum"))
            connection.Script("ALTER TABLE migrations ADD COLUMN checksum TEXT");
    }

    static List<string> Columns(DbConnection connection) => connection.Query(
        ((StateConnection)connection).Source.IsPostgreSql
            ? "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'migrations'"
            : "SELECT name FROM pragma_table_info('migrations')",
        r => r.GetString(0));
}
