using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>What series, labels and values there are, without their samples.</summary>
public sealed partial class DuckDbStore
{
    // How often somebody who has left is looked for.
    const int RowsPerCheck = 4096;

    const int SeriesAtOnce = 65_536;

    /// <summary>
    /// The labels of every series that satisfies all matchers and has a sample in the range (both ends included); some more than once.
    /// </summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public void VisitSeries(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<Labels> each, CancellationToken cancellation) =>
        VisitTexts(matchers, minTime, maxTime, text =>
        {
            var labels = Labels.From(LabelsJson.Read(text));
            if (matchers.All(m => m.IsMatch(labels)))
                each(labels);
        }, cancellation);

    /// <summary>
    /// All names of labels of the series that <see cref="VisitSeries"/> gives, or all values of one label; some more than once.
    /// </summary>
    /// <exception cref="StoreException">The store does not answer.</exception>
    public void VisitLabels(
        string? name, IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<string> each, CancellationToken cancellation)
    {
        if (matchers.Count > 0)
        {
            VisitSeries(matchers, minTime, maxTime, Labels, cancellation);
            return;
        }

        // Hours that lie within the range have an index; of the others, the series must be looked at.
        Reading(minTime, maxTime, (connection, hours) =>
        {
            var check = Check(cancellation);
            var whole = hours.Where(h => IsWhole(h, minTime, maxTime)).Select(h => Quote(_sealed.PathOf(h.Labels))).ToList();
            if (whole.Count > 0)
                Query(connection, $"SELECT DISTINCT {(name is null ? "label" : "value")} "
                    + $"FROM read_parquet([{string.Join(", ", whole)}]){(name is null ? "" : " WHERE label = ?")}", row =>
                {
                    check();
                    each(row.GetString(0));
                }, name is null ? [] : [name]);
            return true;
        });
        VisitTexts(matchers, minTime, maxTime, text => Labels(Telemetry.Labels.From(LabelsJson.Read(text))), cancellation, partsOnly: true);

        void Labels(Labels labels)
        {
            if (name is not null)
            {
                if (labels[name] is { Length: > 0 } value)
                    each(value);
                return;
            }

            foreach (var label in labels)
                each(label.Name);
        }
    }

    /// <summary>
    /// Every series that is stored, by its tenant and a hash of its labels; some more than once. What cannot be read is left out.
    /// </summary>
    /// <exception cref="StoreException">The hot store does not answer.</exception>
    public void StoredSeries(Action<string, ulong> each, CancellationToken cancellation)
    {
        // Little at a time: while something is read, nothing can be sealed, and while that waits, nobody else may begin to read. The files
        // of series are taken as they are: to prove an hour, all of its samples would have to be read.
        foreach (var hour in SealedHours())
        {
            try
            {
                Visit($"read_parquet({Quote(_sealed.PathOf(hour.Series))})");
            }
            catch (StoreException)
            {
                // Damaged, or dropped by now. Whoever asks for its samples finds out.
            }
        }

        for (var id = 0L; id <= LastSeriesId; id += SeriesAtOnce)
            Visit($"series WHERE id BETWEEN {id} AND {id + SeriesAtOnce - 1}");

        void Visit(string source) => Connected(connection =>
        {
            cancellation.ThrowIfCancellationRequested();
            var check = Check(cancellation);
            Query(connection, $"SELECT labels FROM {source}", row =>
            {
                check();
                var text = row.GetString(0);
                each(LabelsJson.Read(text).Find(l => l.Name == Sender.TenantLabel).Value ?? "", SeriesKey.Of(text));
            });
        });
    }

    List<SealedHour> SealedHours()
    {
        _layout.EnterReadLock();
        try
        {
            return [.. _sealed.All];
        }
        finally
        {
            _layout.ExitReadLock();
        }
    }

    void VisitTexts(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<string> each, CancellationToken cancellation,
        bool partsOnly = false) =>
        Reading(minTime, maxTime, (connection, hours) =>
        {
            var (search, check) = (new LabelSearch(matchers), Check(cancellation));
            foreach (var hour in hours.Where(h => !partsOnly || !IsWhole(h, minTime, maxTime)))
            {
                Visit($"read_parquet({Quote(_sealed.PathOf(hour.Series))})", IsWhole(hour, minTime, maxTime)
                    ? "true"
                    : $"id IN (SELECT series FROM read_parquet({Quote(_sealed.PathOf(hour.Samples))}) WHERE {InRange(minTime, maxTime)})");
            }

            ReadHot(minTime, maxTime, () => Visit("series",
                $"id IN ({string.Join(
                    " UNION ", HotTables(minTime, maxTime).Select(t => $"SELECT series FROM {t} WHERE {InRange(minTime, maxTime)}"))})"));
            return true;

            void Visit(string source, string where)
            {
                cancellation.ThrowIfCancellationRequested();
                Query(connection, $"SELECT labels FROM {source} WHERE {search.Where} AND {where}", row =>
                {
                    check();
                    each(row.GetString(0));
                }, [.. search.Parameters]);
            }
        });

    static bool IsWhole(SealedHour hour, long minTime, long maxTime) =>
        hour.Hour * Hour >= minTime && (hour.Hour + 1) * Hour - 1 <= maxTime;

    static Action Check(CancellationToken cancellation)
    {
        var rows = 0;
        return () =>
        {
            if (++rows % RowsPerCheck == 0)
                cancellation.ThrowIfCancellationRequested();
        };
    }

    /// <summary>As <see cref="VisitSeries"/>, each once.</summary>
    public HashSet<Labels> Series(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime)
    {
        var found = new HashSet<Labels>();
        VisitSeries(matchers, minTime, maxTime, labels => found.Add(labels), CancellationToken.None);
        return found;
    }
}
