namespace Whistle.Incidents;

/// <summary>What a line of a timeline is about: of incidents, then of runs, then of alerting.</summary>
public enum TimelineKind
{
    Opened,
    Reopened,

    /// <summary>The incident's severity has changed.</summary>
    Severity,

    /// <summary>The incident's state has changed.</summary>
    State,
    Signal,
    Inhibited,
    Acknowledged,
    Closed,

    Proposed,
    Plan,

    /// <summary>What every gate answered, in one line.</summary>
    Gates,

    /// <summary>One gate's refusal.</summary>
    Gate,
    Step,
    Undo,
    Verify,
    Approval,
    Task,
    Cancel,
    Ended,
    Escalated,

    /// <summary>Something that was done between a backup and its restore.</summary>
    Restored,

    Page,

    /// <summary>A page is due and held.</summary>
    Hold,

    /// <summary>A page is due and no channel can carry it.</summary>
    Unpaged,
    Resolve,
    Announce,
    Change,
    Ticket,
    Digest,
}

/// <summary>The words for <see cref="TimelineKind"/> in the state, the API and on pages: the names in lower case.</summary>
public static class TimelineKinds
{
    static readonly Dictionary<TimelineKind, string> Words =
        Enum.GetValues<TimelineKind>().ToDictionary(k => k, k => k.ToString().ToLowerInvariant());

    // Timelines are never edited, so those of earlier releases still say "hidden".
    static readonly Dictionary<string, TimelineKind> Kinds =
        new(Words.Select(w => KeyValuePair.Create(w.Value, w.Key))) { ["hidden"] = TimelineKind.Inhibited };

    public static string Word(this TimelineKind kind) => Words[kind];

    /// <exception cref="InvalidDataException">No kind has this word.</exception>
    public static TimelineKind Parse(string word) =>
        Kinds.TryGetValue(word, out var kind) ? kind : throw new InvalidDataException($"\"{word}\" is not a timeline kind.");
}
