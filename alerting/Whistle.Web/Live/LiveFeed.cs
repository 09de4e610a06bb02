using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Whistle.Web.Live;

/// <summary>
/// One snapshot every two seconds for all viewers together. It is read by people, so its pace is real time whatever clock the server runs
/// on; the times that it tells are the server's. While nobody looks it does nothing.
/// </summary>
sealed class LiveFeed(SnapshotReader reader, LivePace live, ILogger<LiveFeed> logger) : BackgroundService
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(2);

    readonly TimeProvider _pace = live.Time;
    readonly ILogger<LiveFeed> _logger = logger;
    readonly SemaphoreSlim _reading = new(1, 1);
    readonly Lock _gate = new();
    readonly List<Watching> _watchers = [];
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

    /// <summary>The current one; read again if it is older than <see cref="Every"/>.</summary>
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

        Notify();
    }

    /// <summary>Calls back with every new snapshot until disposed.</summary>
    public IDisposable Watch(Func<FleetSnapshot, Task> changed)
    {
        var watching = new Watching(this, changed);
        lock (_gate)
            _watchers.Add(watching);
        return watching;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, _pace);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                if (Watchers > 0)
                    await RefreshAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                _logger.SnapshotIncomplete(e);
            }
        }
    }

    public override void Dispose()
    {
        _reading.Dispose();
        base.Dispose();
    }

    bool IsFresh => Volatile.Read(ref _current) is not null && _pace.GetElapsedTime(_readAt) < Every;

    async Task ReadAsync(CancellationToken cancellation)
    {
        var next = await reader.ReadAsync(_current, cancellation);
        _readAt = _pace.GetTimestamp();
        Volatile.Write(ref _current, next);
    }

    // One viewer's trouble, or slowness, is not another's: who is not done with the snapshot before goes without this one.
    void Notify()
    {
        List<Watching> watchers;
        lock (_gate)
            watchers = [.. _watchers];
        foreach (var watching in watchers)
            watching.Notify(_current!);
    }

    sealed class Watching(LiveFeed feed, Func<FleetSnapshot, Task> changed) : IDisposable
    {
        Task _last = Task.CompletedTask;

        public void Notify(FleetSnapshot snapshot)
        {
            if (_last.IsCompleted)
                _last = TellAsync(snapshot);
        }

        public void Dispose()
        {
            lock (feed._gate)
                feed._watchers.Remove(this);
        }

        async Task TellAsync(FleetSnapshot snapshot)
        {
            try
            {
                await changed(snapshot);
            }
            catch (Exception e)
            {
                // Its connection may have ended in between.
                feed._logger.ViewerLost(e);
                Dispose();
            }
        }
    }
}
