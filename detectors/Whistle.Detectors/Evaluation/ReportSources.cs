using System.Text.RegularExpressions;

namespace Whistle.Detectors.Evaluation;

/// <summary>
/// Which source of an agent sends a metric, as the tables of <c>docs/report-sources.md</c> have it. The first is made of what the sources
/// say of themselves. The page is built into the server, so that it knows of a source also while no agent is heard.
/// </summary>
sealed partial class ReportSources
{
    readonly Dictionary<string, string> _byName = [];
    readonly List<(string Prefix, string Source)> _byPrefix = [];

    public ReportSources(string document)
    {
        foreach (Match row in Row().Matches(document))
        {
            foreach (Match metric in Quoted().Matches(row.Groups["sends"].Value))
                Add(metric.Groups[1].Value, row.Groups["source"].Value);
        }

        _byPrefix.Sort((a, b) => b.Prefix.Length.CompareTo(a.Prefix.Length));
    }

    public static ReportSources Shipped { get; } = new(Document());

    /// <summary>
    /// The source, or null for a metric that none of them sends. A whole name goes before a prefix, a long prefix before a short one.
    /// </summary>
    public string? Of(string metric) =>
        _byName.GetValueOrDefault(metric) ?? _byPrefix.Find(p => metric.StartsWith(p.Prefix, StringComparison.Ordinal)).Source;

    void Add(string metric, string source)
    {
        if (metric.EndsWith('*'))
            _byPrefix.Add((metric[..^1], source));
        else
            _byName.Add(metric, source);
    }

    static string Document()
    {
        using var resource = typeof(ReportSources).Assembly.GetManifestResourceStream("report-sources.md")!;
        using var reader = new StreamReader(resource);
        return reader.ReadToEnd();
    }

    // The first cell of a row names the source, the last what it sends, each between backticks.
    [GeneratedRegex(@"^\| `(?<source>[a-z0-9_]+)` \|.*?(?<sends>[^|\n]+)\|$", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Row();

    [GeneratedRegex("`([^`]+)`", RegexOptions.CultureInvariant)]
    private static partial Regex Quoted();
}
