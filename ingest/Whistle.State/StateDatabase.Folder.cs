using Whistle.State.Files;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    /// <summary>In the data folder of a server whose state is in PostgreSQL: the id of that state.</summary>
    public const string FolderMark = "state-id";

    /// <summary>
    /// Checks that a state in PostgreSQL is the one that belongs to the data folder. An empty database or a new schema would otherwise be
    /// taken for a first start, without the kill switch and the pauses that apply. A state file has a mark of its own.
    /// </summary>
    /// <param name="hasHistory">The folder holds what a server only leaves beside a state.</param>
    /// <param name="accept">Goes on with what is there, as <see cref="StateOpening.Accept"/>.</param>
    /// <exception cref="StateException">It is another one, or none.</exception>
    public void Expect(string folder, bool hasHistory, bool accept)
    {
        if (!IsPostgreSql || Doubt(folder, hasHistory) is not { } doubt)
            return;
        Accepted = accept ? doubt
            : throw new StateException(
                $"{doubt} Name the database and the schema that it is in, or load the dump that belongs to the folder. Or start with --accept-state, which "
                + "continues with what is in the database: pauses, freezes and runs that it does not have are lost, and the kill switch is turned on until "
                + "somebody has looked.");
    }

    /// <summary>To be called once the state is ready.</summary>
    public void RememberIn(string folder)
    {
        if (IsPostgreSql && Remembered(folder) != Identity)
            DurableFile.Write(Path.Combine(folder, FolderMark), $"{Identity}\n");
    }

    string? Doubt(string folder, bool hasHistory) => (Remembered(folder), IdentityIfAny()) switch
    {
        (null, null) => hasHistory ? $"The database has no state yet, but {folder} has what a server leaves beside one." : null,
        (null, _) => null,
        (_, null) => $"The database has no state, but {folder} belongs to one, which its file {FolderMark} names.",
        var (known, found) => known == found ? null : $"The database has another state than the one that {folder} belongs to, which its file {FolderMark} names.",
    };

    static string? Remembered(string folder) => Path.Combine(folder, FolderMark) is var file && File.Exists(file) ? File.ReadAllText(file).Trim() : null;

    string? IdentityIfAny()
    {
        using var connection = Open();
        return connection.Query("SELECT 1 FROM pg_tables WHERE tablename = 'instance' AND schemaname = current_schema()", _ => true).Count > 0 ? Identity : null;
    }
}
