using System.Text.Json;

using Whistle.Detectors.Reading;
using Whistle.Ingest.Stores;
using Whistle.Inventory.Callers;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>
/// <c>series</c>, <c>labels</c>, <c>label/…/values</c> and <c>metadata</c>. Without <c>start</c> and <c>end</c> they look at all there is.
/// </summary>
sealed class SeriesEndpoints(SeriesSearches searches)
{
    public async ValueTask<Answer> SeriesAsync(QueryParameters parameters, Caller caller, CancellationToken cancellation)
    {
        var limit = parameters.Limit();
        var matches = parameters.Matches();
        if (matches.Count == 0)
            throw new BadParameterException("no match[] parameter provided; name the series that are wanted, as in match[]=up");
        var (found, held) = await searches.SeriesAsync(
            Scope(parameters, matches, caller), limit, parameters.Timeout(), cancellation);
        return new Answer(Many<Labels>(found.Items, PrometheusJson.WriteLabels), found.IsCut) { Held = held };
    }

    public async ValueTask<Answer> LabelsAsync(QueryParameters parameters, Caller caller, CancellationToken cancellation) =>
        Texts(await searches.LabelNamesAsync(Scope(parameters, caller), parameters.Limit(), parameters.Timeout(), cancellation));

    public async ValueTask<Answer> LabelValuesAsync(QueryParameters parameters, Caller caller, CancellationToken cancellation)
    {
        var name = EscapedName.Read(parameters.LabelName);
        return name.Length == 0
            ? throw new BadParameterException($"invalid label name: \"{name}\"; write a name that is not empty")
            : Texts(await searches.LabelValuesAsync(
                name, Scope(parameters, caller), parameters.Limit(), parameters.Timeout(), cancellation));
    }

    /// <summary>
    /// Types, units and help texts of metrics: an empty object, since ingest keeps none of what remote-write tells of them.
    /// </summary>
    public static ValueTask<Answer> Metadata(QueryParameters parameters)
    {
        parameters.WholeNumber("limit");
        parameters.WholeNumber("limit_per_metric");
        return new(new Answer(static json =>
        {
            json.WriteStartObject();
            json.WriteEndObject();
        }));
    }

    static SeriesScope Scope(QueryParameters parameters, Caller caller) =>
        Scope(parameters, parameters.Matches() is { Count: > 0 } matches ? matches : [[]], caller);

    static SeriesScope Scope(QueryParameters parameters, IReadOnlyList<IReadOnlyList<LabelMatcher>> matches, Caller caller) =>
        new(
            [.. matches.SelectMany(caller.Limit)], parameters.Time("start", DateTimeOffset.MinValue),
            parameters.Time("end", DateTimeOffset.MaxValue));

    static Answer Texts((Found<string> Found, HeldAnswer Held) answer) =>
        new(Many<string>(answer.Found.Items, static (json, text) => json.WriteStringValue(text)), answer.Found.IsCut)
        { Held = answer.Held };

    // In parts, so that what is written can be sent before the rest.
    static IEnumerable<Action<Utf8JsonWriter>> Many<T>(IReadOnlyList<T> items, Action<Utf8JsonWriter, T> write) =>
    [
        static json => json.WriteStartArray(),
        .. items.Select<T, Action<Utf8JsonWriter>>(item => json => write(json, item)),
        static json => json.WriteEndArray(),
    ];
}
