using Whistle.State.Files;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    /// <summary>Looks at all of a state file that no server uses, and changes nothing.</summary>
    /// <param name="hasHistory">The folder holds what a server only leaves beside a state.</param>
    /// <param name="program">All stages of the whole program.</param>
    public static async Task<DataFinding> LookAsync(
        string file, bool hasHistory, IReadOnlyList<StateSchema> program, CancellationToken cancellation)
    {
        var part = Path.GetFileName(file);
        try
        {
            if (StateInspection.Look(file, new StateOpening { HasHistory = hasHistory }).IsNew)
                return new(part, false, "There is none yet.");
            return new(part, false, await StateInspection.HasShapeAsync(file, [StateSchema.Own, .. program], cancellation) ? "It is whole."
                : "It can be read. It was made by a newer version of Whistle, so this one cannot tell whether all its tables are there.");
        }
        catch (StateException e)
        {
            return new(part, true, e.Message);
        }
    }
}
