namespace Whistle.Demo;

/// <summary>
/// How far the demo's clock may have come. It begins behind the real one, runs by the factor until it has caught up, and then goes with it,
/// so that what people see at the end is not in the future. Not thread-safe.
/// </summary>
sealed class DemoPace
{
    // A machine that slept, or that does not keep up, does not have to make up for all of it at once.
    static readonly TimeSpan MostAtOnce = TimeSpan.FromSeconds(1);

    readonly TimeProvider _real;
    readonly double _factor;
    long _last;
    TimeSpan _credit;

    public DemoPace(TimeProvider real, double factor)
    {
        _real = real;
        _factor = factor;
        _last = real.GetTimestamp();
    }

    /// <summary>
    /// Where the demo's time has to begin, so that it shows <paramref name="show"/> of it before it is as late as the real one.
    /// </summary>
    public static DateTimeOffset Start(DateTimeOffset realNow, TimeSpan show, double factor) => realNow - (show * (1 - (1 / factor)));

    /// <summary>Whether the clock may be moved by the step now; if so it is taken as moved.</summary>
    public bool TryTake(TimeSpan step, DateTimeOffset now)
    {
        var at = _real.GetTimestamp();
        var passed = _real.GetElapsedTime(_last, at);
        _last = at;
        var behind = _real.GetUtcNow() - now;
        _credit += (passed < MostAtOnce ? passed : MostAtOnce) * (behind > step ? _factor : 1);
        var most = MostAtOnce * _factor;
        _credit = _credit < most ? _credit : most;
        if (_credit < step)
            return false;
        _credit -= step;
        return true;
    }

    /// <summary>Real time until the next step is due.</summary>
    public TimeSpan Wait(TimeSpan step, DateTimeOffset now) => (step - _credit) / (_real.GetUtcNow() - now > step ? _factor : 1);
}
