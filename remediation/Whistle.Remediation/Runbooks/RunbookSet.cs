using System.Security.Cryptography;
using System.Text;

using Whistle.Detectors.Yaml;

namespace Whistle.Remediation.Runbooks;

/// <summary>What loading gave: either runbooks, or every error in every file.</summary>
public sealed record RunbookLoad(RunbookSet? Runbooks, IReadOnlyList<YamlError> Errors);

/// <summary>A valid set of runbooks, loaded whole. Immutable; a reload makes another.</summary>
public sealed class RunbookSet
{
    public static readonly RunbookSet Empty = new([]);

    RunbookSet(IReadOnlyList<Runbook> runbooks) => Runbooks = runbooks;

    /// <summary>In order of name.</summary>
    public IReadOnlyList<Runbook> Runbooks { get; }

    /// <summary>Files and folders (their *.yaml and *.yml). Nothing is loaded if anything is wrong.</summary>
    public static RunbookLoad Load(IEnumerable<string> paths)
    {
        var errors = new List<YamlError>();
        var runbooks = new List<Runbook>();
        foreach (var file in YamlFiles.Expand(paths))
        {
            if (YamlFiles.Read(file, errors) is not { } text || new RunbookReader(file, text, errors).Read() is not { } runbook)
                continue;
            if (runbooks.Find(r => r.Name == runbook.Name) is { } same)
                errors.Add(new(file, 1, 1, $"the runbook \"{runbook.Name}\" is also in {same.File}; rename one of them"));
            runbooks.Add(runbook);
        }

        CheckLadders(runbooks, errors);
        return errors.Count > 0 ? new(null, errors) : new(new([.. runbooks.OrderBy(r => r.Name, StringComparer.Ordinal)]), []);
    }

    public Runbook? Find(string name) => Runbooks.FirstOrDefault(r => r.Name == name);

    // Only the ladder of the runbook that answers counts; two that end in each other are still a loop in somebody's mind.
    static void CheckLadders(List<Runbook> runbooks, List<YamlError> errors)
    {
        var byName = runbooks.GroupBy(r => r.Name).ToDictionary(g => g.Key, g => g.First());
        foreach (var runbook in runbooks)
        {
            foreach (var rung in runbook.Ladder.Where(r => !byName.ContainsKey(r)))
                errors.Add(new(
                    runbook.File, 1, 1,
                    $"ladder: there is no runbook \"{rung}\"; known are {string.Join(", ", byName.Keys.Order(StringComparer.Ordinal))}"));
            if (Loop(runbook, byName) is { } loop)
                errors.Add(new(runbook.File, 1, 1, $"ladder: {string.Join(" → ", loop)} is a loop; take one of them out"));
            if (runbook.Answers.Count == 0 && !runbooks.Exists(r => r.Ladder.Contains(runbook.Name)))
                errors.Add(new(
                    runbook.File, 1, 1,
                    $"the runbook \"{runbook.Name}\" answers no signal and is not a rung of any ladder; it would never run"));
        }
    }

    static List<string>? Loop(Runbook start, Dictionary<string, Runbook> byName)
    {
        var seen = new HashSet<string>();
        List<string>? Climb(Runbook at, List<string> path)
        {
            foreach (var rung in at.Ladder)
            {
                if (rung == start.Name)
                    return [.. path, rung];
                if (seen.Add(rung) && byName.TryGetValue(rung, out var next) && Climb(next, [.. path, rung]) is { } loop)
                    return loop;
            }

            return null;
        }

        return Climb(start, [start.Name]);
    }

    /// <summary>The version that a run began with, from the text it keeps; null where this release can no longer read it.</summary>
    internal static Runbook? Parse(string text)
    {
        var errors = new List<YamlError>();
        var runbook = new RunbookReader("", text, errors).Read();
        return errors.Count > 0 ? null : runbook;
    }

    internal static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
