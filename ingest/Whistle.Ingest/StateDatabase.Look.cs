namespace Whistle.Ingest;

public sealed partial class StateDatabase
{
    /// <summary>Looks at all of a state file that no server uses, and changes nothing.</summary>
    /// <param name="hasHistory">The folder holds what a server only leaves beside a state.</param>
    public static DataFinding Look(string file, bool hasHistory)
    {
        var part = Path.GetFileName(file);
        try
        {
            return StateInspection.Look(file, new StateOpening { HasHistory = hasHistory }).IsNew
                ? new(part, false, "There is none yet.") : new(part, false, "It is whole.");
        }
        catch (StateException e)
        {
            return new(part, true, e.Message);
        }
    }
}
