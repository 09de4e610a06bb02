namespace Whistle.Inventory;

/// <summary>What lets nodes of one cluster enrol themselves for a time.</summary>
/// <param name="Id">Names it in lists; opens nothing.</param>
/// <param name="Uses">How many nodes may enrol with it.</param>
/// <param name="Used">How many have.</param>
/// <param name="Replaces">A node that is enrolled may enrol again under its name; its earlier credentials end with that.</param>
public sealed record JoinToken(
    string Id, ClusterId ClusterId, int Uses, int Used, bool Replaces, DateTimeOffset MadeAt, DateTimeOffset EndsAt);

/// <summary>What became of a node that asked to be enrolled.</summary>
public abstract record JoinOutcome
{
    /// <param name="Replaced">How many credentials of this node ended with it.</param>
    public sealed record Joined(NodeId NodeId, int Replaced) : JoinOutcome;

    /// <param name="Reason">Why not, and what to do.</param>
    /// <param name="IsToken">It is the token that does not let it in.</param>
    public sealed record Refused(string Reason, bool IsToken) : JoinOutcome;
}
