namespace Whistle.Demo;

/// <summary>
/// A clock that stands still until it is moved, with the timers that hang on it. What waits on it (leases, permits, the limits of
/// evaluations) is thereby never cut short by a machine that is slower than the demo's pace. Callbacks run on the thread pool, as those
/// of the system's timers do; a period that was passed over more than once fires once.
/// </summary>
sealed class DemoClock(DateTimeOffset start) : TimeProvider
{
    readonly Lock _lock = new();
    readonly HashSet<Timer> _timers = [];
    long _now = start.UtcTicks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => new(Volatile.Read(ref _now), TimeSpan.Zero);

    public override long GetTimestamp() => Volatile.Read(ref _now);

    public void Advance(TimeSpan by)
    {
        List<Timer> due;
        lock (_lock)
        {
            Volatile.Write(ref _now, _now + Math.Max(by.Ticks, 0));
            due = [.. _timers.Where(t => t.Due <= _now).OrderBy(t => t.Due)];
            due.ForEach(t => t.Rearm_NeedsLock(_now));
        }

        due.ForEach(Fire);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    static void Fire(Timer timer) => ThreadPool.UnsafeQueueUserWorkItem(static t => t.Call(), timer, preferLocal: false);

    sealed class Timer(DemoClock clock, TimerCallback callback, object? state) : ITimer
    {
        long _period;
        bool _disposed;

        /// <summary>Ticks, as the clock's.</summary>
        public long Due { get; private set; }

        public void Call() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._lock)
            {
                if (_disposed)
                    return false;
                _period = period > TimeSpan.Zero ? period.Ticks : 0;
                Due = clock._now + dueTime.Ticks;
                if (dueTime > TimeSpan.Zero)
                    clock._timers.Add(this);
                else
                    clock._timers.Remove(this);
                if (dueTime == TimeSpan.Zero)
                    Rearm_NeedsLock(clock._now);
            }

            if (dueTime == TimeSpan.Zero)
                Fire(this);
            return true;
        }

        public void Rearm_NeedsLock(long now)
        {
            if (_period == 0)
            {
                clock._timers.Remove(this);
                return;
            }

            Due += _period * (1 + ((now - Due) / _period));
            clock._timers.Add(this);
        }

        public void Dispose()
        {
            lock (clock._lock)
            {
                _disposed = true;
                clock._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
