using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Packages;

/// <param name="Installed">Null where it is not installed.</param>
sealed record CheckedPackage(string Name, string Wanted, string? Installed, bool AsWanted, bool Held);

/// <param name="Drifted">So many are not as wanted.</param>
sealed record CheckPackagesReport(int Drifted, IReadOnlyList<CheckedPackage> Packages);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CheckPackagesReport))]
sealed partial class CheckPackagesJson : JsonSerializerContext;

/// <summary>Compares the installed versions of packages with those that should be.</summary>
sealed class CheckPackages : INodeAction
{
    const int Most = 100;
    const int LongestVersion = 100;

    static readonly ActionParameter Wanted =
        new("packages", ParameterKind.TextMap, "Versions by the names of packages. A `*` at the end stands for any rest.")
        {
            Required = true,
            Least = 1,
            Most = Most,
            Example = """{ "kubelet": "1.31.4-*" }""",
            Form = Names.IsPackage,
            FormWords = "the name of a Debian package",
        };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "packages.check",
        Summary = "Compares the versions of Debian packages with those that should be.",
        Reads = "dpkg's list of packages",
        Parameters = [Wanted],
        Report = CheckPackagesJson.Default.CheckPackagesReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new CheckPackages());

    public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        var wanted = asked.TextMap(Wanted)!;
        if (wanted.FirstOrDefault(p => p.Value.Length is 0 or > LongestVersion) is { Key: { } bad })
            return Task.FromResult(ActionReport.Refuse($"The version of {bad} is empty or too long."));
        return NodeWork.RunAsync(context, () => CheckAsync(wanted, context, cancellation), cancellation);
    }

    static async Task<ActionReport> CheckAsync(
        IReadOnlyDictionary<string, string> wanted, ActionContext context, CancellationToken cancellation)
    {
        var (installed, failure) = await Dpkg.QueryAsync(context, [.. wanted.Keys], cancellation).ConfigureAwait(false);
        if (installed is null)
            return new ActionReport(CommandOutcome.Failed, $"The installed versions are not known: {failure}");
        var byName = installed.ToDictionary(p => p.Name);
        var packages = wanted.OrderBy(w => w.Key, StringComparer.Ordinal).Select(w =>
        {
            var package = byName.GetValueOrDefault(w.Key);
            return new CheckedPackage(
                w.Key, w.Value, package?.Version, package is not null && Matches(package.Version, w.Value), package?.Held ?? false);
        }).ToList();
        var drifted = packages.Where(p => !p.AsWanted).ToList();
        var first =
            drifted.Count == 0 ? "" : $"; {drifted[0].Name} is {drifted[0].Installed ?? "not installed"} instead of {drifted[0].Wanted}";
        return NodeWork.Report(
            CommandOutcome.Succeeded, $"{drifted.Count} of {packages.Count} packages are not as they should be{first}.",
            new CheckPackagesReport(drifted.Count, packages), CheckPackagesJson.Default.CheckPackagesReport);
    }

    static bool Matches(string version, string wanted) =>
        wanted.EndsWith('*') ? version.StartsWith(wanted[..^1], StringComparison.Ordinal) : version == wanted;
}
