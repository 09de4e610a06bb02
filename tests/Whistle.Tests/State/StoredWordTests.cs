using System.Text.Json;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Stores;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>
/// The words that the state, the API, metrics and health have for kinds are made of the names in the code. Renaming a member must not
/// change what older rows, queries and dashboards say.
/// </summary>
public sealed class StoredWordTests
{
    [Fact]
    public void Timelines_keep_their_words() => Assert.Equal(
        "opened reopened severity state signal inhibited acknowledged closed proposed plan gates gate step undo verify approval task "
        + "cancel ended escalated restored page hold unpaged resolve announce change ticket digest",
        string.Join(' ', Enum.GetValues<TimelineKind>().Select(TimelineKinds.Word)));

    [Fact]
    public void What_an_earlier_release_called_hidden_is_read_as_inhibited() =>
        Assert.Equal(TimelineKind.Inhibited, TimelineKinds.Parse("hidden"));

    [Fact]
    public void The_two_questions_beside_the_gates_keep_their_words() =>
        Assert.Equal(("executor", "run"), (GateName.Executor.Word(), GateName.Run.Word()));

    [Fact]
    public void Health_shows_a_guarded_table_by_its_name() => Assert.Equal(
        "kill_switch runbook_modes pauses windows runs commands approvals tasks_done cancellations reservations storms",
        string.Join(' ', Enum.GetValues<GuardedTable>().Select(t => new StateFault(t, "").Subject)));

    [Fact]
    public void Alerting_keeps_its_words()
    {
        Assert.Equal("page resolve announce change ticket digest hold unpaged", Words<DecisionKind>());
        Assert.Equal("pending sent failed overtaken", Words<NotificationState>());
        Assert.Equal("opened state comment", Words<TicketEntryKind>());
        Assert.All(Enum.GetValues<TicketEntryKind>(), k => Assert.Equal($"\"{k.Word()}\"", JsonSerializer.Serialize(k)));

        static string Words<T>()
            where T : struct, Enum => string.Join(' ', Enum.GetValues<T>().Select(StoredWords.Word));
    }

    [Fact]
    public void The_timeline_of_an_incident_names_a_decision_as_the_state_does() =>
        Assert.All(Enum.GetValues<DecisionKind>(), k => Assert.Equal(StoredWords.Word(k), TimelineKinds.Word(k.OnTimeline())));
}
