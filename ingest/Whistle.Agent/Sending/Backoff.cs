namespace Whistle.Agent.Sending;

/// <summary>
/// Waits between tries: doubling from 1 s to the longest, each drawn between half and all of it, so that the agents of a fleet
/// do not return together. A wait that the server asks for is kept, with up to a tenth on top. Not thread-safe.
/// </summary>
sealed class Backoff(int seed, TimeSpan longest)
{
    static readonly TimeSpan First = TimeSpan.FromSeconds(1);

    // A server that names a longer wait is asked again after this one.
    static readonly TimeSpan LongestAsked = TimeSpan.FromMinutes(10);

    readonly Random _random = new(seed);
    TimeSpan _next = First;

    public void Reset() => _next = First;

    public TimeSpan Next(TimeSpan? asked)
    {
        var wait = _next * (0.5 + 0.5 * _random.NextDouble());
        _next = _next * 2 < longest ? _next * 2 : longest;
        if (asked is not { } least)
            return wait;
        least = (least < LongestAsked ? least : LongestAsked) * (1 + 0.1 * _random.NextDouble());
        return least > wait ? least : wait;
    }
}
