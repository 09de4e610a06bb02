using System.Text.Json;
using System.Text.RegularExpressions;

using Microsoft.Extensions.Logging.Abstractions;

using Whistle.AcceptanceTests.Killing;
using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Alerting.Outbox;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// <c>kill -9</c> of the server and of the agent at every persisted step of a repair: the same end, nothing twice, nothing lost.
/// </summary>
public sealed partial class RepairKillTests(ITestOutputHelper output)
{
    /// <summary>At each step one process dies before it is durable, and the next makes it and dies right after.</summary>
    [Theory(Timeout = 900_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_dies_before_and_after_every_step_comes_to_the_end_of_one_that_lives(bool cleanable)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var (calm, steps) = await ServerLifeAsync(cleanable, mortal: false, cancellation);
        var (end, deaths) = await ServerLifeAsync(cleanable, mortal: true, cancellation);

        output.WriteLine(string.Join('\n', deaths.CountBy(d => d).OrderBy(d => d.Key).Select(d => $"died {d.Value} times {d.Key}")));
        output.WriteLine(calm);
        Assert.Equal(calm, end);
        // What is written together may differ from life to life, what is written may not.
        var (before, after) = (Written(deaths, CommitDeath.Before), Written(deaths, CommitDeath.After));
        Assert.All(Written(steps, ""), w => Assert.True(Holds(before, w) && Holds(after, w), "No server died before and after it wrote "
            + $"{w}:\n{string.Join('\n', steps.Where(s => s.Contains(w, StringComparison.Ordinal)))}"));
    }

    [Fact(Timeout = 600_000)]
    public async Task An_agent_that_dies_at_any_step_of_a_command_or_while_it_deletes_never_runs_it_again()
    {
        var cancellation = TestContext.Current.CancellationToken;
        string[] deaths = [.. Enum.GetNames<RunnerStep>(), MortalAgent.Deleting];
        await using var fleet = await MortalFleet.StartAsync(
            folder => [.. deaths.Select(
                d => MortalNode.Create(d.ToLowerInvariant(), folder, cleanable: true, files: d == MortalAgent.Deleting ? 12_000 : 20))],
            cancellation);
        var left = new Dictionary<string, int>();
        await Task.WhenAll(fleet.Nodes.Zip(deaths, async (node, dies) =>
        {
            using (var agent = node.StartAgent(fleet.Address, dies))
                await agent.WaitForExitAsync(cancellation);
            lock (left)
                left[dies] = Directory.GetFiles(node.Spool).Length;
        }));
        var agents = fleet.Nodes.Select(n => n.StartAgent(fleet.Address, "")).ToList();
        try
        {
            await fleet.LiveAsync(async () => await AreOverAsync(fleet, deaths.Length), cancellation);
            await fleet.LiveAsync(
                async () => (await fleet.NotificationsAsync()).All(n => n.State is not NotificationState.Pending), cancellation);
        }
        finally
        {
            foreach (var agent in agents)
                await agent.KillAndWaitAsync();
        }

        output.WriteLine(string.Join('\n', left.Select(l => $"{l.Value} files left at the death at {l.Key}")));
        Assert.InRange(left[MortalAgent.Deleting], 1, 12_000);
        Assert.All(fleet.Nodes, node => Assert.Empty(Directory.GetFiles(node.Spool)));
        Assert.All(fleet.Nodes, node => AssertNothingTwice(node));
        Assert.Empty(fleet.PagerDuty.Events);
        foreach (var (node, dies) in fleet.Nodes.Zip(deaths))
        {
            var runs = await fleet.RunsAsync((await fleet.IncidentsAsync()).Single(i => i.Subject["node"] == node.Name));
            output.WriteLine($"{dies}: {string.Join(
                " ", runs.Select(r => $"{r.State} ({string.Join(", ", r.Reports.Select(p => $"{p.Step} {p.Outcome}"))})"))}");
            // Nothing was cleaned in the first attempt, or not all of it: the signal said so, and the second one did it.
            RunState[] states = dies is nameof(RunnerStep.BeforeIntent) or nameof(RunnerStep.AfterIntent) or MortalAgent.Deleting
                ? [RunState.Failed, RunState.Succeeded] : [RunState.Succeeded];
            Assert.Equal(states, runs.Select(r => r.State));
        }
    }

    async Task<(string End, IReadOnlyList<string> Notes)> ServerLifeAsync(bool cleanable, bool mortal, CancellationToken cancellation)
    {
        await using var fleet = await MortalFleet.StartAsync(
            folder => [MortalNode.Create("n1", folder, cleanable, files: cleanable ? 20 : 0)], cancellation);
        var node = fleet.Nodes[0];
        using var agent = new WhistleAgent(MortalAgent.Options(node.Home, fleet.Address, (_, _) => { }), NullLogger.Instance);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var running = agent.RunAsync(stop.Token);
        async Task<bool> Reached()
        {
            // The hand that empties the disk, once it was called.
            if (!cleanable && (await fleet.TicketsAsync()).Count > 0
                && (await fleet.NotificationsAsync()).Any(n => n is { Action: "trigger", State: NotificationState.Sent }))
                node.Disk.Free();
            return await AreOverAsync(fleet, 1) && await IsAllToldAsync(fleet, cleanable);
        }

        if (mortal)
            await fleet.LiveAndDieAsync(Reached, cancellation);
        else
            await fleet.LiveAsync(Reached, cancellation);
        await stop.CancelAsync();
        await Task.WhenAny(running);

        AssertNothingTwice(node);
        var notes = await File.ReadAllLinesAsync(mortal ? fleet.Deaths : fleet.Steps, cancellation);
        await AssertToldAsync(fleet);
        return (await EndAsync(fleet), notes);
    }

    // An incident may close while its run still waits for the same proof.
    static async Task<bool> AreOverAsync(MortalFleet fleet, int count)
    {
        var all = await fleet.IncidentsAsync();
        if (all.Count != count)
            return false;
        foreach (var incident in all)
        {
            if (incident.State is not IncidentState.Closed || !(await fleet.RunsAsync(incident)).All(r => r.EndedAt is not null))
                return false;
        }

        return true;
    }

    // The digest's line is written with the closing, and sent a second later; a page's end is told in a mail instead. A repair is told as a
    // change by the pass after its run's end, which may come after the incident's.
    static async Task<bool> IsAllToldAsync(MortalFleet fleet, bool cleanable) =>
        await fleet.NotificationsAsync() is { Count: > 0 } all && all.All(n => n.State is not NotificationState.Pending)
        && (cleanable
            ? all.Any(n => n.Key.StartsWith("digest", StringComparison.Ordinal)) && all.Any(n => n.Action == "change")
            : all.Any(n => n.Action == "resolve"));

    static async Task<string> EndAsync(MortalFleet fleet)
    {
        var incident = Assert.Single(await fleet.IncidentsAsync());
        string[] lines =
        [
            $"incident {incident.State}",
            .. (await fleet.RunsAsync(incident)).Select(r => $"run {r.Attempt} {r.State}: "
                + $"{string.Join(", ", r.Reports.Select(p => $"{p.Step} {p.Outcome} {(p.Changed ? "changed" : "")}"))}"),
            .. (await fleet.TicketsAsync()).Select(t => $"ticket {t.State}"),
            .. (await fleet.NotificationsAsync()).Select(n => $"{n.Channel} {n.Action} {n.State}").Order(),
        ];
        return string.Join('\n', lines);
    }

    static void AssertNothingTwice(MortalNode node) =>
        Assert.All(node.Notes.Where(n => n.Step == nameof(RunnerStep.AfterIntent)).CountBy(n => n.Command), n => Assert.Equal(1, n.Value));

    /// <summary>
    /// PagerDuty and the mail server have had all that the outbox says was sent, each at most as often as an attempt was written down
    /// before it was made.
    /// </summary>
    async Task AssertToldAsync(MortalFleet fleet)
    {
        var sent = (await fleet.NotificationsAsync()).Where(n => n.State is NotificationState.Sent).ToList();
        var attempts = sent.Where(n => n.Channel != "mail").ToDictionary(n => $"{n.Action} {n.Key}", n => n.Attempts);
        var events = fleet.PagerDuty.Events.Select(
            e => $"{e.GetProperty("event_action").GetString()} {e.GetProperty("dedup_key").GetString()}")
            .Concat(fleet.PagerDuty.Changes.Select(c => $"change {Run(c)}")).CountBy(e => e).ToDictionary();
        var mails = fleet.Smtp.Messages.Select(m => m.First(l => l.StartsWith("Message-I", StringComparison.OrdinalIgnoreCase))).ToList();
        Assert.Equal(attempts.Keys.Order(), events.Keys.Order());
        Assert.All(events, e => Assert.InRange(e.Value, 1, attempts[e.Key]));
        Assert.Equal(sent.Count(n => n.Channel == "mail"), mails.Distinct().Count());
        Assert.InRange(mails.Count, 0, sent.Where(n => n.Channel == "mail").Sum(n => n.Attempts));
        output.WriteLine($"{sent.Count} notifications in {sent.Sum(n => n.Attempts)} attempts: "
            + $"PagerDuty had {events.Values.Sum()} events, the mail server {mails.Count} mails");
    }

    static HashSet<string> Written(IEnumerable<string> notes, string side) =>
        [.. notes.Where(n => n.StartsWith(side, StringComparison.Ordinal))
            .SelectMany(n => TableWithColumns().Matches(CommitDeath.KindOf(n))).Select(m => m.Value)];

    // A server that lives keeps its statements, and SQLite names the columns of one when it is prepared only: then it is noted with fewer.
    static bool Holds(HashSet<string> deaths, string written) =>
        deaths.Any(
            d => Split(d) is var (table, columns) && Split(written) is var (same, some) && table == same && columns.IsSupersetOf(some));

    static (string Table, HashSet<string> Columns) Split(string written) =>
        written.Split('(', ',', ')') is [var table, .. var columns] ? (table, [.. columns.Where(c => c.Length > 0)]) : (written, []);

    [GeneratedRegex(@"\w+(\([\w,]*\))?")]
    private static partial Regex TableWithColumns();

    static string Run(JsonElement change) => change.GetProperty("payload").GetProperty("custom_details").GetProperty("run").GetString()!;
}
