using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>What a server decides for all queries.</summary>
public sealed record PromQLOptions
{
    public static readonly TimeSpan DefaultLookback = TimeSpan.FromMinutes(5);

    /// <summary>How old a sample may be to count as current.</summary>
    public TimeSpan Lookback { get; init; } = DefaultLookback;

    /// <summary>The step of a subquery that names none.</summary>
    public TimeSpan SubqueryStep { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// A query that loads, returns, or works out in its subqueries more samples than this is refused; new labels count by their size.
    /// </summary>
    public long MaxSamples { get; init; } = 50_000_000;

    /// <summary>Steps that the regular expressions of a query may take, see <see cref="MatchingBudget"/>.</summary>
    public long MaxMatchingSteps { get; init; } = MatchingBudget.DefaultSteps;

    /// <summary>Called with how many more bytes a query uses; an exception from it ends the query.</summary>
    public Action<long>? TakeMemory { get; init; }

    internal long LookbackMilliseconds => (long)Lookback.TotalMilliseconds;
}

/// <summary>What one query may still use up.</summary>
sealed class Budget(long maxSamples, CancellationToken cancellation, Action<long>? holding = null)
{
    // A label that functions make longer and longer would take more memory than all samples do.
    public const int LongestLabel = 1 << 16;

    // One sample is a time and a value.
    const int BytesPerSample = 16;

    // Objects and arrays around the characters, on 64 bits.
    const int BytesPerLabels = 112;
    const int BytesPerLabel = 40;

    CancellationToken _cancellation = cancellation;
    long _loaded;
    long _spent;

    public void Load(int samples)
    {
        if ((_loaded += samples) > maxSamples)
            throw PromQLException.Execution($"the query loads more than {maxSamples} samples: select fewer series or a shorter range");
        holding?.Invoke((long)samples * BytesPerSample);
    }

    /// <summary>Samples that the query makes: results, and steps and values of its subqueries.</summary>
    public void Spend(long samples)
    {
        if ((_spent += samples) > maxSamples)
            throw PromQLException.Execution($"the query returns or works out more than {maxSamples} samples, or labels of that size: "
                + "select fewer series, a longer step or a shorter range");
        holding?.Invoke(samples * BytesPerSample);
    }

    /// <summary>Labels that the query makes, which count as the samples that would take as much memory.</summary>
    public Labels Make(Labels labels)
    {
        var bytes = BytesPerLabels;
        foreach (var (_, value) in labels)
            bytes += BytesPerLabel + (sizeof(char) * value.Length);
        Spend(bytes / BytesPerSample);
        return labels;
    }

    /// <summary>A new evaluation may use as much again.</summary>
    public void Renew(CancellationToken cancellation) => (_loaded, _spent, _cancellation) = (0, 0, cancellation);

    public void Check() => _cancellation.ThrowIfCancellationRequested();
}
