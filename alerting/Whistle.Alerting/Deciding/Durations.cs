namespace Whistle.Alerting.Deciding;

/// <summary>Lengths of time as people say them: 45 s, 2 min, 3 h 20 min, 2 d 4 h.</summary>
static class Durations
{
    public static string Text(TimeSpan length) => length switch
    {
        { TotalMinutes: < 1 } => $"{Math.Max(0, Math.Floor(length.TotalSeconds))} s",
        { TotalHours: < 1 } => Two((int)length.TotalMinutes, "min", length.Seconds, "s"),
        { TotalDays: < 1 } => Two((int)length.TotalHours, "h", length.Minutes, "min"),
        _ => Two((int)length.TotalDays, "d", length.Hours, "h"),
    };

    static string Two(int large, string unit, int small, string smallUnit) =>
        small == 0 ? $"{large} {unit}" : $"{large} {unit} {small} {smallUnit}";
}
