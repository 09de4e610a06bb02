using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Whistle.Ingest.Logs;

/// <summary>
/// Writes on their way to the committer, in a line for each tenant. They are taken from one line after the other, so whoever brings much
/// holds up himself alone.
/// </summary>
sealed class FairQueue
{
    // One for each write: who waits, waits here.
    readonly Channel<bool> _tokens = Channel.CreateUnbounded<bool>(new UnboundedChannelOptions { SingleReader = true });
    readonly Lock _lock = new();
    readonly Dictionary<string, Line> _lines = [];
    readonly Queue<Line> _turns = [];

    /// <summary>Samples of the tenant that wait.</summary>
    public int Samples(string tenant)
    {
        lock (_lock)
            return _lines.TryGetValue(tenant, out var line) ? line.Samples : 0;
    }

    /// <returns>False once it is complete.</returns>
    public bool TryWrite(StagedWrite write)
    {
        lock (_lock)
        {
            // Who takes the token waits for the lock.
            if (!_tokens.Writer.TryWrite(true))
                return false;
            if (!_lines.TryGetValue(write.Tenant, out var line))
            {
                _lines.Add(write.Tenant, line = new Line(write.Tenant));
                _turns.Enqueue(line);
            }

            line.Writes.Enqueue(write);
            line.Samples += write.Count;
            return true;
        }
    }

    public bool TryRead([NotNullWhen(true)] out StagedWrite? write)
    {
        write = null;
        if (!_tokens.Reader.TryRead(out _))
            return false;
        lock (_lock)
        {
            var line = _turns.Dequeue();
            write = line.Writes.Dequeue();
            line.Samples -= write.Count;
            if (line.Writes.Count > 0)
                _turns.Enqueue(line);
            else
                _lines.Remove(line.Tenant);
        }

        return true;
    }

    /// <returns>False once it is complete and all were taken.</returns>
    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellation) => _tokens.Reader.WaitToReadAsync(cancellation);

    public void Complete() => _tokens.Writer.TryComplete();

    sealed class Line(string tenant)
    {
        public string Tenant { get; } = tenant;

        public Queue<StagedWrite> Writes { get; } = [];

        public int Samples { get; set; }
    }
}
