using Whistle.Incidents;

namespace Whistle.Alerting.Deciding;

/// <summary>Why a page is due.</summary>
/// <param name="Text">For people, as it ends a sentence.</param>
abstract record PageReason(string Text)
{
    public sealed record GaveUp(Repair Repair) : PageReason($"the repair by {Repair.Runbook} gave up: {Repair.Summary}");

    /// <param name="Inhibited">How long the deadline stood still, because the incident was inhibited.</param>
    public sealed record StillOpen(TimeSpan Deadline, TimeSpan Inhibited) : PageReason(
        $"the incident is still open {Durations.Text(Deadline)} after it opened{NotCounting(Inhibited)}.");

    public sealed record SeverityRose(Severity From, Severity To) : PageReason($"the severity rose from {From.Name()} to {To.Name()}.");

    public sealed record AcknowledgementEnded() : PageReason("the acknowledgement has ended and the incident is still open.");

    /// <param name="Scope">The nodes, members and causes that joined.</param>
    public sealed record Joined(IReadOnlyList<string> Scope) : PageReason($"{string.Join(", ", Scope)} joined.");

    static string NotCounting(TimeSpan inhibited) =>
        inhibited > TimeSpan.Zero ? $", not counting the {Durations.Text(inhibited)} for which it was inhibited" : "";
}

/// <summary>Why a page that is due is not sent.</summary>
/// <param name="Text">For people, as it ends a sentence.</param>
abstract record HoldReason(string Text)
{
    public sealed record Acknowledged(Acknowledgement By) : HoldReason($"acknowledged by {By.Author} until {By.Until:u}.");

    public sealed record Inhibited(string Cause) : HoldReason($"all its signals are inhibited by {Cause}.");

    public sealed record Recovering(DateTimeOffset ClearSince) : HoldReason($"all its signals cleared at {ClearSince:u}.");
}
