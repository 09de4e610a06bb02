using System.Text.Json;

using CsCheck;

using Whistle.Alerting;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Stores;
using Whistle.Incidents;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Alerting;

public sealed class AlertingEngineTests
{
    const string AQuarter = "wwwwwwwwwwwwwww";

    static readonly PagingPolicy Policy = new AlertingOptions().Policy with { HasChannel = true };
    static readonly PagingPolicy NoChannels = new AlertingOptions().Policy;

    /// <summary>
    /// One letter a minute, what the incident is then; what is decided stands after its minute. w, c, i: open as warning, critical, info.
    /// m: warning, a repair is under way. r: recovering. x: closed. s: closed after a repair that succeeded. g, G: a repair gave up
    /// (warning, critical). f: an attempt failed. 2: warning with a second node. 3: warning with a second cause. A: critical, acknowledged
    /// up to minute 10. B: the same with a rise from warning. h: critical, all of it inhibited by another signal. k: critical, a second
    /// signal inhibited. -: alerting is down.
    /// </summary>
    [Theory]
    [InlineData("critical pages after two minutes, once", "ccccc", "2:page 1 critical")]
    [InlineData("warning pages after a quarter of an hour, once", AQuarter + "www", "15:page 1 warning")]
    [InlineData("closed before the deadline pages nobody", "cx", "1:digest")]
    [InlineData("a repair before the deadline is a change and a line of the digest", "wmmssss", "3:change,digest")]
    [InlineData("a repair that takes its time delays nothing", "w" + "mmmmmmmmmmmmmm" + "mm", "15:page 1 warning")]
    [InlineData("an attempt that failed leaves the deadline as it is", "wffffffffffffffff", "1:change 15:page 1 warning")]
    [InlineData("info pages nobody", "iiiiiiiiiiiiiiiiiiiix", "20:digest")]
    [InlineData("clear signals hold the page, closing drops it", "crrrx", "2:hold 4:digest")]
    [InlineData("a relapse after the deadline pages at once", "crrrc", "2:hold 4:page 1 critical")]
    [InlineData("a closing that never comes is not waited for", "crrrrrrrrrrrrrrrrr", "2:hold 16:page 1 critical")]
    [InlineData("a rise before the deadline takes the shorter one", "wwwwc", "4:page 1 critical")]
    [InlineData("a rise after the page pages again", AQuarter + "wwcc", "15:page 1 warning 17:page 2 critical")]
    [InlineData(
        "a node that joins pages again, no sooner than five minutes later", AQuarter + "w2222222", "15:page 1 warning 20:page 2 warning")]
    [InlineData("a cause that joins pages again, and not when it comes back", AQuarter + "33333333w33", "15:page 1 warning")]
    [InlineData("a cause that joins later pages again", AQuarter + "w3333333w33", "15:page 1 warning 20:page 2 warning")]
    [InlineData("giving up pages at once as an error, with a ticket", "wgggx", "1:change,ticket,page 1 error 4:resolve,announce,ticket")]
    [InlineData("giving up on what is paged already pages again", "cccGG", "2:page 1 critical 3:change,ticket,page 2 critical")]
    [InlineData(
        "closing resolves every page, once", "cccGxx",
        "2:page 1 critical 3:change,ticket,page 2 critical 4:resolve,resolve,announce,ticket")]
    [InlineData("an acknowledgement holds the page until it ends", "cAAAAAAAAAA", "2:hold 10:page 1 critical")]
    [InlineData("an acknowledgement that ends pages again", "cccAAAAAAAAA", "2:page 1 critical 10:page 2 critical")]
    [InlineData("one that is taken back does not", "cccAAAcccccccc", "2:page 1 critical")]
    [InlineData("a rise is held by it too", "w" + "BBBBBBBBBcc", "2:hold 10:page 1 critical")]
    [InlineData(
        "what another signal explains is held, and once that ends its own deadline goes on", "chhhhhccc", "2:hold 7:page 1 critical")]
    [InlineData("what was inhibited before its deadline too", "chccc", "3:page 1 critical")]
    [InlineData("a cause that comes and goes puts the page off, not away", "chchchch", "3:hold 4:page 1 critical")]
    [InlineData("what is inhibited and closes pages nobody", "hhhhx", "2:hold 4:digest")]
    [InlineData("an inhibited signal beside another holds nothing, and joins nobody", "ccckkkkkkk", "2:page 1 critical")]
    [InlineData("what was paged stays so while it is inhibited", "ccchhhhhhccccc", "2:page 1 critical")]
    [InlineData("a repair that gives up meanwhile is paged when it stands for itself again", "hhGGG", "2:change,ticket,page 1 critical")]
    [InlineData("a return has its own deadline and goes on counting", "cccxxccc", "2:page 1 critical 3:resolve,announce 7:page 2 critical")]
    [InlineData("what passed while alerting was down needs nobody now", "---x", "3:digest")]
    [InlineData("what is overdue when alerting is back is paged", "----c", "4:page 1 critical")]
    public void An_incident_calls_people_when_it_must(string what, string lived, string decided)
    {
        var answer = string.Join(' ', Live(lived).Select(m => $"{m.Minute}:{string.Join(',', m.Decisions.Select(Word))}"));
        Assert.True(decided == answer, $"{what}: {decided} was expected, it was {answer}");
    }

    [Fact]
    public void Without_a_channel_nobody_was_paged_and_the_page_goes_out_once_there_is_one()
    {
        var view = new IncidentView(Fleet.Incident(), []);
        AlertState Step(AlertState state, PagingPolicy policy, int minute, out IReadOnlyList<Decision> decisions)
        {
            (state, decisions) = AlertingEngine.Decide(view, state, policy, Fleet.Start.AddMinutes(minute));
            return state;
        }

        var state = Step(AlertState.New, NoChannels, 0, out _);
        state = Step(state, NoChannels, 2, out var due);
        var unpaged = Assert.IsType<Decision.Unpaged>(Assert.Single(due));
        Assert.StartsWith(
            "Nobody was paged: a person would have been, with severity critical (the incident is still open 2 min after it opened), "
            + "but no notification channel is configured. ",
            unpaged.Text, StringComparison.Ordinal);
        Assert.EndsWith(NoChannel.Help, unpaged.Text, StringComparison.Ordinal);
        Assert.Equal((0, Fleet.Start.AddMinutes(2)), (state.Pages, state.UnpagedSince));

        state = Step(state, NoChannels, 3, out var again);
        Assert.Empty(again);
        state = Step(state, Policy, 4, out var paged);
        Assert.Equal(1, Assert.IsType<Decision.Page>(Assert.Single(paged)).Number);
        Assert.Null(state.UnpagedSince);
    }

    [Fact]
    public void Whatever_an_incident_lives_through_every_page_is_resolved_once_and_none_comes_early() =>
        Gen.Char["wcimrxsgG23Ahk-"].Array[1, 60].Sample(letters =>
        {
            var told = Live(new string(letters) + "x").ToList();
            var pages = told.SelectMany(m => m.Decisions.OfType<Decision.Page>()).Select(p => p.Number).ToList();
            var resolved = told.SelectMany(m => m.Decisions.OfType<Decision.Resolve>()).Select(r => r.Number).ToList();
            Assert.Equal(Enumerable.Range(1, pages.Count), pages);
            Assert.Equal(pages, resolved);
            Assert.DoesNotContain(
                told,
                m => m.Minute < 2 && m.Decisions.OfType<Decision.Page>().Any(p => p.Number == 1 && p.Reason is not PageReason.GaveUp));
            var changes = told.SelectMany(m => m.Decisions.OfType<Decision.Change>()).Select(c => c.Repair.Id).ToList();
            Assert.Equal(changes.Distinct(), changes);
        });

    [Fact]
    public void A_state_that_an_earlier_version_stored_is_read_and_stored_as_it_was()
    {
        var stored =
            """
            {"Since":"2027-01-15T08:00:00+00:00","Closed":false,"Pages":2,"OpenPages":[1,2],
            "PagedAt":"2027-01-15T08:15:00+00:00","PagedSeverity":"warning","PagedParties":["cause NodeDiskFilling","node n1"],
            "PagedGiveUp":"r1","TicketedGiveUp":"r2","AcknowledgedUntil":null,
            "HiddenSince":"2027-01-15T08:16:00+00:00","HiddenFor":"00:03:00","ToldRepairs":["r1","r2"],
            "Held":"acknowledged by ann until 2027-01-15 08:10:00Z.","UnpagedSince":null,"Settled":false}
            """.ReplaceLineEndings("");
        var state = JsonSerializer.Deserialize(stored, AlertStateJson.Default.AlertState)!;

        Assert.Equal(
            (Severity.Warning, "r1", "r2", TimeSpan.FromMinutes(3)),
            (state.PagedSeverity!.Value, state.PagedRepair, state.TicketedRepair, state.InhibitedFor));
        Assert.Equal(["cause NodeDiskFilling", "node n1", "r1", "r2"], [.. state.PagedScope, .. state.ReportedRepairs]);
        Assert.Equal(stored, AlertingStore.Text(state));
    }

    static IEnumerable<(int Minute, IReadOnlyList<Decision> Decisions)> Live(string letters)
    {
        var state = AlertState.New;
        var since = Fleet.Start;
        for (var minute = 0; minute < letters.Length; minute++)
        {
            var now = Fleet.Start.AddMinutes(minute);
            if (minute > 0 && letters[minute - 1] is 'x' or 's')
                since = now;
            if (letters[minute] == '-')
                continue;
            (state, var decisions) = AlertingEngine.Decide(View(letters, minute, since, now), state, Policy, now);
            if (decisions.Count > 0)
                yield return (minute, decisions);
        }
    }

    static IncidentView View(string letters, int minute, DateTimeOffset since, DateTimeOffset now)
    {
        var letter = letters[minute];
        var severity = letter switch
        {
            'c' or 'G' or 'A' or 'B' or 'h' or 'k' => "critical",
            'i' => "info",
            'r' or 'x' or 's' => letters[..minute].AsSpan().ContainsAny(
                'c', 'h') ? "critical" : letters[..minute].Contains('i') ? "info" : letters[0] is '-' ? "critical" : "warning",
            _ => "warning",
        };
        var incident = Fleet.Incident("i1", severity) with { Signals = [Fleet.Signal("NodeDiskFilling", "n1", severity, since)] };
        incident = letter switch
        {
            'm' => incident with { State = IncidentState.Mitigating },
            'r' => incident.Closed(now) with
            {
                State = IncidentState.Recovering,
                ClosedAt = null,
                ClearSince = Fleet.Start.AddMinutes(Since(letters, minute)),
            },
            'x' or 's' => incident.Closed(now),
            '2' => incident with { Signals = [.. incident.Signals, Fleet.Signal("NodeDiskFilling", "n2", severity, now)] },
            '3' => incident with { Signals = [.. incident.Signals, Fleet.Signal("NodeDiskAlmostFull", "n1", severity, now)] },
            'h' => incident with { Signals = [Inhibited(incident.Signals[0])] },
            'k' => incident with { Signals = [.. incident.Signals, Inhibited(Fleet.Signal("NodeNotReady", "n2", severity, now))] },
            _ => incident,
        };
        Repair[] repairs = letter switch
        {
            'm' => [Fleet.Repair(RepairState.Underway, now)],
            's' => [Fleet.Repair(RepairState.Succeeded, now)],
            'g' or 'G' => [Fleet.Repair(RepairState.GaveUp, now)],
            'f' => [Fleet.Repair(RepairState.Failed, now)],
            _ => [],
        };
        return new(incident, repairs, letter is 'A' or 'B' ? new("i1", "ann", Fleet.Start, Fleet.Start.AddMinutes(10)) : null);
    }

    static IncidentSignal Inhibited(IncidentSignal signal) => signal with { InhibitedBy = new(9, "NodeSilent", Labels.Of(("node", "n1"))) };

    static int Since(string letters, int minute)
    {
        while (minute > 0 && letters[minute - 1] == letters[minute])
            minute--;
        return minute;
    }

    static string Word(Decision decision) => decision is Decision.Page page
        ? $"page {page.Number} {page.Severity.Name()}"
        : decision.Kind.Word();
}
