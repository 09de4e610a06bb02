using System.ComponentModel;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Contract;

/// <summary>What actions that run programs and change files have in common.</summary>
static class NodeWork
{
    /// <summary>Runs an action's body on its own; whatever it throws for is said in the report.</summary>
    public static Task<ActionReport> RunAsync(ActionContext context, Func<Task<ActionReport>> body, CancellationToken cancellation) =>
        Task.Run(
            async () =>
            {
                // Before the first permit nothing can have been changed.
                var failure = () => context.Guard.Begun ? CommandOutcome.Indeterminate : CommandOutcome.Failed;
                try
                {
                    return await body().ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
                {
                    return new ActionReport(failure(), ActionReport.OutOfTime);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException or Win32Exception
                    or PlatformNotSupportedException)
                {
                    return new ActionReport(failure(), e.Message);
                }
            },
            CancellationToken.None);

    /// <summary>
    /// Why nothing may be changed now, or null. Asked right before each change; <paramref name="allows"/> is asked of the policy as it is
    /// then.
    /// </summary>
    public static async ValueTask<string?> WhyNotAsync(
        this ActionContext context, Func<NodePolicy, bool> allows, CancellationToken cancellation)
    {
        try
        {
            if (!await context.Guard.MayMutateAsync(cancellation).ConfigureAwait(false))
                return context.Guard.Refusal ?? "There is no permit, and no reason for that.";
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return ActionReport.OutOfTime;
        }

        if (cancellation.IsCancellationRequested)
            return ActionReport.OutOfTime;
        if (context.Policy(out var refusal) is not { } policy)
            return refusal;
        return allows(policy) ? null : $"The node's policy {context.PolicyFile} was changed during the run and allows this no more.";
    }

    public static NodePolicy? Policy(this ActionContext context, out string? refusal) =>
        NodePolicy.Read(context.PolicyFile, context.ProtectedFolders, out refusal);

    public static ActionReport Report<T>(CommandOutcome outcome, string summary, T output, JsonTypeInfo<T> type) =>
        new(outcome, summary, JsonSerializer.SerializeToElement(output, type));

    /// <summary>Nothing done is a refusal, something done a failure.</summary>
    public static CommandOutcome Stopped(bool changedSomething) => changedSomething ? CommandOutcome.Failed : CommandOutcome.Refused;
}
