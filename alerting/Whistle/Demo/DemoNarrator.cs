using System.Globalization;

using Whistle.Actions.Protocol;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

namespace Whistle.Demo;

/// <summary>
/// Says in a line each what happens to incidents, as it stands on their timelines, and what reached the pager. Not thread-safe.
/// </summary>
sealed class DemoNarrator
{
    // Of timelines, what a newcomer is to see; the page has the rest.
    static readonly HashSet<TimelineKind> Shown =
    [
        TimelineKind.Opened, TimelineKind.Reopened, TimelineKind.Escalated, TimelineKind.Ticket, TimelineKind.Hold, TimelineKind.Closed,
    ];

    const int Longest = 200;

    readonly DemoRun _run;
    readonly Action<string> _write;
    readonly string _verb;
    readonly Dictionary<string, long> _seen = [];
    readonly HashSet<string> _asked = [];
    readonly HashSet<string> _observed = [];
    readonly Dictionary<string, int> _reports = [];
    readonly HashSet<ulong> _unknown = [];

    /// <param name="verbOptions">What a verb of the command line needs to reach this server.</param>
    public DemoNarrator(DemoRun run, string verbOptions, Action<string> write)
    {
        (_run, _verb, _write) = (run, verbOptions, write);
        run.Pager.Received = Narrate;
    }

    /// <summary>Tells what is new since the last look.</summary>
    public async Task LookAsync(CancellationToken cancellation)
    {
        // Runs first: what they did is why their incidents closed, or were handed over.
        foreach (var run in await _run.Runs.SinceAsync(_run.Now - TimeSpan.FromHours(1), cancellation))
            await TellAsync(run, cancellation);
        foreach (var incident in await _run.Incidents.SinceAsync(_run.Now - TimeSpan.FromHours(1), cancellation))
            await TellAsync(incident, cancellation);
        foreach (var signal in _run.App.Rules.Signals.Where(s => s.State is SignalState.Unknown && _unknown.Add(s.Fingerprint)))
            Write(
                signal.Labels["cluster"], signal.Labels["node"],
                $"{signal.Name} of {signal.Labels["mountpoint"]} is unknown: the node does not report");
    }

    async Task TellAsync(Incident incident, CancellationToken cancellation)
    {
        var seen = _seen.GetValueOrDefault(incident.Id);
        foreach (var entry in (await _run.Incidents.TimelineAsync(incident.Id, cancellation)).Where(e => e.Number > seen))
        {
            _seen[incident.Id] = entry.Number;
            if (Shown.Contains(entry.Kind))
                Write(incident.Cluster, incident.Subject["node"], Words(entry));
        }
    }

    async Task TellAsync(Run run, CancellationToken cancellation)
    {
        if (run.State is RunState.AwaitingApproval && _asked.Add($"{run.Id} {run.PlanHash}"))
            Write(run.Cluster, run.Node, $"a plan is waiting for approval: whistle runs approve {run.Id} --plan {run.PlanHash} {_verb}");
        foreach (var report in run.Reports.Skip(_reports.GetValueOrDefault(run.Id)).Where(
            r => r.Changed || r.Outcome is CommandOutcome.Refused))
            Write(
                run.Cluster, run.Node,
                $"repair: {report.Step} {(report.Changed ? "is done" : "was refused on the node")}: {report.Summary}");
        _reports[run.Id] = run.Reports.Count;
        if (run.State is RunState.Waiting && !_observed.Contains(run.Id) && await ObservedAsync(run, cancellation) is { } reason
            && _observed.Add(run.Id))
            Write(run.Cluster, run.Node, $"waiting: {reason}");
    }

    // The first gate that refuses is the mode, which only shows the plan.
    async Task<string?> ObservedAsync(Run run, CancellationToken cancellation) =>
        DemoScript.Clusters.Any(c => c.Name == run.Cluster && c.Mode is RunbookMode.Observe)
        && (await _run.App.Remediation.AskGatesAsync(run.Id, cancellation)).FirstOrDefault(g => g.Reason is not null) is { } first
        && first.Name == GateName.Mode.Word() ? first.Reason : null;

    static string Words(TimelineEntry entry) => entry.Kind switch
    {
        TimelineKind.Escalated => "the repair gave up; a person takes over",
        TimelineKind.Opened => $"opened: {entry.Text}",
        _ => entry.Text,
    };

    void Narrate(PagerEvent received) => Write("pager", received.Action switch
    {
        "trigger" => $"paged: {received.Summary}",
        "resolve" => $"resolved: page {received.Key}",
        _ => $"change: {received.Summary}",
    });

    void Write(string cluster, string node, string text) => Write($"{cluster}/{node}", text);

    // A command must stay whole, to be copied.
    void Write(string where, string text)
    {
        var cut =
            text.Length > Longest && !text.Contains(_verb, StringComparison.Ordinal) ? string.Concat(text.AsSpan(0, Longest), "…") : text;
        _write(string.Create(CultureInfo.InvariantCulture, $"{_run.Now:HH:mm:ss}  {where,-19}  {cut}"));
    }
}
