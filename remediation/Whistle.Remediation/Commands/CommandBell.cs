using System.Collections.Concurrent;

using Whistle.Inventory;

namespace Whistle.Remediation.Commands;

/// <summary>Wakes the long polls of a node when a command is offered to it. Only saves time: a poll looks again by itself.</summary>
sealed class CommandBell
{
    readonly ConcurrentDictionary<(string, string, string), TaskCompletionSource> _waiting = new();

    /// <summary>Ask for it before looking for commands, so that none slips in between.</summary>
    public Task Next(Sender sender) => _waiting.GetOrAdd(
        (sender.Tenant, sender.Cluster, sender.Node!), _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    public void Ring(Command command)
    {
        if (_waiting.TryRemove((command.Tenant, command.Cluster, command.Node), out var waiting))
            waiting.TrySetResult();
    }
}
