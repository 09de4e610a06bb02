namespace Whistle.State.Files;

/// <summary>What was found of one part of the data folder.</summary>
/// <param name="Part">A file, an hour, an entry of what was set aside.</param>
public sealed record DataFinding(string Part, bool IsDamage, string Text)
{
    /// <summary>An entry of what was set aside earlier: it is out of the way, and nothing is wrong with what is left.</summary>
    public bool IsAside { get; init; }
}
