using Whistle.Actions.Contract;
using Whistle.Actions.Programs;

namespace Whistle.Actions.Packages;

/// <summary>What dpkg knows of packages. It only reads.</summary>
static class Dpkg
{
    const string Format = "--showformat=${Package}\\t${Version}\\t${db:Status-Want}\\t${db:Status-Status}\\n";
    const int NoneOfThem = 1;

    /// <param name="Held">It is on hold, so that no upgrade touches it.</param>
    public sealed record Package(string Name, string Version, bool Held);

    /// <summary>The installed of them, or null with the reason.</summary>
    public static async Task<(IReadOnlyList<Package>? Installed, string? Failure)> QueryAsync(
        ActionContext context, IReadOnlyList<string> names, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(
            context, "dpkg-query", ["--show", Format, "--", .. names], cancellation).ConfigureAwait(false);
        // 1 also means that some of them are not known, and the rest is still on its output.
        if (!ended.Well && !(ended.ExitCode == NoneOfThem && ended.Error.Contains("no packages found matching", StringComparison.Ordinal)))
            return (null, ended.Complaint("dpkg-query"));
        return ([.. ended.Output.Split('\n').Select(l => l.Split('\t')).Where(f => f.Length == 4 && f[3] == "installed")
            .Select(f => new Package(f[0], f[1], f[2] == "hold")).DistinctBy(p => p.Name)], null);
    }
}
