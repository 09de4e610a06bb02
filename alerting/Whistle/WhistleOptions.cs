using System.Net;

using Whistle.Agent;
using Whistle.Alerting;
using Whistle.Detectors.Incidents;
using Whistle.Ingest;

namespace Whistle;

/// <summary>All that decides how a server runs. Every member has a default that suits one machine.</summary>
public sealed record WhistleOptions
{
    public string DataFolder { get; init; } = DefaultDataFolder;

    public Uri Listen { get; init; } = new("http://127.0.0.1:9480");

    /// <summary>Folders or files of rules; the shipped ones where none is given.</summary>
    public IReadOnlyList<string> Rules { get; init; } = [Path.Combine(AppContext.BaseDirectory, "rules")];

    /// <summary>Folders or files of runbooks; the shipped ones where none is given.</summary>
    public IReadOnlyList<string> Runbooks { get; init; } = [Path.Combine(AppContext.BaseDirectory, "runbooks")];

    public IncidentOptions Incidents { get; init; } = new();

    public AlertingOptions Alerting { get; init; } = new();

    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(15);

    /// <summary>Series that one tenant may have at a time.</summary>
    public int MaxSeriesPerTenant { get; init; } = 1_000_000;

    /// <summary>Whether the server watches the machine it runs on.</summary>
    public bool Agent { get; init; } = true;

    public TimeSpan AgentInterval { get; init; } = TimeSpan.FromSeconds(15);

    public TelemetryLogOptions Log { get; init; } = new();

    public GatewayOptions Gateway { get; init; } = new();

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// False in tests that step the engine by hand on a clock of their own: then nothing runs by a timer.
    /// </summary>
    public bool RunTimers { get; init; } = true;

    static string DefaultDataFolder =>
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "whistle");

    /// <summary>Every reason why a server cannot run so, in words that tell the mend.</summary>
    public IReadOnlyList<string> Errors()
    {
        var errors = new List<string>();
        if (Listen.Scheme != Uri.UriSchemeHttp || !IsLoopback(Listen))
            errors.Add($"--listen {Listen} is not an http address of this machine's loopback. Other addresses need TLS and users, which this version does not have; listen on 127.0.0.1 and put a proxy with both in front.");
        if (Retention < TimeSpan.FromDays(1))
            errors.Add($"--retention {Retention} is less than a day, which late samples and forecasts need.");
        if (AgentInterval < AgentOptions.ShortestInterval || AgentInterval > AgentOptions.LongestInterval)
            errors.Add($"--interval {AgentInterval.TotalSeconds} is not between {AgentOptions.ShortestInterval.TotalSeconds} and {AgentOptions.LongestInterval.TotalSeconds} seconds.");
        if (MaxSeriesPerTenant < 1)
            errors.Add("--max-series must be at least 1.");
        foreach (var path in Rules.Where(p => !Directory.Exists(p) && !File.Exists(p)))
            errors.Add($"--rules {path} is neither a folder nor a file.");
        foreach (var path in Runbooks.Where(p => !Directory.Exists(p) && !File.Exists(p)))
            errors.Add($"--runbooks {path} is neither a folder nor a file.");
        errors.AddRange(Alerting.Errors());
        return errors;
    }

    static bool IsLoopback(Uri address) =>
        address.Host == "localhost" || (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip) && IPAddress.IsLoopback(ip));
}
