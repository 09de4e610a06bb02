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

        return errors.Count > 0 ? new(null, errors) : new(new([.. runbooks.OrderBy(r => r.Name, StringComparer.Ordinal)]), []);
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
