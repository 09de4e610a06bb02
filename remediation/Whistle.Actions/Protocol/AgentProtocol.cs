using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Actions.Protocol;

/// <summary>
/// A command that an agent holds until it reports a result or the lease ends. Leased by <c>POST /agent/v1/commands/lease</c>, a long poll
/// that answers 200 with a list, or 204.
/// </summary>
/// <param name="Id">The idempotency key: a command is executed at most once under it.</param>
/// <param name="Token">The fencing token of this lease; a later lease has a higher one.</param>
/// <param name="Action">Such as <c>disk.clean-paths</c>.</param>
/// <param name="Parameters">An object of the action's own shape.</param>
/// <param name="DryRun">Only say what would be done.</param>
/// <param name="TimeoutSeconds">After this long the agent stops and reports what it did.</param>
public sealed record LeasedCommand(string Id, long Token, string Action, JsonElement Parameters, bool DryRun, int TimeoutSeconds)
{
    /// <summary>The step of its run; null from servers of earlier releases.</summary>
    public string? Step { get; init; }

    /// <summary>It takes back what a step has changed.</summary>
    public bool Undo { get; init; }
}

/// <param name="WaitSeconds">How long the server may hold the request while there is nothing to do.</param>
/// <param name="TellsJournal">The agent understands <see cref="AgentProtocol.TellJournal"/>; another waits in vain until it is
/// upgraded.</param>
public sealed record LeaseRequest(int WaitSeconds, bool TellsJournal = false);

public static class AgentProtocol
{
    /// <summary>
    /// A header of the answer to a lease: the server was restored from a backup. It gives out nothing before the agent has told all that
    /// its journal holds, under this generation.
    /// </summary>
    public const string TellJournal = "Whistle-Tell-Journal";
}

/// <summary><c>POST /agent/v1/commands/journal</c>: a part of what the agent remembers of commands.</summary>
/// <param name="KnownSince">What ended before then it may have forgotten; milliseconds since 1970 UTC.</param>
/// <param name="More">Other parts follow.</param>
public sealed record JournalReport(string Generation, long KnownSince, IReadOnlyList<JournalEntry> Commands, bool More);

/// <param name="At">When that was written, milliseconds since 1970 UTC.</param>
/// <param name="Began">A permit was given, so it may have changed something; null where the journal does not say.</param>
/// <param name="Step">The step of its run; null where the journal does not say.</param>
/// <param name="Undo">It took back what a step has changed.</param>
public sealed record JournalEntry(
    string Id, string Action, long At, CommandOutcome Outcome, string Summary, bool? Began = null, string? Step = null, bool Undo = false);

/// <summary><c>POST /agent/v1/commands/{id}/begin</c>, asked right before the first mutation.</summary>
public sealed record BeginRequest(long Token);

/// <summary>
/// Whether the agent may mutate now. A permit lasts <paramref name="Seconds"/> on the agent's monotonic clock, counted from when it asked.
/// </summary>
/// <param name="Reason">Why not, in a sentence; null where it may.</param>
public sealed record BeginAnswer(bool Granted, int Seconds, string? Reason);

[JsonConverter(typeof(JsonStringEnumConverter<CommandOutcome>))]
public enum CommandOutcome
{
    Succeeded,
    Failed,

    /// <summary>The permit, the node's policy or the action itself said no before anything was changed.</summary>
    Refused,

    /// <summary>The agent wrote its intent and does not know how far it came. It is never executed again by itself.</summary>
    Indeterminate,
}

/// <summary><c>POST /agent/v1/commands/{id}/result</c>, repeated until it is acknowledged.</summary>
/// <param name="Summary">One sentence for the timeline.</param>
/// <param name="Output">The action's own report; null where there is none.</param>
public sealed record CommandResult(long Token, CommandOutcome Outcome, string Summary, JsonElement? Output);

/// <summary><c>POST /agent/v1/enrol</c>, with a join token as bearer. Repeated with the same credential it answers the same.</summary>
/// <param name="Node">The name that the node will have in its cluster.</param>
/// <param name="Credential">The token that it has made and will send from then on; the server keeps a hash.</param>
public sealed record EnrolRequest(string Node, string Credential);

/// <summary>As whom the node reports now.</summary>
public sealed record EnrolAnswer(string Tenant, string Cluster, string Node);

/// <summary>
/// <c>POST /agent/v1/renew</c>, with the credential of now as bearer. Repeated with the same new one it answers the same; so it does where
/// the new one is the bearer.
/// </summary>
/// <param name="Credential">What the agent has made and will send from then on; its first use ends the one before.</param>
public sealed record RenewRequest(string Credential);

/// <param name="EndsAt">When the new credential ends, milliseconds since 1970 UTC; null where it has no end.</param>
public sealed record RenewAnswer(string Node, long? EndsAt);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(List<LeasedCommand>))]
[JsonSerializable(typeof(LeaseRequest))]
[JsonSerializable(typeof(BeginRequest))]
[JsonSerializable(typeof(BeginAnswer))]
[JsonSerializable(typeof(CommandResult))]
[JsonSerializable(typeof(JournalReport))]
[JsonSerializable(typeof(EnrolRequest))]
[JsonSerializable(typeof(EnrolAnswer))]
[JsonSerializable(typeof(RenewRequest))]
[JsonSerializable(typeof(RenewAnswer))]
public sealed partial class AgentProtocolJson : JsonSerializerContext;
