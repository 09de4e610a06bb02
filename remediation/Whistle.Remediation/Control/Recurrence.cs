using System.Globalization;

namespace Whistle.Remediation.Control;

enum Frequency
{
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// <summary>A weekday, in a month or year also which of them: 2 is the second, -1 the last, 0 each.</summary>
readonly record struct RecurringDay(int Ordinal, DayOfWeek Day);

/// <summary>
/// An iCalendar rule (RFC 5545, RRULE), so bounded when it is read that an evaluation has a limit of work: it comes to pass at most once an
/// hour, and days are looked at one by one, from the time asked about on, for <see cref="MostYears"/> years at most.
/// </summary>
sealed record Recurrence
{
    public const int MostYears = 40;
    public const int MostInterval = 1000;
    public const int MostCount = 10_000;
    const int LongestText = 1000;

    public required Frequency Frequency { get; init; }

    public int Interval { get; private init; } = 1;

    public int? Count { get; private init; }

    /// <summary>The last start; by the zone's clock unless <see cref="UntilIsUtc"/>.</summary>
    public DateTime? Until { get; private init; }

    public bool UntilIsUtc { get; private init; }

    public IReadOnlyList<int> Months { get; private init; } = [];

    public IReadOnlyList<int> Weeks { get; private init; } = [];

    public IReadOnlyList<int> YearDays { get; private init; } = [];

    public IReadOnlyList<int> MonthDays { get; private init; } = [];

    public IReadOnlyList<RecurringDay> Days { get; private init; } = [];

    public IReadOnlyList<int> Hours { get; private init; } = [];

    public int? Minute { get; private init; }

    public int? Second { get; private init; }

    public IReadOnlyList<int> Positions { get; private init; } = [];

    public DayOfWeek WeekStart { get; private init; } = DayOfWeek.Monday;

    static readonly string[] DayNames = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"];

    /// <exception cref="FormatException">It is no rule, or one that is not taken; the message says why.</exception>
    public static Recurrence Parse(string text)
    {
        if (text.Length > LongestText)
            throw new FormatException($"it has {text.Length} characters, more than {LongestText}");
        var parts = new Dictionary<string, string>();
        foreach (var part in text.Split(';'))
        {
            if (part.Split('=') is not [{ Length: > 0 } name, { Length: > 0 } value])
                throw new FormatException($"\"{part}\" is not a part such as FREQ=WEEKLY");
            if (!parts.TryAdd(name.ToUpperInvariant(), value.ToUpperInvariant()))
                throw new FormatException($"{name} is given twice");
        }

        if (!parts.Remove("FREQ", out var frequency))
            throw new FormatException("FREQ is missing");
        var rule = new Recurrence { Frequency = FrequencyOf(frequency) };
        foreach (var (name, value) in parts)
            rule = rule.With(name, value);
        rule.Check();
        return rule;
    }

    static Frequency FrequencyOf(string text) => text switch
    {
        "HOURLY" => Frequency.Hourly,
        "DAILY" => Frequency.Daily,
        "WEEKLY" => Frequency.Weekly,
        "MONTHLY" => Frequency.Monthly,
        "YEARLY" => Frequency.Yearly,
        "SECONDLY" or "MINUTELY" => throw new FormatException(
            $"FREQ={text} is too often: a rule comes to pass at most once an hour; write FREQ=HOURLY and a longer --for"),
        _ => throw new FormatException($"FREQ={text} is not one of HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY"),
    };

    Recurrence With(string name, string value) => name switch
    {
        "INTERVAL" => this with { Interval = Number(name, value, 1, MostInterval) },
        "COUNT" => this with { Count = Number(name, value, 1, MostCount) },
        "UNTIL" => this with { Until = Time(value), UntilIsUtc = value.EndsWith('Z') },
        "BYMONTH" => this with { Months = Numbers(name, value, 1, 12) },
        "BYWEEKNO" => this with { Weeks = Numbers(name, value, 1, 53, orFromTheEnd: true) },
        "BYYEARDAY" => this with { YearDays = Numbers(name, value, 1, 366, orFromTheEnd: true) },
        "BYMONTHDAY" => this with { MonthDays = Numbers(name, value, 1, 31, orFromTheEnd: true) },
        "BYDAY" => this with { Days = [.. value.Split(',').Select(Day).Distinct()] },
        "BYHOUR" => this with { Hours = Numbers(name, value, 0, 23) },
        "BYMINUTE" => this with { Minute = Only(name, value) },
        "BYSECOND" => this with { Second = Only(name, value) },
        "BYSETPOS" => this with { Positions = Numbers(name, value, 1, 366, orFromTheEnd: true) },
        "WKST" => this with
        {
            WeekStart =
                Day(value) is { Ordinal: 0, Day: var day } ? day : throw new FormatException($"WKST={value} is not a weekday such as MO"),
        },
        _ => throw new FormatException($"{name} is not a part of a rule"),
    };

    void Check()
    {
        if (Count is not null && Until is not null)
            throw new FormatException("COUNT and UNTIL exclude each other");
        if (Weeks.Count > 0 && (Frequency is not Frequency.Yearly || WeekStart is not DayOfWeek.Monday))
            throw new FormatException("BYWEEKNO goes with FREQ=YEARLY and weeks that begin on Monday only");
        if (YearDays.Count > 0 && Frequency is Frequency.Daily or Frequency.Weekly or Frequency.Monthly)
            throw new FormatException("BYYEARDAY goes with FREQ=YEARLY only");
        if (MonthDays.Count > 0 && Frequency is Frequency.Weekly)
            throw new FormatException("BYMONTHDAY does not go with FREQ=WEEKLY");
        if (Days.Any(d => d.Ordinal != 0) && (Frequency is not (Frequency.Monthly or Frequency.Yearly) || Weeks.Count > 0))
            throw new FormatException("a numbered weekday such as 1MO goes with FREQ=MONTHLY or YEARLY only, without BYWEEKNO");
        if (Positions.Count > 0 && (Frequency is Frequency.Hourly
            || (Months.Count + Weeks.Count + YearDays.Count + MonthDays.Count + Days.Count + Hours.Count == 0)))
            throw new FormatException("BYSETPOS picks from what other parts name; it does not go with FREQ=HOURLY or alone");
    }

    static int Number(string name, string text, int least, int most) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number : throw new FormatException($"{name}={text} is not a number from {least} to {most}");

    static IReadOnlyList<int> Numbers(string name, string text, int least, int most, bool orFromTheEnd = false) =>
        [.. text.Split(',').Select(t =>
            orFromTheEnd && t.StartsWith('-') ? -Number(name, t[1..], least, most) : Number(name, t, least, most)).Distinct().Order()];

    // More of them would come to pass more than once an hour.
    static int Only(string name, string text) =>
        text.Contains(',', StringComparison.Ordinal)
            ? throw new FormatException($"{name}={text} comes to pass more than once an hour; name one")
            : Number(name, text, 0, 59);

    static RecurringDay Day(string text)
    {
        var day = text.Length < 2 ? -1 : Array.IndexOf(DayNames, text[^2..]);
        if (day < 0)
            throw new FormatException($"\"{text}\" is not a weekday such as MO, or 1MO");
        var ordinal = text[..^2].TrimStart('+');
        return new(
            ordinal.Length == 0 ? 0 : ordinal[0] == '-' ? -Number("BYDAY", ordinal[1..], 1, 53) : Number("BYDAY", ordinal, 1, 53),
            (DayOfWeek)day);
    }

    static DateTime Time(string text)
    {
        var invariant = CultureInfo.InvariantCulture;
        if (DateTime.TryParseExact(text, ["yyyyMMdd'T'HHmmss'Z'", "yyyyMMdd'T'HHmmss"], invariant, DateTimeStyles.None, out var time))
            return time;
        return DateTime.TryParseExact(text, "yyyyMMdd", invariant, DateTimeStyles.None, out var day)
            ? day.AddDays(1).AddSeconds(-1)
            : throw new FormatException($"UNTIL={text} is not a time such as 20261231 or 20261231T220000Z");
    }
}
