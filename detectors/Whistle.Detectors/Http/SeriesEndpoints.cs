using System.Text.Json;

using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary><c>series</c>, <c>labels</c>, <c>label/…/values</c> and <c>metadata</c>. Without <c>start</c> and <c>end</c> they look at all there is.</summary>
sealed class SeriesEndpoints(SeriesSearch search)
{
    public ValueTask<Answer> SeriesAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var limit = parameters.Limit();
        var matches = parameters.Matches();
        if (matches.Count == 0)
            throw new BadParameterException("no match[] parameter provided; name the series that are wanted, as in match[]=up");
        List<Labels> found = [.. Find(parameters, matches, cancellation)];
        found.Sort(Labels.Compare);
        return new(new Answer(json => WriteSeries(json, found.Take(limit)), found.Count > limit));
    }

    public ValueTask<Answer> LabelsAsync(QueryParameters parameters, CancellationToken cancellation) =>
        Texts(parameters.Limit(), Find(parameters, cancellation).SelectMany(labels => labels.Select(l => l.Name)));

    public ValueTask<Answer> LabelValuesAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var name = EscapedName.Read(parameters.LabelName);
        return name.Length == 0
            ? throw new BadParameterException($"invalid label name: \"{name}\"; write a name that is not empty")
            : Texts(parameters.Limit(), Find(parameters, cancellation).Select(labels => labels[name]).Where(value => value.Length > 0));
    }

    /// <summary>Types, units and help texts of metrics: an empty object, since ingest keeps none of what remote-write tells of them.</summary>
    public static ValueTask<Answer> MetadataAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        parameters.WholeNumber("limit");
        parameters.WholeNumber("limit_per_metric");
        return new(new Answer(static json =>
        {
            json.WriteStartObject();
            json.WriteEndObject();
        }));
    }

    HashSet<Labels> Find(QueryParameters parameters, CancellationToken cancellation) =>
        Find(parameters, parameters.Matches() is { Count: > 0 } matches ? matches : [[]], cancellation);

    HashSet<Labels> Find(QueryParameters parameters, IEnumerable<IReadOnlyList<LabelMatcher>> matches, CancellationToken cancellation)
    {
        var (start, end) = (parameters.Time("start", DateTimeOffset.MinValue), parameters.Time("end", DateTimeOffset.MaxValue));
        HashSet<Labels> found = [];
        foreach (var matchers in matches)
        {
            cancellation.ThrowIfCancellationRequested();
            found.UnionWith(search(matchers, start, end));
        }

        return found;
    }

    static ValueTask<Answer> Texts(int limit, IEnumerable<string> texts)
    {
        List<string> distinct = [.. texts.Distinct().Order(StringComparer.Ordinal)];
        return new(new Answer(json => WriteTexts(json, distinct.Take(limit)), distinct.Count > limit));
    }

    static void WriteTexts(Utf8JsonWriter json, IEnumerable<string> texts)
    {
        json.WriteStartArray();
        foreach (var text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }

    static void WriteSeries(Utf8JsonWriter json, IEnumerable<Labels> series)
    {
        json.WriteStartArray();
        foreach (var labels in series)
            PrometheusJson.WriteLabels(json, labels);
        json.WriteEndArray();
    }
}
