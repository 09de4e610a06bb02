namespace Whistle.Remediation.Runs;

/// <summary>Who refuses: a gate of the pipeline, or one of the two questions that are asked beside it.</summary>
public enum GateName
{
    KillSwitch,
    Cancelled,
    Mode,
    Pause,
    Inhibited,
    Evidence,
    Fresh,
    Window,
    Exclusive,
    Concurrency,
    BlastRadius,
    Quorum,
    WorkloadSafety,
    CoolDown,
    Flapping,

    /// <summary>Is there a node whose agent can carry the step out?</summary>
    Executor,

    /// <summary>Does the run still wait for the command?</summary>
    Run,
}

/// <summary>The words for <see cref="GateName"/> in metrics, the API and timelines, such as <c>kill-switch</c>.</summary>
public static class GateNames
{
    static readonly Dictionary<GateName, string> Words = Enum.GetValues<GateName>().ToDictionary(
        n => n, n => string.Concat(n.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"-{c}" : $"{c}")).ToLowerInvariant());

    /// <summary>The word for it.</summary>
    public static string Word(this GateName name) => Words[name];
}
