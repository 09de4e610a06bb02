namespace Whistle.Ingest;

public sealed partial class StateDatabase
{
    /// <summary>Looks at all of a state file that no server uses, and changes nothing.</summary>
    /// <param name="hasHistory">The folder holds what a server only leaves beside a state.</param>
    /// <param name="program">All stages of the whole program.</param>
    public static DataFinding Look(string file, bool hasHistory, IReadOnlyList<StateSchema> program)
    {
        var part = Path.GetFileName(file);
        try
        {
            if (StateInspection.Look(file, new StateOpening { HasHistory = hasHistory }).IsNew)
                return new(part, false, "There is none yet.");
            IReadOnlyList<StateSchema> schemas = [StateSchema.Own, .. program];
            if (StateInspection.IsNewer(file, schemas))
                return new(part, false, "It can be read. It was made by a newer version of Whistle, so whether all its tables are there was not looked at.");
            StateInspection.LookAtShape(file, schemas);
            return new(part, false, "It is whole.");
        }
        catch (StateException e)
        {
            return new(part, true, e.Message);
        }
    }
}
