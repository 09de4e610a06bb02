using System.Text.Json;

using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Contract;

/// <summary>Something an agent can do on its node. It never throws for a missing policy or a failing file; it says so.</summary>
public interface INodeAction
{
    ActionDescriptor Descriptor { get; }

    /// <summary>What the node's policy lets it do, in a sentence.</summary>
    string Allowance(NodePolicy? policy);

    /// <summary>
    /// Runs it, or says what it would do. Where the token is cancelled (time limit, agent stops), it returns with what it did until then.
    /// </summary>
    Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation);
}

public static class NodeActionExtensions
{
    /// <summary>Runs it with parameters as a command has them, or refuses what its descriptor does not allow.</summary>
    public static Task<ActionReport> RunAsync(
        this INodeAction action, JsonElement parameters, ActionContext context, CancellationToken cancellation) =>
        Arguments.Read(action.Descriptor, parameters, out var refusal) is { } asked
            ? action.RunAsync(asked, context, cancellation)
            : Task.FromResult(ActionReport.Refuse(refusal!));
}

/// <param name="Summary">One sentence for a person.</param>
/// <param name="Output">The action's own report, of bounded size.</param>
public sealed record ActionReport(CommandOutcome Outcome, string Summary, JsonElement? Output = null)
{
    internal const string OutOfTime = "It was stopped, or its time was over.";

    internal static ActionReport Refuse(string reason) => new(CommandOutcome.Refused, reason);
}
