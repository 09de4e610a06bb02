using System.Globalization;

using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

namespace Whistle.Demo;

/// <summary>Says in a line each what happens to incidents, as it stands on their timelines, and what reached the pager. Not thread-safe.</summary>
sealed class DemoTeller
{
    // Of timelines, what a newcomer is to see; the page has the rest.
    static readonly string[] Told = ["opened", "reopened", "escalated", "ticket", "hold", "closed"];

    const int Longest = 200;

    readonly DemoRun _run;
    readonly Action<string> _write;
    readonly string _verb;
    readonly Dictionary<string, long> _seen = [];
    readonly HashSet<string> _asked = [];
    readonly HashSet<ulong> _unknown = [];

    /// <param name="verbOptions">What a verb of the command line needs to reach this server.</param>
    public DemoTeller(DemoRun run, string verbOptions, Action<string> write)
    {
        (_run, _verb, _write) = (run, verbOptions, write);
        run.Pager.Taken = Tell;
    }

    /// <summary>Tells what is new since the last look.</summary>
    public async Task LookAsync(CancellationToken cancellation)
    {
        foreach (var incident in await _run.Incidents.SinceAsync(_run.Now - TimeSpan.FromHours(1), cancellation))
            await TellAsync(incident, cancellation);
        foreach (var run in (await _run.Runs.SinceAsync(_run.Now, cancellation)).Where(r => r.State is RunState.AwaitingApproval && _asked.Add($"{r.Id} {r.PlanHash}")))
            Write(run.Cluster, run.Node, $"a plan is waiting for approval: whistle runs approve {run.Id} --plan {run.PlanHash} {_verb}");
        foreach (var signal in _run.App.Rules.Signals.Where(s => s.State is SignalState.Unknown && _unknown.Add(s.Fingerprint)))
            Write(signal.Labels["cluster"], signal.Labels["node"], $"{signal.Name} of {signal.Labels["mountpoint"]} is unknown: the node does not report");
    }

    async Task TellAsync(Incident incident, CancellationToken cancellation)
    {
        var seen = _seen.GetValueOrDefault(incident.Id);
        foreach (var entry in (await _run.Incidents.TimelineAsync(incident.Id, cancellation)).Where(e => e.Number > seen))
        {
            _seen[incident.Id] = entry.Number;
            if (IsTold(entry))
                Write(incident.Cluster, incident.Subject["node"], Words(entry));
        }
    }

    static bool IsTold(TimelineEntry entry) => Told.Contains(entry.Kind) || IsOutcome(entry) || IsObserved(entry);

    static bool IsOutcome(TimelineEntry entry) =>
        entry.Kind == "step" && (entry.Text.Contains(" succeeded: Deleted", StringComparison.Ordinal) || entry.Text.Contains("clean was refused", StringComparison.Ordinal));

    static bool IsObserved(TimelineEntry entry) => entry.Kind == "gate" && entry.Text.Contains("observe", StringComparison.Ordinal);

    static string Words(TimelineEntry entry) => entry.Kind switch
    {
        "step" => $"repair: {WithoutHead(entry.Text)}",
        "gate" => $"waiting: {WithoutHead(entry.Text)}",
        "escalated" => "the repair gave up; a person takes over",
        "ticket" when entry.Text.Contains("opened", StringComparison.Ordinal) => "ticket opened, with the largest directories: whistle tickets",
        _ => $"{entry.Kind}: {entry.Text}",
    };

    // "node-disk-filling, attempt 1: " is known by the place.
    static string WithoutHead(string text) =>
        text.StartsWith(DemoScript.Runbook, StringComparison.Ordinal) && text.IndexOf(": ", StringComparison.Ordinal) is > 0 and var at ? text[(at + 2)..] : text;

    void Tell(PagerEvent taken) => Write("pager", taken.Action switch
    {
        "trigger" => $"paged: {taken.Summary}",
        "resolve" => $"resolved: page {taken.Key}",
        _ => $"change: {taken.Summary}",
    });

    void Write(string cluster, string node, string text) => Write($"{cluster}/{node}", text);

    // A command must stay whole, to be copied.
    void Write(string where, string text)
    {
        var cut = text.Length > Longest && !text.Contains(_verb, StringComparison.Ordinal) ? string.Concat(text.AsSpan(0, Longest), "…") : text;
        _write(string.Create(CultureInfo.InvariantCulture, $"{_run.Now:HH:mm:ss}  {where,-19}  {cut}"));
    }
}
