using System.Globalization;

namespace Whistle.Remediation.Control;

/// <summary>When a rule comes to pass, by the clock of its own zone.</summary>
static class RecurrenceDays
{
    /// <summary>
    /// The local times at which the rule comes to pass, from one on (what is before may be among them), in order, as far as
    /// <see cref="Recurrence.MostYears"/> go. A rule with a count is followed from its start on.
    /// </summary>
    /// <param name="toUtc">For a rule that ends at a time of UTC.</param>
    public static IEnumerable<DateTime> From(Recurrence rule, DateTime start, DateTime from, Func<DateTime, DateTime> toUtc)
    {
        var last = Later(start, from).Date.AddYears(Recurrence.MostYears);
        var left = rule.Count ?? int.MaxValue;
        for (var day = PeriodOf(rule, rule.Count is not null || from < start ? start : from); day <= last && left > 0;)
        {
            var next = NextPeriod(rule, day);
            foreach (var time in TimesOf(rule, start, day, next))
            {
                if (time < start)
                    continue;
                if (rule.Until < (rule.UntilIsUtc ? toUtc(time) : time) || left-- == 0)
                    yield break;
                yield return time;
            }

            day = next;
        }
    }

    static DateTime Later(DateTime a, DateTime b) => a > b ? a : b;

    // What BYSETPOS picks from. Hours are looked at by the day, which comes to the same.
    static DateTime PeriodOf(Recurrence rule, DateTime time) => rule.Frequency switch
    {
        Frequency.Yearly => FirstDay(rule, time),
        Frequency.Monthly => new(time.Year, time.Month, 1),
        Frequency.Weekly => WeekOf(rule, time),
        _ => time.Date,
    };

    static DateTime NextPeriod(Recurrence rule, DateTime day) => rule.Frequency switch
    {
        Frequency.Yearly => FirstDay(rule, day.AddDays(380)),
        Frequency.Monthly => day.AddMonths(1),
        Frequency.Weekly => day.AddDays(7),
        _ => day.AddDays(1),
    };

    // Numbered weeks belong to a year of their own, whose first has most of its days in January.
    static DateTime FirstDay(Recurrence rule, DateTime time) =>
        rule.Weeks.Count == 0 ? new(time.Year, 1, 1) : ISOWeek.GetYearStart(ISOWeek.GetYear(time));

    static DateTime WeekOf(Recurrence rule, DateTime time) => time.Date.AddDays(-(((int)time.DayOfWeek - (int)rule.WeekStart + 7) % 7));

    static IEnumerable<DateTime> TimesOf(Recurrence rule, DateTime start, DateTime from, DateTime until)
    {
        if (!IsDue(rule, start, from))
            return [];
        List<DateTime> times = [];
        for (var day = from; day < until; day = day.AddDays(1))
        {
            if (Matches(rule, start, day))
                times.AddRange(HoursOf(rule, start, day).Select(
                    h => day.Add(new TimeSpan(h, rule.Minute ?? start.Minute, rule.Second ?? start.Second))));
        }

        return rule.Positions.Count == 0 ? times
            : rule.Positions.Select(p => p > 0 ? p - 1 : times.Count + p).Where(p => p >= 0 && p < times.Count).Distinct().Order()
                .Select(p => times[p]);
    }

    // Of every so many years, months, weeks or days.
    static bool IsDue(Recurrence rule, DateTime start, DateTime period) => rule.Frequency switch
    {
        Frequency.Yearly => (YearOf(rule, period) - YearOf(rule, start)) % rule.Interval == 0,
        Frequency.Monthly => ((12 * (period.Year - start.Year)) + period.Month - start.Month) % rule.Interval == 0,
        Frequency.Weekly => (period - WeekOf(rule, start)).Days / 7 % rule.Interval == 0,
        Frequency.Daily => (period - start.Date).Days % rule.Interval == 0,
        _ => true,
    };

    static int YearOf(Recurrence rule, DateTime day) => rule.Weeks.Count == 0 ? day.Year : ISOWeek.GetYear(day);

    static IEnumerable<int> HoursOf(Recurrence rule, DateTime start, DateTime day)
    {
        if (rule.Frequency is not Frequency.Hourly)
            return rule.Hours.Count > 0 ? rule.Hours : [start.Hour];
        var before = (long)(day - start.Date.AddHours(start.Hour)).TotalHours;
        return Enumerable.Range(0, 24).Where(h => (before + h) % rule.Interval == 0 && (rule.Hours.Count == 0 || rule.Hours.Contains(h)));
    }

    static bool Matches(Recurrence rule, DateTime start, DateTime day) =>
        (rule.Months.Count == 0 || rule.Months.Contains(day.Month))
            && (rule.Weeks.Count == 0 || Counted(rule.Weeks, ISOWeek.GetWeekOfYear(day), ISOWeek.GetWeeksInYear(ISOWeek.GetYear(day))))
            && (rule.YearDays.Count == 0 || Counted(rule.YearDays, day.DayOfYear, DateTime.IsLeapYear(day.Year) ? 366 : 365))
            && (rule.MonthDays.Count == 0 || Counted(rule.MonthDays, day.Day, DateTime.DaysInMonth(day.Year, day.Month)))
            && (rule.Days.Count == 0 || rule.Days.Any(d => d.Day == day.DayOfWeek && (d.Ordinal == 0 || IsNumber(rule, day, d.Ordinal))))
            && MatchesStart(rule, start, day);

    static bool Counted(IReadOnlyList<int> wanted, int number, int of) => wanted.Contains(number) || wanted.Contains(number - of - 1);

    // Of the month; of the year where no month is named.
    static bool IsNumber(Recurrence rule, DateTime day, int ordinal)
    {
        var ofYear = rule.Frequency is Frequency.Yearly && rule.Months.Count == 0;
        var (number, length) = ofYear
            ? (day.DayOfYear, DateTime.IsLeapYear(day.Year) ? 366 : 365)
            : (day.Day, DateTime.DaysInMonth(day.Year, day.Month));
        return ordinal == ((number - 1) / 7) + 1 || ordinal == -(((length - number) / 7) + 1);
    }

    // What the rule does not say of the day, its start does.
    static bool MatchesStart(Recurrence rule, DateTime start, DateTime day) => rule.Frequency switch
    {
        _ when rule.Days.Count > 0 => true,
        Frequency.Weekly => day.DayOfWeek == start.DayOfWeek,
        Frequency.Monthly => rule.MonthDays.Count > 0 || day.Day == start.Day,
        Frequency.Yearly when rule.MonthDays.Count > 0 || rule.YearDays.Count > 0 => true,
        Frequency.Yearly when rule.Weeks.Count > 0 => day.DayOfWeek == start.DayOfWeek,
        Frequency.Yearly => day.Day == start.Day && (rule.Months.Count > 0 || day.Month == start.Month),
        _ => true,
    };
}
