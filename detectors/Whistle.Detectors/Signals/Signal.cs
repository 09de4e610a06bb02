using System.Text;

using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

public enum SignalState
{
    Pending,
    Firing,

    /// <summary>The source of the inputs has not succeeded for two intervals: nothing is concluded and no clock runs.</summary>
    Unknown,
    Resolved,
}

/// <summary>Why a signal ended.</summary>
public enum SignalEnd
{
    /// <summary>The expression no longer holds.</summary>
    Cleared,

    /// <summary>A successful report no longer contains what the signal is about, such as an unmounted disk.</summary>
    Gone,

    /// <summary>The rule was taken out of the rule files.</summary>
    Withdrawn,
}

/// <summary>
/// State and clocks of a signal. <paramref name="Before"/> is what an unknown signal was; <paramref name="Paused"/> is the time
/// that it was pending and nobody saw it, which the <c>for</c> clock leaves out; <paramref name="KeepSince"/> is when a firing signal's
/// expression stopped holding, moved on by the time spent unknown since.
/// </summary>
public sealed record Condition(
    SignalState State,
    DateTimeOffset Since,
    DateTimeOffset LastEvaluation,
    SignalState Before = SignalState.Pending,
    DateTimeOffset? FiringSince = null,
    DateTimeOffset? KeepSince = null,
    DateTimeOffset? UnknownSince = null,
    TimeSpan Paused = default,
    DateTimeOffset? EndedAt = null,
    SignalEnd? Reason = null)
{
    /// <summary>
    /// From where the <c>for</c> clock counts. Prometheus too moves its <c>activeAt</c> on by the time that it was not running.
    /// </summary>
    public DateTimeOffset ActiveAt => Since + Paused;
}

/// <summary>What a rule states about one set of labels, and since when. The labels include <c>alertname</c>.</summary>
public sealed record Signal
{
    /// <summary>The rule that states it: group key and rule identity.</summary>
    public required string Rule { get; init; }

    public required string Name { get; init; }

    public required Labels Labels { get; init; }

    /// <summary>The labels of the expression's element, by which the input series are found again.</summary>
    public required Labels Element { get; init; }

    public required Condition Condition { get; init; }

    public IReadOnlyList<Label> Annotations { get; init; } = [];

    public double Value { get; init; }

    public SignalState State => Condition.State;

    /// <summary>It fires only because <c>keep_firing_for</c> has not passed: its expression no longer holds.</summary>
    public bool IsKept => State is SignalState.Firing && Condition.KeepSince is not null;

    /// <summary>It fires, or is unknown after having fired.</summary>
    public bool HasFired => State is SignalState.Firing || this is { State: SignalState.Unknown, Condition.Before: SignalState.Firing };

    /// <summary>The signal that inhibits this one, so that people hear of that alone; null if none does.</summary>
    public Inhibitor? InhibitedBy { get; init; }

    /// <summary>FNV-1a, 64 bits, over name and labels in UTF-8, each ended by a zero byte: the same in every process and release.</summary>
    public ulong Fingerprint => FingerprintOf(Name, Labels);

    public static ulong FingerprintOf(string name, Labels labels)
    {
        var hash = Add(14695981039346656037, name);
        foreach (var (label, value) in labels)
            hash = Add(Add(hash, label), value);
        return hash;
    }

    static ulong Add(ulong hash, string text)
    {
        var utf8 = text.Length <= 128 ? stackalloc byte[3 * 128] : new byte[3 * text.Length];
        foreach (var b in utf8[..Encoding.UTF8.GetBytes(text, utf8)])
            hash = (hash ^ b) * 1099511628211;
        return hash * 1099511628211;
    }
}

/// <summary>A signal that inhibits others.</summary>
public sealed record Inhibitor(ulong Fingerprint, string Name, Labels Labels)
{
    // What the reader knows from the place where it stands, or from the name.
    static readonly string[] Known = ["alertname", "severity", "tenant", "cluster"];

    internal static Inhibitor Of(Signal signal) => new(signal.Fingerprint, signal.Name, signal.Labels);

    /// <summary>Such as <c>NodeSilent (node n1)</c>.</summary>
    public override string ToString() =>
        Labels.Drop(Known) is { Count: > 0 } labels ? $"{Name} ({string.Join(", ", labels.Select(l => $"{l.Name} {l.Value}"))})" : Name;
}

/// <summary>One step in a signal's life; <paramref name="From"/> is null when it opens.</summary>
sealed record SignalEvent(Signal Signal, SignalState? From, DateTimeOffset At);
