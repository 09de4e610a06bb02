namespace Whistle.Remediation.Runs;

/// <summary>Somebody's yes to one plan, or to one step of it that asks for a yes of its own.</summary>
/// <param name="Step">Empty for the plan.</param>
public sealed record Approval(string RunId, string PlanHash, string Author, DateTimeOffset At, DateTimeOffset Until, string Step = "");
