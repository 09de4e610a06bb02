using System.IO.Hashing;
using System.Text;

namespace Whistle.State;

/// <summary>One migration. Once released, its text never changes: the database keeps its checksum.</summary>
/// <param name="Then">What SQL cannot say, in the same transaction.</param>
public readonly record struct StateScript(string Sql, Func<StateConnection, CancellationToken, Task>? Then = null)
{
    public static implicit operator StateScript(string sql) => new(sql);

    public static StateScript FromString(string sql) => new(sql);

    // Over the shared text, not a dialect's; however the source was checked out.
    internal string Checksum => Convert.ToHexStringLower(XxHash128.Hash(Encoding.UTF8.GetBytes(Sql.ReplaceLineEndings("\n"))));
}

/// <summary>The tables of a stage: its migrations in their order.</summary>
public sealed record StateSchema(string Stage, params IReadOnlyList<StateScript> Scripts)
{
    // On the page of its table a seal is written together with the count of commits: see StateMark.
    internal static readonly StateSchema Own = new("state", new StateScript(
        """
        CREATE TABLE seals (scope TEXT PRIMARY KEY, size INTEGER NOT NULL, total INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE instance (id TEXT PRIMARY KEY) WITHOUT ROWID;
        """,
        static async (connection, cancellation) =>
        {
            await connection.ExecuteAsync(
                "INSERT INTO seals (scope, size, total) VALUES ($scope, 0, 0)", cancellation, ("$scope", StateMark.Scope));
            await connection.ExecuteAsync("INSERT INTO instance (id) VALUES ($id)", cancellation, ("$id", Guid.NewGuid().ToString("N")));
        }),
        Lineage.Table);
}
