using Whistle.Telemetry;

namespace Whistle.PromQL;

/// <summary>Derives label sets without sorting again: what is taken away from a sorted set leaves a sorted one.</summary>
static class LabelSets
{
    static readonly HashSet<string> NameOnly = [Labels.MetricName];

    public static Labels WithoutName(Labels labels) => labels.Has(Labels.MetricName) ? Filter(labels, NameOnly, false) : labels;

    public static Labels Keep(Labels labels, HashSet<string> names) => Filter(labels, names, true);

    public static Labels Drop(Labels labels, HashSet<string> names) => Filter(labels, names, false);

    static Labels Filter(Labels labels, HashSet<string> names, bool keep)
    {
        var kept = 0;
        for (var i = 0; i < labels.Count; i++)
            kept += names.Contains(labels[i].Name) == keep ? 1 : 0;
        if (kept == labels.Count)
            return labels;
        if (kept == 0)
            return Labels.Empty;
        var (keptNames, values) = (new string[kept], new string[kept]);
        var next = 0;
        for (var i = 0; i < labels.Count; i++)
        {
            var (name, value) = labels[i];
            if (names.Contains(name) == keep)
                (keptNames[next], values[next++]) = (name, value);
        }

        return Labels.FromSorted(keptNames, values);
    }
}
