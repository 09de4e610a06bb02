namespace Whistle.Telemetry;

/// <summary>
/// What the regular expressions of one query may cost, in steps: one for each instruction that a character of a text leads to. It counts on
/// its thread of control, whoever matches there.
/// </summary>
public sealed class MatchingBudget : IDisposable
{
    /// <summary>Some seconds of one core.</summary>
    public const long DefaultSteps = 200_000_000;

    // Steps are counted up before they are taken off, so that a short match does not pay for looking the budget up.
    const int Together = 1 << 16;

    static readonly AsyncLocal<MatchingBudget?> Current = new();

    [ThreadStatic]
    static int _unpaid;

    readonly MatchingBudget? _outer = Current.Value;
    readonly CancellationToken _cancellation;
    readonly long _most;
    long _left;

    MatchingBudget(long most, CancellationToken cancellation) => (_most, _left, _cancellation) = (most, most, cancellation);

    /// <summary>In force until it is disposed of, for what is called from here.</summary>
    public static MatchingBudget Start(long most, CancellationToken cancellation) => Current.Value = new(most, cancellation);

    public void Dispose() => Current.Value = _outer;

    /// <exception cref="MatchingException">The budget is used up.</exception>
    internal static void Pay(int steps, string pattern)
    {
        if ((_unpaid += steps) < Together)
            return;
        var unpaid = _unpaid;
        _unpaid = 0;
        if (Current.Value is not { } budget)
            return;
        budget._cancellation.ThrowIfCancellationRequested();
        if (Interlocked.Add(ref budget._left, -unpaid) < 0)
            throw new MatchingException(pattern, budget._most);
    }
}

/// <summary>A regular expression costs too much on the texts that it is asked about.</summary>
public sealed class MatchingException(string pattern, long most) : Exception(
    $"matching regular expressions took more than {most:#,0} steps, the last at "
    + $"\"{(pattern.Length > 100 ? $"{pattern[..100]}…" : pattern)}\": use fewer repetitions in it, "
    + "or select fewer series with other matchers first");
