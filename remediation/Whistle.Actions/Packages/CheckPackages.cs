using System.Text.Json;

using Whistle.Actions.Programs;
using Whistle.Telemetry;

namespace Whistle.Actions.Packages;

sealed record CheckPackagesParameters
{
    /// <summary>Versions by the names of Debian packages. A version may end in <c>*</c>: <c>1.31.4-*</c>. Up to 100; needed.</summary>
    public IReadOnlyDictionary<string, string>? Packages { get; init; }
}

/// <param name="Installed">Null where it is not installed.</param>
sealed record CheckedPackage(string Name, string Wanted, string? Installed, bool AsWanted, bool Held);

/// <param name="Drifted">So many are not as wanted.</param>
sealed record CheckPackagesReport(int Drifted, IReadOnlyList<CheckedPackage> Packages);

/// <summary>Compares the installed versions of packages with those that should be.</summary>
sealed class CheckPackages : INodeAction
{
    const int Most = 100;
    const int LongestVersion = 100;

    public string Name => "packages.check";

    public string Description => "Compares the versions of Debian packages with those that should be.";

    public bool Mutates => false;

    public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

    public Task<ActionReport> RunAsync(JsonElement parameters, ActionContext context, CancellationToken cancellation)
    {
        var asked = ActionParameters.Read(parameters, ActionsJson.Default.CheckPackagesParameters, Name, out var refusal);
        if (asked is not null && asked.Packages is not { Count: > 0 and <= Most })
            refusal = $"{Name} needs packages: up to {Most} names with their versions, like {{ \"kubelet\": \"1.31.4-1.1\" }}.";
        if (asked?.Packages?.FirstOrDefault(p => !Names.IsPackage(p.Key) || p.Value is not { Length: > 0 and <= LongestVersion }) is { Key: { } bad })
            refusal = $"{bad} is no name of a Debian package, or its version is empty or too long.";
        if (refusal is not null)
            return Task.FromResult(ActionReport.Refuse(refusal));
        return NodeWork.RunAsync(context, () => RunAsync(asked!.Packages!, context, cancellation), cancellation);
    }

    static async Task<ActionReport> RunAsync(IReadOnlyDictionary<string, string> wanted, ActionContext context, CancellationToken cancellation)
    {
        var (installed, failure) = await Dpkg.QueryAsync(context, [.. wanted.Keys], cancellation).ConfigureAwait(false);
        if (installed is null)
            return new ActionReport(CommandOutcome.Failed, $"The installed versions are not known: {failure}");
        var byName = installed.ToDictionary(p => p.Name);
        var packages = wanted.OrderBy(w => w.Key, StringComparer.Ordinal).Select(w =>
        {
            var package = byName.GetValueOrDefault(w.Key);
            return new CheckedPackage(w.Key, w.Value, package?.Version, package is not null && Matches(package.Version, w.Value), package?.Held ?? false);
        }).ToList();
        var drifted = packages.Where(p => !p.AsWanted).ToList();
        var first = drifted.Count == 0 ? "" : $"; {drifted[0].Name} is {drifted[0].Installed ?? "not installed"} instead of {drifted[0].Wanted}";
        return NodeWork.Report(
            CommandOutcome.Succeeded, $"{drifted.Count} of {packages.Count} packages are not as they should be{first}.",
            new CheckPackagesReport(drifted.Count, packages), ActionsJson.Default.CheckPackagesReport);
    }

    static bool Matches(string version, string wanted) =>
        wanted.EndsWith('*') ? version.StartsWith(wanted[..^1], StringComparison.Ordinal) : version == wanted;
}
