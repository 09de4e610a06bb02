using Whistle.Actions.Contract;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Remediation.Runbooks;

/// <summary>A runbook in plain words, its steps made for one signal's labels.</summary>
public static class RunbookWords
{
    /// <summary>A label that is not given stands as it is written, such as <c>${node}</c>.</summary>
    public static IEnumerable<string> Of(Runbook runbook, Labels labels)
    {
        foreach (var name in Rendering.Place().Matches(runbook.Text).Select(m => m.Groups[1].Value)
            .Where(n => !n.StartsWith(Rendering.Output, StringComparison.Ordinal)).Distinct())
            labels = labels.Has(name) ? labels : labels.With(name, $"${{{name}}}");
        return
        [
            $"{runbook.Name}: {runbook.Summary}. Mode {runbook.Mode.ToString().ToLowerInvariant()}.", .. Answers(runbook),
            .. Steps(runbook, Rendering.Plan(runbook, labels), labels), .. Gates(runbook), .. Proof(runbook, labels), .. Ladder(runbook),
        ];
    }

    static IEnumerable<string> Answers(Runbook runbook)
    {
        if (runbook.Answers.Count == 0)
            return ["It answers no signal; it is a rung of other runbooks' ladders."];
        return
        [
            "It answers",
            .. runbook.Answers.Select(a => "  "
                + $"{a.Signal}"
                + $"{(a.Labels.Count == 0 ? "" : $" where {string.Join(" and ", a.Labels.Select(m => $"{m.Name} is {m.Value}"))}")}"),
        ];
    }

    static IEnumerable<string> Steps(Runbook runbook, Plan plan, Labels labels)
    {
        yield return "Steps";
        foreach (var (index, (step, planned)) in plan.Steps.Select(p => (p.Step, p)).Index())
        {
            var what = step.Kind switch
            {
                StepKind.Action => $"{step.Action} "
                    + $"{planned.Parameters}{(step.DryRun ? ", a dry run" : planned.Traits.ReadOnly ? ", only reads" : "")}"
                    + $"{Traits(planned.Traits)}",
                StepKind.Wait => $"waits until {planned.Text}",
                StepKind.Task => $"a person does this: {planned.Text}",
                StepKind.Approval => $"waits for approval by {planned.Text}",
                _ => throw new InvalidOperationException($"Unknown kind {step.Kind}."),
            };
            yield return $"  {index + 1}. {step.Name}: {what}, at most {Length(step.Timeout)}; "
                + $"where it fails, {(step.GoesOn ? "the next follows" : "the attempt ends")}.";
            if (step.Undo is { } undo)
            {
                var proof = undo.Proof is null ? "" : $", proven by {Rendering.Expression(undo.Proof, Rendering.Values(runbook, labels))}";
                yield return $"     Taken back by {undo.Action} {Rendering.Written(undo.Parameters)}, at most "
                    + $"{Length(undo.Timeout)}{proof}.";
            }
        }
    }

    static string Traits(ActionTraits traits)
    {
        string[] words =
        [
            traits.TakesNodeDown ? "takes the node down" : traits.Disruptive ? "disturbs more than files" : "",
            traits.StopsVoter ? "may stop an etcd member" : "", traits.ReplacesVoter ? "replaces it" : "",
            traits.ViaControlPlane ? "done by another control-plane node" : "",
        ];
        return string.Concat(words.Where(w => w.Length > 0).Select(w => $", {w}"));
    }

    static IEnumerable<string> Gates(Runbook runbook)
    {
        var numbers = runbook.Gates;
        return
        [
            "Gates",
            $"  A lone signal must have fired for {Length(numbers.Sustained)}; "
            + $"signals and telemetry may be {Length(numbers.Freshness)} old.",
            $"  {numbers.Window switch
            {
                WindowRule.Required => "Always waits for a maintenance window.",
                WindowRule.Ignored => "Does not wait for a maintenance window.",
                _ => "What takes a node down waits for a maintenance window.",
            }} A change freeze holds what disturbs more than files.",
            "  At work at a time: "
            + string.Join(
                ", ", RunbookKeys.Scopes.Where(numbers.MaxConcurrent.ContainsKey).Select(s => $"{numbers.MaxConcurrent[s]} in the {s}"))
            + ".",
            $"  More than {numbers.BlastNodes} nodes and {numbers.BlastPercent} % of a cluster or zone in trouble stop what disturbs more "
            + $"than files, and {Length(numbers.StormCoolDown)} after that.",
            $"  It counts as flapping once the incident has started {numbers.FlappingOnsets} times within "
            + $"{Length(numbers.FlappingWithin)}.",
            $"  {numbers.Attempts} attempts in an incident, {Length(numbers.CoolDown)} apart, each time "
            + $"{numbers.BackOff:0.#} times as long.",
        ];
    }

    static IEnumerable<string> Proof(Runbook runbook, Labels labels)
    {
        var (within, stay, expression) = runbook.Verify;
        var also = expression is null ? "" : ", and this must be true: "
            + $"{Rendering.Expression(expression, Rendering.Values(runbook, labels)).ReplaceLineEndings(" ").Trim()}";
        return ["Proof", $"  All signals of the incident must be clear within {Length(within)} and stay so for {Length(stay)}{also}."];
    }

    static IEnumerable<string> Ladder(Runbook runbook) =>
    [
        "If that does not help",
        $"  What can be rolled back is rolled back; then {string.Join(", then ", [.. runbook.Ladder, "people: a page and a ticket"])}.",
    ];

    static string Length(TimeSpan length) => Durations.Format((long)length.TotalMilliseconds);
}
