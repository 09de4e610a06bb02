using Microsoft.Extensions.Logging;

using Whistle.State.Health;

namespace Whistle.Remediation.Control;

/// <summary>Reports windows and freezes that cannot be read or evaluated, until they are gone. For one caller at a time.</summary>
sealed class BrakeProblems(HealthBoard board, ILogger logger)
{
    public const string Component = "remediation";

    Dictionary<string, string> _reported = [];

    public void Note(ControlState control, DateTimeOffset now)
    {
        var problems = control.Windows.Select(w => ($"maintenance window {w.Id}", WindowOpenings.Of(w, now).Problem))
            .Concat(control.Freezes.Where(f => f.Until > now).Select(f => ($"change freeze {f.Id}", WordsOf(f))))
            .Where(p => p.Item2 is not null).ToDictionary(p => p.Item1, p => p.Item2!);
        foreach (var (subject, reason) in problems)
        {
            if (_reported.GetValueOrDefault(subject) == reason)
                continue;
            board.Report(Component, subject, HealthState.Degraded, reason);
            logger.BrakeUnreadable(reason);
        }

        foreach (var subject in _reported.Keys.Where(s => !problems.ContainsKey(s)))
            board.Clear(Component, subject);
        _reported = problems;
    }

    static string? WordsOf(ChangeFreeze freeze) => freeze.Unreadable is { } why
        ? $"Change freeze {freeze.Id} applies everywhere: {why}. "
            + $"End it with `whistle freezes end {freeze.Id}`, and add it again where it is meant." : null;
}
