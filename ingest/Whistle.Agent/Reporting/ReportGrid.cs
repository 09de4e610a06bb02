namespace Whistle.Agent.Reporting;

/// <summary>
/// The instants at which reports are due: every interval, counted from 1970 plus an offset that depends on the host, so
/// that a fleet does not report in one instant. As it is counted from a fixed point, nothing drifts, and a tick that was
/// missed is left out.
/// </summary>
readonly struct ReportGrid(TimeSpan interval, string host)
{
    readonly long _interval = interval.Ticks;
    readonly long _offset = Offset(host, interval.Ticks);

    /// <summary>The wait to the next instant, never zero.</summary>
    public TimeSpan UntilNext(DateTimeOffset now)
    {
        var since = (now.UtcTicks - DateTimeOffset.UnixEpoch.Ticks - _offset) % _interval;
        return TimeSpan.FromTicks(_interval - (since < 0 ? since + _interval : since));
    }

    // FNV-1a: the same on every start, unlike string.GetHashCode. Whole milliseconds, the finest that a timer keeps.
    static long Offset(string host, long interval)
    {
        var hash = 14695981039346656037;
        foreach (var c in host)
            hash = (hash ^ c) * 1099511628211;
        return (long)(hash % (ulong)(interval / TimeSpan.TicksPerMillisecond)) * TimeSpan.TicksPerMillisecond;
    }
}
