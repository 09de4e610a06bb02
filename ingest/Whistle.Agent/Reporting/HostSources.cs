using Whistle.Agent.Settings;

namespace Whistle.Agent.Reporting;

/// <summary>
/// All sources of this program. Each adds itself in a module initializer, beside its code, so that no list has to be kept; a test holds
/// that none is forgotten.
/// </summary>
static class HostSources
{
    static readonly List<Func<AgentOptions, IReportSource>> Makers = [];

    public static void Add(Func<AgentOptions, IReportSource> make) => Makers.Add(make);

    /// <summary>The sources of this host, by name: the order of the report.</summary>
    public static IReportSource[] Of(AgentOptions options) =>
        [.. Makers.Select(make => make(options)).OrderBy(source => source.Description.Name, StringComparer.Ordinal)];
}
