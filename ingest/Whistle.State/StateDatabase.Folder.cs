using Whistle.State.Files;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    /// <summary>In the data folder of a server whose state is in PostgreSQL: the id of that state.</summary>
    public const string FolderMark = "state-id";

    /// <summary>A table of a PostgreSQL database into which a state is being copied; no server starts while it is there.</summary>
    internal const string UnfinishedCopy = "state_copy";

    /// <summary>
    /// Checks that a state in PostgreSQL is the one that belongs to the data folder. An empty database or a new schema would otherwise be
    /// taken for a first start, without the kill switch and the pauses that apply. A state file has a mark of its own.
    /// </summary>
    /// <param name="hasHistory">The folder holds what a server only leaves beside a state.</param>
    /// <param name="accept">Continues with what is there, as <see cref="StateOpening.Accept"/>.</param>
    /// <exception cref="StateException">It is another one, or none.</exception>
    public async Task ExpectAsync(string folder, bool hasHistory, bool accept, CancellationToken cancellation)
    {
        if (!IsPostgreSql)
            return;
        await RefuseUnfinishedAsync(cancellation);
        if (await DoubtAsync(folder, hasHistory, cancellation) is not { } doubt)
            return;
        Accepted = accept ? doubt
            : throw new StateException(
                $"{doubt} Name the database and the schema that it is in, or load the dump that belongs to the folder. "
                + "Or start with --accept-state, which "
                + "continues with what is in the database: pauses, freezes and runs that it does not have are lost, "
                + "and the kill switch is turned on until "
                + "somebody has looked.");
    }

    /// <summary>To be called once the state is ready.</summary>
    public async Task RememberInAsync(string folder, CancellationToken cancellation)
    {
        if (IsPostgreSql && await IdentityAsync(cancellation) is var identity && Remembered(folder) != identity)
            DurableFile.Write(Path.Combine(folder, FolderMark), $"{identity}\n");
    }

    async Task RefuseUnfinishedAsync(CancellationToken cancellation)
    {
        const string book = $"SELECT 1 FROM pg_tables WHERE tablename = '{UnfinishedCopy}' AND schemaname = current_schema()";
        await using var connection = await ConnectAsync(cancellation);
        if ((await connection.QueryAsync(book, _ => true, cancellation)).Count > 0)
            throw new StateException(
                "A copy of a state into this database has not come to its end. Run `whistle state copy` again, which goes on with it, or "
                + "name another database.");
    }

    async Task<string?> DoubtAsync(string folder, bool hasHistory, CancellationToken cancellation) =>
        (Remembered(folder), await IdentityIfAnyAsync(cancellation)) switch
        {
            (null, null) => hasHistory ? $"The database has no state yet, but {folder} has files that a server keeps next to one." : null,
            (null, _) => null,
            (_, null) => $"The database has no state, but {folder} belongs to one, which its file {FolderMark} names.",
            var (known, found) => known == found
                ? null : $"The database has another state than the one that {folder} belongs to, which its file {FolderMark} names.",
        };

    static string? Remembered(string folder) =>
        Path.Combine(folder, FolderMark) is var file && File.Exists(file) ? File.ReadAllText(file).Trim() : null;

    async Task<string?> IdentityIfAnyAsync(CancellationToken cancellation)
    {
        const string table = "SELECT 1 FROM pg_tables WHERE tablename = 'instance' AND schemaname = current_schema()";
        await using var connection = await ConnectAsync(cancellation);
        return (await connection.QueryAsync(table, _ => true, cancellation)).Count > 0
            ? await IdentityAsync(connection, cancellation) : null;
    }
}
