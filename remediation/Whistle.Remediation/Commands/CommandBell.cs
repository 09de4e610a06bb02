using System.Collections.Concurrent;

using Whistle.Inventory;
using Whistle.State;

namespace Whistle.Remediation.Commands;

/// <summary>
/// Wakes the long polls of a node when a command is offered to it, by this process or another. Only saves time: a poll looks again by
/// itself.
/// </summary>
sealed class CommandBell
{
    public const string Channel = "whistle_commands";

    readonly ConcurrentDictionary<NodeId, TaskCompletionSource> _waiting = new();
    volatile bool _isListening;

    /// <summary>
    /// How long a poll waits before it looks by itself: at most a moment where what another process offers rings nothing here.
    /// </summary>
    public TimeSpan LookAgain => _isListening ? TimeSpan.FromSeconds(30) : TimeSpan.FromSeconds(5);

    /// <summary>Ask for it before looking for commands, so that none slips in between.</summary>
    public Task Next(Sender sender) => _waiting.GetOrAdd(
        sender.NodeId!.Value, _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Ring(Command command) => Ring(command.NodeId);

    /// <summary>Tells the other processes, once the transaction has committed.</summary>
    public static Task RingOthersAsync(StateConnection connection, Command command, CancellationToken cancellation) =>
        connection.NotifyAsync(Channel, $"{command.Tenant}\n{command.Cluster}\n{command.Node}", cancellation);

    /// <summary>Rings for what other processes tell, until it is cancelled.</summary>
    public Task ListenAsync(StateDatabase database, TimeProvider time, CancellationToken cancellation) => database.ListenAsync(
        Channel,
        text =>
        {
            if (text.Split('\n') is [var tenant, var cluster, var node])
                Ring(new NodeId(tenant, cluster, node));
        },
        listening => _isListening = listening, time, cancellation);

    void Ring(NodeId node)
    {
        if (_waiting.TryRemove(node, out var waiting))
            waiting.TrySetResult();
    }
}
