using System.Text.RegularExpressions;

using Whistle.Benchmarks.Ingest;

namespace Whistle.Benchmarks.Rules;

/// <summary>The rule manifests that clusters share, as files that both servers read.</summary>
static partial class SharedRules
{
    /// <summary>Writes each manifest as a plain rule file, every group at 15 s.</summary>
    /// <returns>How many rules there are.</returns>
    public static int Prepare(string from, string to)
    {
        var count = 0;
        foreach (var file in Directory.EnumerateFiles(from, "*.yaml").Order())
        {
            var text = File.ReadAllText(file);
            text = Indent().Replace(text[text.IndexOf("\n  groups:", StringComparison.Ordinal)..], "\n");
            text = Group().Replace(text, $"\n- interval: {IngestOptions.SliceSeconds}s\n  name:");
            File.WriteAllText(Path.Combine(to, Path.GetFileName(file)), text);
            count += Rule().Count(text);
        }

        return count;
    }

    [GeneratedRegex("\n  ")]
    private static partial Regex Indent();

    [GeneratedRegex("\n- (interval: .*\n  )?name:")]
    private static partial Regex Group();

    [GeneratedRegex("\n  (-| ) (alert|record):")]
    private static partial Regex Rule();
}
