using Microsoft.Extensions.Hosting;

namespace Whistle.Web.Live;

/// <summary>
/// One snapshot every two seconds for all viewers together. It is read by people, so its pace is real time whatever clock the server runs
/// on; the times that it tells are the server's. While nobody looks it does nothing.
/// </summary>
sealed class LiveFeed(SnapshotReader reader, LivePace live) : BackgroundService
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(2);

    readonly TimeProvider _pace = live.Time;
    readonly SemaphoreSlim _reading = new(1, 1);
    readonly Lock _gate = new();
    readonly List<Func<FleetSnapshot, Task>> _watchers = [];
    FleetSnapshot? _current;
    long _readAt;

    /// <summary>The latest; null before anybody looked.</summary>
    public FleetSnapshot? Current => Volatile.Read(ref _current);

    /// <summary>How many look.</summary>
    public int Watchers
    {
        get
        {
            lock (_gate)
                return _watchers.Count;
        }
    }

    /// <summary>The current one; read anew where it is older than <see cref="Every"/>.</summary>
    public async Task<FleetSnapshot> GetAsync(CancellationToken cancellation)
    {
        if (IsFresh)
            return _current!;
        await _reading.WaitAsync(cancellation);
        try
        {
            if (!IsFresh)
                await ReadAsync(cancellation);
            return _current!;
        }
        finally
        {
            _reading.Release();
        }
    }

    /// <summary>Reads at once: somebody has changed something and wants to see it.</summary>
    public async Task RefreshAsync(CancellationToken cancellation)
    {
        await _reading.WaitAsync(cancellation);
        try
        {
            await ReadAsync(cancellation);
        }
        finally
        {
            _reading.Release();
        }

        await TellAsync();
    }

    /// <summary>Calls back with every new snapshot until disposed.</summary>
    public IDisposable Watch(Func<FleetSnapshot, Task> changed)
    {
        lock (_gate)
            _watchers.Add(changed);
        return new Watching(this, changed);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, _pace);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (Watchers > 0)
                await RefreshAsync(stoppingToken);
        }
    }

    public override void Dispose()
    {
        _reading.Dispose();
        base.Dispose();
    }

    bool IsFresh => Volatile.Read(ref _current) is not null && _pace.GetElapsedTime(_readAt) < Every;

    // Reading never throws: what fails is said in the snapshot.
    async Task ReadAsync(CancellationToken cancellation)
    {
        var next = await reader.ReadAsync(_current, cancellation);
        _readAt = _pace.GetTimestamp();
        Volatile.Write(ref _current, next);
    }

    Task TellAsync()
    {
        List<Func<FleetSnapshot, Task>> watchers;
        lock (_gate)
            watchers = [.. _watchers];
        return Task.WhenAll(watchers.Select(w => w(_current!)));
    }

    sealed class Watching(LiveFeed feed, Func<FleetSnapshot, Task> changed) : IDisposable
    {
        public void Dispose()
        {
            lock (feed._gate)
                feed._watchers.Remove(changed);
        }
    }
}
