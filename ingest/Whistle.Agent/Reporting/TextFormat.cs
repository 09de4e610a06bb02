using Whistle.Telemetry;

namespace Whistle.Agent.Reporting;

/// <summary>Prometheus's text format 0.0.4, sorted by name, without times.</summary>
static class TextFormat
{
    public static void Write(IEnumerable<TimeSeries> report, TextWriter output)
    {
        foreach (var family in report.GroupBy(s => s.Labels.Name).OrderBy(f => f.Key, StringComparer.Ordinal))
        {
            output.Write($"# TYPE {family.Key} {(family.Key.EndsWith("_total", StringComparison.Ordinal) ? "counter" : "gauge")}\n");
            foreach (var series in family.OrderBy(s => s.Labels.ToString(), StringComparer.Ordinal))
                output.Write($"{series.Labels} {Number(series.Samples[^1].Value)}\n");
        }
    }

    static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R");
}
