namespace Whistle.Alerting.Channels;

/// <summary>
/// How fast a channel may be used. Calls a minute are bounded by a bucket that holds a tenth of them, so a backlog drains evenly. After a
/// failure it waits, doubling from 1 s to 5 min, each wait drawn between half and all of it. On the monotonic clock. Not thread-safe.
/// </summary>
sealed class SendRate
{
    public static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);
    static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(1);

    readonly TimeProvider _time;
    readonly Random _random;
    readonly double _capacity;
    readonly double _perSecond;
    readonly long _start;
    double _tokens;
    TimeSpan _filled;
    TimeSpan _blockedUntil;
    TimeSpan _next = FirstWait;

    public SendRate(int callsPerMinute, int seed, TimeProvider time)
    {
        _time = time;
        _random = new Random(seed);
        _start = time.GetTimestamp();
        // Full bucket and refill together stay within the minute's calls.
        _capacity = Math.Max(1, callsPerMinute / 10);
        _perSecond = Math.Max(1, callsPerMinute - _capacity) / 60;
        _tokens = _capacity;
    }

    /// <summary>Whether a call may be made now; if so it is counted.</summary>
    public bool TryCall()
    {
        var now = _time.GetElapsedTime(_start);
        _tokens = Math.Min(_capacity, _tokens + (now - _filled).TotalSeconds * _perSecond);
        _filled = now;
        if (now < _blockedUntil || _tokens < 1)
            return false;
        _tokens--;
        return true;
    }

    public void Succeeded() => _next = FirstWait;

    public void Failed(TimeSpan? asked)
    {
        var wait = Jittered(_next);
        if (asked > wait)
            wait = asked.Value < 2 * LongestWait ? asked.Value : 2 * LongestWait;
        _blockedUntil = _time.GetElapsedTime(_start) + wait;
        _next = _next * 2 < LongestWait ? _next * 2 : LongestWait;
    }

    /// <summary>The wait of one message after its own n-th failure.</summary>
    public TimeSpan WaitAfter(int attempts)
    {
        var wait = FirstWait * Math.Pow(2, Math.Min(attempts - 1, 20));
        return Jittered(wait < LongestWait ? wait : LongestWait);
    }

    TimeSpan Jittered(TimeSpan wait) => wait * (0.5 + 0.5 * _random.NextDouble());
}
