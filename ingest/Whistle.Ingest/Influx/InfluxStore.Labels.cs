using Whistle.Ingest.Stores;
using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>What series, labels and values there are, from InfluxDB's index, which knows a range of time only by its shards.</summary>
public sealed partial class InfluxStore
{
    public void VisitSeries(
        IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<Labels> each, CancellationToken cancellation)
    {
        foreach (var connection in minTime > maxTime ? [] : ConnectionsFor(matchers))
        {
            Listing($"SHOW SERIES{From(matchers)}{Where(matchers, minTime, maxTime)}", connection, 2, key =>
            {
                var labels = InfluxKey.Read(key);
                if (matchers.All(m => m.IsMatch(labels)))
                    each(labels);
            }, cancellation);
        }
    }

    public void VisitLabels(
        string? name, IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime, Action<string> each, CancellationToken cancellation)
    {
        if (minTime > maxTime)
            return;
        // A listing of measurements takes each condition for itself, and none about the name.
        if (!matchers.All(InfluxQl.IsExact) || (name == Labels.MetricName && matchers.Count > 1)
            || matchers.Count(m => m.Name == Labels.MetricName) > (name == Labels.MetricName ? 0 : 1))
        {
            VisitSeries(matchers, minTime, maxTime, Each, cancellation);
            return;
        }

        foreach (var connection in ConnectionsFor(matchers))
        {
            if (name == Labels.MetricName)
                Listing($"SHOW MEASUREMENTS{InfluxQl.Where(InfluxQl.OfListings(matchers))}", connection, 2, Text, cancellation);
            else if (name is null)
                VisitNames(connection);
            else
                Listing($"SHOW TAG VALUES{From(matchers)} WITH KEY = {InfluxQl.Name(InfluxText.Tag(name))}"
                    + Where(matchers, minTime, maxTime), connection, 3, Text, cancellation);
        }

        void VisitNames(InfluxConnection connection)
        {
            var any = false;
            Listing($"SHOW TAG KEYS{From(matchers)}{Where(matchers, minTime, maxTime)}", connection, 2, text =>
            {
                any = true;
                Text(text);
            }, cancellation);
            if (any)
                each(Labels.MetricName);
            else
                VisitSeries(matchers, minTime, maxTime, Each, cancellation);
        }

        void Text(ReadOnlySpan<byte> text)
        {
            if (InfluxText.Decode(text) is { Length: > 0 } decoded)
                each(decoded);
        }

        void Each(Labels labels)
        {
            if (name is null)
            {
                foreach (var label in labels)
                    each(label.Name);
            }
            else if (labels[name] is { Length: > 0 } value)
            {
                each(value);
            }
        }
    }

    public void StoredSeries(Action<string, ulong> each, CancellationToken cancellation)
    {
        foreach (var target in _targets)
        {
            Listing("SHOW SERIES", target.Connection, 2, key =>
            {
                var labels = InfluxKey.Read(key);
                each(labels[Sender.TenantLabel], SeriesKey.Of(labels));
            }, cancellation);
        }
    }

    delegate void Listed(ReadOnlySpan<byte> text);

    static void Listing(string statement, InfluxConnection connection, int column, Listed each, CancellationToken cancellation) =>
        connection.Query(statement, row =>
        {
            cancellation.ThrowIfCancellationRequested();
            if (row.Count != column + 1)
                throw connection.Failure($"did not answer: a listing has {row.Count} columns instead of {column + 1}.");
            each(row[column]);
        }, cancellation);

    static string From(IReadOnlyList<LabelMatcher> matchers) =>
        matchers.FirstOrDefault(m => m.Name == Labels.MetricName && InfluxQl.IsExact(m)) is { } name
            ? $" FROM {InfluxQl.Name(InfluxText.Measurement(name.Value))}" : "";

    static string Where(IReadOnlyList<LabelMatcher> matchers, long minTime, long maxTime) =>
        InfluxQl.Where([.. InfluxQl.OfListings(matchers), InfluxQl.Within(minTime, maxTime)]);
}
