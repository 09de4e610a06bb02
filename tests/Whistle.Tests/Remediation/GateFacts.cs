using System.Globalization;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.PromQL;
using Whistle.Remediation.Gates;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.Telemetry;

namespace Whistle.Tests.Remediation;

/// <summary>
/// A world written as text, for the fixtures in <c>gates/</c>: facts with a semicolon between them, over one in which every gate allows.
/// Run r of runbook b is on node n of cluster c of tenant t; instants are given as distances from now, such as -5m.
/// </summary>
sealed class GateFacts
{
    public static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    string _action = "disk.clean-paths";
    string _parameters = "{}";
    string _gates = "{}";
    GateSnapshot _snapshot = new()
    {
        Now = Now,
        Kill = new(false, "", "", Now),
        Mode = RunbookMode.Automatic,
        ModeFrom = "test",
        Approval = null,
        Cancellation = null,
        Acknowledgement = null,
        Pauses = [],
        Runbook = null!,
        Run = RunOf("r"),
        Traits = ActionTraits.None,
        Signals = [SignalOf("A:firing:-60m")],
        AtWork = [],
        Earlier = [],
        Cluster = new()
        {
            LatestData = Now,
            Nodes = [.. "n:z1:worker:ready m:z2:worker:ready k1:z1:control:ready k2:z2:control:ready k3:z3:control:ready".Split(' ')
                .Select(NodeOf)],
            Members = [],
        },
    };

    public static GateSnapshot Read(string facts)
    {
        var world = new GateFacts();
        foreach (var fact in facts.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            world.Add(fact);
        var runbook = RunbookSet.Parse(
            $"{{ name: b, summary: s, answers: [{{ signal: A }}], mode: automatic, gates: {world._gates}, steps: [{{ name: x, action: "
            + $"{world._action}, parameters: {world._parameters} }}], verify: {{}} }}")
            ?? throw new FormatException($"No runbook comes of {facts}.");
        return world._snapshot with { Runbook = runbook, Traits = Rendering.Plan(runbook, Labels.Empty).From(0) };
    }

    void Add(string fact)
    {
        var (word, rest) = fact.Split(' ', 2) is [var first, var other] ? (first, other) : (fact, "");
        var words = rest.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        _snapshot = word switch
        {
            "action" => Keep(() => _action = rest),
            "parameters" => Keep(() => _parameters = rest),
            "gates" => Keep(() => _gates = rest),
            "node" => _snapshot with { Run = _snapshot.Run with { Node = rest } },
            "kill" => _snapshot with { Kill = new(true, "stop", "ann", Now) },
            "mode" => _snapshot with { Mode = Enum.Parse<RunbookMode>(rest, true) },
            "approval" => _snapshot with { Approval = new("r", words[0], "ann", Now, At(words[1])) },
            "cancelled" => _snapshot with { Cancellation = new("r", "ann", "not today", Now) },
            "taken" => _snapshot with { Acknowledgement = new("i", "ann", Now, At(rest)) },
            "pause" => _snapshot with
            {
                Pauses = [new(
                    1, "", "", words[0] is "node" ? words[1] : "", words[0] is "runbook" ? words[1] : "", "work", "ann", Now,
                    At(words[2]))],
            },
            "signals" => _snapshot with { Signals = [.. words.Select(SignalOf)] },
            "inhibited" => _snapshot with
            {
                Signals = [.. _snapshot.Signals.Select(
                    s => words.Contains(s.Name) ? s with { InhibitedBy = new(1, "Silent", Labels.Of(("node", "n"))) } : s)],
            },
            "late" => _snapshot with { Cluster = _snapshot.Cluster! with { LatestData = At(rest) } },
            "unseen" => _snapshot with { Cluster = null },
            "nodes" => _snapshot with { Cluster = _snapshot.Cluster! with { Nodes = [.. words.Select(NodeOf)] } },
            "members" => _snapshot with { Cluster = _snapshot.Cluster! with { Members = [.. words.Select(MemberOf)] } },
            "budgets" => _snapshot with { Cluster = _snapshot.Cluster! with { Budgets = [.. words.Select(BudgetOf)] } },
            "troubled" => _snapshot with { Troubled = words.ToHashSet() },
            "storm" => _snapshot with { StormAt = At(rest) },
            "window" => _snapshot with
            {
                Window = new(words.Contains("open") ? At(words[1]) : null, words.Contains("next") ? At(words[^1]) : null),
            },
            "freeze" => _snapshot with { Freeze = new(1, "", "", "year's end", "ann", Now, At(rest)) },
            "atwork" => _snapshot with { AtWork = [.. words.Select(PlaceOf)] },
            "earlier" => _snapshot with
            {
                Earlier = [.. words.Select(w => w.Split(':')).Select(w => new EarlierRun("o", w.Length > 1 ? w[1] : "i", At(w[0])))],
            },
            "onsets" => _snapshot with { Onsets = [.. words.Select(At)] },
            "begun" => _snapshot with { Run = _snapshot.Run with { Reports = [new("x", "a", CommandOutcome.Succeeded, "", null, Now)] } },
            "changed" => _snapshot with
            {
                Run = _snapshot.Run with { Reports = [new("x", "a", CommandOutcome.Succeeded, "", null, Now) { Changed = true }] },
            },
            _ => throw new FormatException($"{fact} is no fact."),
        };
    }

    GateSnapshot Keep(Action set)
    {
        set();
        return _snapshot;
    }

    static DateTimeOffset At(string distance) =>
        Now + (distance[0] is '-' ? -1 : 1) * (Durations.TryParse(distance.AsSpan(1).ToString(), out var milliseconds)
            ? TimeSpan.FromMilliseconds(milliseconds)
            : TimeSpan.Zero);

    static NodeFacts NodeOf(string text) => text.Split(':') is [var name, var zone, var part, var state]
        ? new(name, zone, part is "control", state is "ready") : throw new FormatException($"{text} is no node.");

    // a@n+ is healthy, a@n- is not, a@n~ is a healthy learner.
    static MemberFacts MemberOf(string text) => new(text.Split('@')[0], text.Split('@')[1][..^1], text[^1] is not '-', text[^1] is '~');

    static DisruptionBudgetFacts BudgetOf(string text) =>
        new(
            text.Split('/')[0], text.Split('/', ':')[1], int.Parse(text.Split(':', '@')[1], CultureInfo.InvariantCulture),
            text.Split('@')[1].Split(',').ToHashSet());

    // run@cluster/node:zone:flags, d for disruptive, c for control plane, s for the same subject
    static Reservation PlaceOf(string text)
    {
        var parts = text.Split('@', '/', ':');
        return new(
            parts[0], "b", new("t", parts[1], parts[2]), parts[3],
            parts[4].Contains('s', StringComparison.Ordinal) ? RunOf("r").Subject : Labels.Of(("node", parts[2]), ("mountpoint", "/other")),
            parts[4].Contains('d', StringComparison.Ordinal), parts[4].Contains('c', StringComparison.Ordinal));
    }

    // name:state:since, and when it was evaluated
    static Signal SignalOf(string text)
    {
        var parts = text.Split(':');
        return new()
        {
            Rule = "r",
            Name = parts[0],
            Labels = Labels.Empty,
            Element = Labels.Empty,
            Condition = new(Enum.Parse<SignalState>(parts[1], true), At(parts[2]), parts.Length > 3 ? At(parts[3]) : Now)
            { FiringSince = At(parts[2]) },
        };
    }

    static Run RunOf(string id) => new()
    {
        Id = id,
        IncidentId = "i",
        Tenant = "t",
        Cluster = "c",
        Node = "n",
        Subject = Labels.Of(("node", "n"), ("mountpoint", "/data")),
        Labels = Labels.Empty,
        Runbook = "b",
        RunbookHash = "",
        Origin = "b",
        Answers = ["A"],
        PlanHash = "plan",
        State = RunState.Running,
        Since = Now,
        CreatedAt = Now,
        Attempt = 1,
    };
}
