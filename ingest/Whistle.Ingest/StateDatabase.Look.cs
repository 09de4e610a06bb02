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
            StateInspection.LookAtShape(file, [StateSchema.Own, .. program]);
            return new(part, false, "It is whole.");
        }
        catch (StateException e)
        {
            return new(part, true, e.Message);
        }
    }
}
