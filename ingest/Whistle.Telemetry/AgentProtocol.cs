using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whistle.Telemetry;

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
public sealed record LeasedCommand(string Id, long Token, string Action, JsonElement Parameters, bool DryRun, int TimeoutSeconds);

/// <param name="WaitSeconds">How long the server may hold the request while there is nothing to do.</param>
public sealed record LeaseRequest(int WaitSeconds);

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

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(List<LeasedCommand>))]
[JsonSerializable(typeof(LeaseRequest))]
[JsonSerializable(typeof(BeginRequest))]
[JsonSerializable(typeof(BeginAnswer))]
[JsonSerializable(typeof(CommandResult))]
public sealed partial class AgentProtocolJson : JsonSerializerContext;
