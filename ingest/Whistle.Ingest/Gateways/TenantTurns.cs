using System.Runtime.InteropServices;

namespace Whistle.Ingest.Gateways;

/// <summary>
/// Lets so much work be under way at a time, for one tenant and in all; the rest waits in line. A tenant that asks for much waits for
/// itself.
/// </summary>
/// <param name="mostWaiting">Of one tenant; more are turned away.</param>
public sealed class TenantTurns(int perTenant, int inAll, int mostWaiting)
{
    readonly Lock _lock = new();
    readonly Dictionary<string, Line> _lines = [];
    int _running;
    long _tickets;

    /// <returns>To be disposed of when the work is done; null where too many wait already.</returns>
    public async ValueTask<IDisposable?> TryEnterAsync(string tenant, CancellationToken cancellation)
    {
        TaskCompletionSource turn;
        lock (_lock)
        {
            var line = CollectionsMarshal.GetValueRefOrAddDefault(_lines, tenant, out _) ??= new Line();
            if (line.Waiting.Count >= mostWaiting)
                return null;
            turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            line.Waiting.AddLast((++_tickets, turn));
            StartNext_NeedsLock();
        }

        await using (cancellation.Register(() => Leave(tenant, turn)))
            await turn.Task;
        return new Turn(this, tenant);
    }

    // Of those whose tenant may have one more, whoever has waited longest.
    void StartNext_NeedsLock()
    {
        while (_running < inAll
            && _lines.Values.Where(l => l.Running < perTenant && l.Waiting.Count > 0).MinBy(l => l.Waiting.First!.Value.Ticket) is { } next)
        {
            var turn = next.Waiting.First!.Value.Turn;
            next.Waiting.RemoveFirst();
            next.Running++;
            _running++;
            turn.SetResult();
        }
    }

    void Leave(string tenant, TaskCompletionSource turn)
    {
        lock (_lock)
        {
            // Whose turn it was already gives it back himself.
            if (turn.Task.IsCompleted || !_lines.TryGetValue(tenant, out var line))
                return;
            for (var node = line.Waiting.First; node is not null; node = node.Next)
            {
                if (node.Value.Turn != turn)
                    continue;
                line.Waiting.Remove(node);
                break;
            }

            Forget_NeedsLock(tenant, line);
            turn.SetCanceled();
        }
    }

    void End(string tenant)
    {
        lock (_lock)
        {
            var line = _lines[tenant];
            line.Running--;
            _running--;
            StartNext_NeedsLock();
            Forget_NeedsLock(tenant, line);
        }
    }

    void Forget_NeedsLock(string tenant, Line line)
    {
        if (line.Running == 0 && line.Waiting.Count == 0)
            _lines.Remove(tenant);
    }

    sealed class Line
    {
        public int Running { get; set; }

        public LinkedList<(long Ticket, TaskCompletionSource Turn)> Waiting { get; } = [];
    }

    sealed class Turn(TenantTurns turns, string tenant) : IDisposable
    {
        int _ended;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _ended, 1) == 0)
                turns.End(tenant);
        }
    }
}
