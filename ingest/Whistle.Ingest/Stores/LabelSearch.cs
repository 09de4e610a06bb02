using System.Runtime.InteropServices;

using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>
/// Finds the series of a question among the texts that files keep of labels. The same text in many files is read once where it matches;
/// what does not match is not remembered, so memory goes with the answer.
/// </summary>
sealed class LabelSearch(IReadOnlyList<LabelMatcher> matchers, Action<int>? loaded = null)
{
    // A sample is a time and a value.
    const int BytesPerSample = 16;

    // Objects around the characters of labels, on 64 bits.
    const int BytesPerSeries = 200;

    readonly Dictionary<string, Labels> _matching = [];
    readonly LabelMatcher[] _needed = [.. matchers.Where(m => m.Operator == MatchOperator.Equal && m.Value.Length > 0)];

    /// <summary>
    /// A condition over <c>name</c> and <c>labels</c> that spares the reading of most texts; <see cref="Match"/> decides.
    /// </summary>
    public string Where => _needed.Length == 0 ? "true" : string.Join(
        " AND ", _needed.Select(m => m.Name == Labels.MetricName ? "name = ?" : "contains(labels, ?)"));

    public IEnumerable<string> Parameters => _needed.Select(m => m.Name == Labels.MetricName ? m.Value : LabelsJson.Pair(m.Name, m.Value));

    /// <summary>The labels where they match; null where they do not.</summary>
    public Labels? Match(string text)
    {
        ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_matching, text, out var exists);
        if (exists)
            return known;
        var labels = Labels.From(LabelsJson.Read(text));
        if (!matchers.All(m => m.IsMatch(labels)))
        {
            _matching.Remove(text);
            return null;
        }

        // Labels take memory as samples do.
        loaded?.Invoke((BytesPerSeries + 2 * sizeof(char) * text.Length) / BytesPerSample);
        return known = labels;
    }
}
