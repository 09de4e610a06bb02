using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>
/// A time-series store. One thread appends and recovers at a time; upkeep and any number of readers are beside it. Times are in
/// milliseconds since 1970 UTC, and both ends of a range are included.
/// </summary>
/// <remarks>Whatever it throws of its own is a <see cref="StoreException"/>, whose message may name files and addresses.</remarks>
interface ITelemetryStore
{
    /// <summary>How far back samples are kept.</summary>
    TimeSpan Retention { get; }

    /// <summary>The number that the next batch has where it becomes durable.</summary>
    long NextCommit { get; }

    /// <summary>It should be opened again (<see cref="Recover"/>) before anything is appended.</summary>
    bool IsSuspect => false;

    /// <summary>The highest id that it gave a series; a new series must get a higher one.</summary>
    uint LastSeriesId => 0;

    /// <summary>What is older survives the loss of what is appended now.</summary>
    long SealedUntil => long.MinValue;

    /// <summary>
    /// Writes the batch: when this returns, it survives the loss of any process. The same batch may come again.
    /// </summary>
    /// <exception cref="StoreException">Nothing was written, or it is not known; see <see cref="Recover"/>.</exception>
    void Append(CommitBatch batch);

    /// <summary>Opens it again after a failure.</summary>
    /// <exception cref="StoreException">It cannot be opened (yet).</exception>
    Recovery Recover();

    /// <summary>Drops what is past retention, and does what else is due.</summary>
    /// <param name="own">Tenants that keep their samples for a shorter time.</param>
    /// <exception cref="StoreException">Some of it was not done; the next call tries again.</exception>
    void Maintain(IReadOnlyDictionary<string, TimeSpan> own);

    /// <summary>Every series that satisfies all matchers, with its samples in the range, in the order of time and each time once.</summary>
    /// <param name="loaded">Called with how many more samples were read, while they are read; an exception from it ends the read.</param>
    /// <param name="newer">Series whose samples lie after the range; theirs are joined to those of the store.</param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    List<SeriesSamples> Select(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<int>? loaded = null,
        IReadOnlyList<SeriesSamples>? newer = null);

    /// <summary>
    /// Gives all samples of the range to whoever wants their series, those of a series in the order of time but for what came late.
    /// </summary>
    /// <param name="clusters">Only of these; null for all.</param>
    /// <param name="open">
    /// Is asked for each series, with its id where the store gave it one that still counts; null where it is not wanted.
    /// </param>
    /// <exception cref="StoreException">The store does not answer.</exception>
    void ReadAll<T>(
        IReadOnlyCollection<ClusterId>? clusters, long minTime, long maxTime, Func<uint?, List<Label>, T?> open,
        Action<T, long, double> each)
        where T : class;

    /// <summary>
    /// The labels of every series that satisfies all matchers and has a sample in the range; some more than once. From an index, and never
    /// by reading all that was ever stored.
    /// </summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    void VisitSeries(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<Labels> each, CancellationToken cancellation);

    /// <summary>
    /// All names of labels of the series that <see cref="VisitSeries"/> gives, or all values of one label; some more than once.
    /// </summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    void VisitLabels(
        string? name, IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<string> each,
        CancellationToken cancellation);

    /// <summary>Every series that is stored, by its tenant and <see cref="SeriesKey.Of(Labels)"/>; some more than once.</summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    void StoredSeries(Action<string, ulong> each, CancellationToken cancellation);

    /// <summary>Tells whoever collects <see cref="ReadWarnings"/> what is known to be missing of the range.</summary>
    void Warn(long minTime, long maxTime);
}

/// <summary>What opening the store again has shown.</summary>
/// <param name="Commits">The number of the last commit that it holds.</param>
/// <param name="IsReplaced">It is another store than before: it may lack series and samples that were committed.</param>
readonly record struct Recovery(long Commits, bool IsReplaced);
