using Ical.Net.CalendarComponents;
using Ical.Net.DataTypes;
using Ical.Net.Evaluation;

using Whistle.Remediation.Control;

using Xunit;

using Recurrence = Whistle.Remediation.Control.Recurrence;

namespace Whistle.Tests.Remediation;

public sealed class RecurrenceTests
{
    static readonly DateTime Start = new(2026, 1, 3, 22, 0, 0);

    [Theory]
    [InlineData("FREQ=SECONDLY", "too often")]
    [InlineData("FREQ=MINUTELY;INTERVAL=60", "too often")]
    [InlineData("FREQ=DAILY;BYMINUTE=0,1,2", "more than once an hour")]
    [InlineData("FREQ=DAILY;BYSECOND=0,30", "more than once an hour")]
    [InlineData("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 is not a number from 1 to 1000")]
    [InlineData("FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1")]
    [InlineData("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL=")]
    [InlineData("FREQ=DAILY;COUNT=2000000000", "COUNT=2000000000 is not a number from 1 to 10000")]
    [InlineData("FREQ=DAILY;COUNT=3;UNTIL=20270101", "exclude each other")]
    [InlineData("FREQ=DAILY;UNTIL=someday", "UNTIL=SOMEDAY is not a time")]
    [InlineData("FREQ=DAILY;BYHOUR=24", "BYHOUR=24")]
    [InlineData("FREQ=DAILY;BYSETPOS=1", "BYSETPOS picks")]
    [InlineData("FREQ=HOURLY;BYHOUR=1;BYSETPOS=1", "BYSETPOS picks")]
    [InlineData("FREQ=DAILY;FREQ=SECONDLY", "FREQ is given twice")]
    [InlineData("FREQ=DAILY;RRULE=FREQ", "RRULE is not a part")]
    [InlineData("FREQ=DAILY\nRRULE:FREQ=SECONDLY", "is not a part such as")]
    [InlineData("RRULE:FREQ=DAILY", "FREQ is missing")]
    [InlineData("FREQ=DAILY;EXDATE=20260101", "EXDATE is not a part")]
    [InlineData("FREQ=WEEKLY;BYDAY=1SA", "a numbered weekday")]
    [InlineData("FREQ=WEEKLY;BYDAY=XX", "is not a weekday")]
    [InlineData("FREQ=OFTEN", "is not one of HOURLY")]
    [InlineData("BYDAY=MO", "FREQ is missing")]
    [InlineData("", "is not a part")]
    public void What_would_come_too_often_or_is_no_rule_is_refused(string rule, string reason) =>
        Assert.Contains(reason, Assert.Throws<FormatException>(() => Recurrence.Parse(rule)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")]
    [InlineData("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30")]
    [InlineData("FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31;INTERVAL=1000")]
    [InlineData("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=200")]
    [InlineData("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-200")]
    [InlineData("FREQ=YEARLY;INTERVAL=1000;BYMONTH=2;BYMONTHDAY=29")]
    [InlineData("FREQ=DAILY;UNTIL=20000101")]
    public void What_never_comes_to_pass_is_found_out_and_refused(string rule) =>
        Assert.Contains("never comes to pass", Window(rule, "Europe/Berlin").MistakeWhenAdded(At(2026, 1, 1)), StringComparison.Ordinal);

    // Each window starts on 2026-01-03 at 22:00 and lasts an hour.
    [Theory]
    [InlineData("FREQ=DAILY;COUNT=1", "2026-01-03T22:59:00Z", false)]
    [InlineData("FREQ=DAILY;COUNT=1", "2026-01-03T23:00:00Z", true)]
    [InlineData("FREQ=DAILY;COUNT=1", "2026-01-03T00:00:00Z", false)]
    [InlineData("FREQ=DAILY;COUNT=1", "2025-01-03T00:00:00Z", false)]
    [InlineData("FREQ=DAILY;COUNT=1", "2026-06-01T00:00:00Z", true)]
    [InlineData("FREQ=DAILY;COUNT=3", "2026-01-05T20:00:00Z", false)]
    [InlineData("FREQ=DAILY;COUNT=3", "2026-01-06T00:00:00Z", true)]
    [InlineData("FREQ=WEEKLY;UNTIL=20260201", "2026-02-02T00:00:00Z", true)]
    [InlineData("FREQ=WEEKLY;UNTIL=20260201", "2026-01-20T00:00:00Z", false)]
    [InlineData("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2029-01-01T00:00:00Z", false)]
    [InlineData("FREQ=DAILY", "2036-01-01T00:00:00Z", false)]
    public void A_window_whose_openings_are_all_over_is_refused(string rule, string now, bool isOver)
    {
        var window = Window(rule, "UTC") with { Start = new(2026, 1, 3, 22, 0, 0), Length = TimeSpan.FromHours(1) };
        var mistake = window.MistakeWhenAdded(DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(isOver, mistake is not null);
        if (isOver)
            Assert.Contains("would never open again", mistake, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FREQ=HOURLY", "Europe/Berlin", 25)]
    [InlineData("FREQ=HOURLY;COUNT=10000", "America/New_York", 0)]
    [InlineData("FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23", "UTC", 25)]
    [InlineData("FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=0,1,2,3;BYSETPOS=1,-1", "UTC", 1)]
    public void An_old_window_is_worked_out_for_a_day_at_a_time(string rule, string zone, int least)
    {
        var openings = WindowOpenings.Evaluate(
            Window(rule, zone) with { Start = new(2000, 1, 1, 22, 0, 0), Length = TimeSpan.FromDays(7) }, At(2026, 10, 25));

        Assert.Null(openings.Problem);
        Assert.InRange(openings.Starts.Count, least, 250);
    }

    // RFC 5545, 3.8.5.3.
    [Theory]
    [InlineData("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "1997-06-10T09", "1997-06-10T09 1997-07-10T09 1998-06-10T09 1998-07-10T09")]
    [InlineData(
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3", "1997-03-10T09",
        "1997-03-10T09 1999-01-10T09 1999-02-10T09 1999-03-10T09 2001-01-10T09")]
    [InlineData(
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "1997-01-01T09",
        "1997-01-01T09 1997-04-10T09 1997-07-19T09 2000-01-01T09 2000-04-09T09 2000-07-18T09")]
    [InlineData("FREQ=YEARLY;BYDAY=20MO", "1997-05-19T09", "1997-05-19T09 1998-05-18T09 1999-05-17T09")]
    [InlineData("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12T09", "1997-05-12T09 1998-05-11T09 1999-05-17T09")]
    [InlineData("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "1997-03-13T09", "1997-03-13T09 1997-03-20T09 1997-03-27T09 1998-03-05T09")]
    [InlineData(
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1996-11-05T09",
        "1996-11-05T09 2000-11-07T09 2004-11-02T09")]
    [InlineData(
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-09-02T09", "1998-02-13T09 1998-03-13T09 1998-11-13T09 1999-08-13T09 2000-10-13T09")]
    [InlineData(
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "1997-09-07T09",
        "1997-09-07T09 1997-09-28T09 1997-11-02T09 1997-11-30T09 1998-01-04T09 1998-01-25T09")]
    [InlineData(
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29T09", "1997-09-29T09 1997-10-30T09 1997-11-27T09 1997-12-30T09")]
    [InlineData(
        "FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28T09",
        "1997-09-28T09 1997-10-29T09 1997-11-28T09 1997-12-29T09 1998-01-29T09 1998-02-26T09")]
    [InlineData(
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05T09", "1997-08-05T09 1997-08-10T09 1997-08-19T09 1997-08-24T09 -")]
    [InlineData(
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05T09", "1997-08-05T09 1997-08-17T09 1997-08-19T09 1997-08-31T09 -")]
    [InlineData(
        "FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02T09", "1997-09-02T09 1997-09-12T09 1997-09-22T09 1997-10-02T09 1997-10-12T09 -")]
    [InlineData("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000", "1997-09-02T09", "1997-09-02T09 1997-09-02T12 1997-09-02T15 -")]
    public void It_comes_to_pass_as_the_examples_of_the_standard_do(string rule, string start, string times)
    {
        var expected = times.Split(' ');
        var found = RecurrenceDays.From(Recurrence.Parse(rule), At(start), At(start), t => t)
            .Select(t => t.ToString("yyyy-MM-dd'T'HH", System.Globalization.CultureInfo.InvariantCulture)).Append("-");

        Assert.Equal(expected, found.Take(expected.Length));

        static DateTime At(string text) => DateTime.ParseExact(text, "yyyy-MM-dd'T'HH", System.Globalization.CultureInfo.InvariantCulture);
    }

    // Of years that library takes another view, and of hours across a change of clocks it finds no end.
    [Fact]
    public void It_comes_to_pass_when_another_library_says_so()
    {
        var seed = Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (var round = 0; round < 2000; round++)
        {
            var text = Rule(random);
            Recurrence rule;
            try
            {
                rule = Recurrence.Parse(text);
            }
            catch (FormatException)
            {
                continue;
            }

            var start = Start.AddHours(random.Next(24 * 800));
            var from = start.AddDays(random.Next(900));
            var ours = RecurrenceDays.From(rule, start, from, t => t).Where(t => t >= from).TakeWhile(t => t < from.AddYears(3)).Take(20);
            Assert.True(Theirs(text, start, from).SequenceEqual(ours), $"{text} from {start:s} after {from:s}: "
                + $"{string.Join(" ", Theirs(text, start, from).Select(t => t.ToString("s")))} not "
                + $"{string.Join(" ", ours.Select(t => t.ToString("s")))}");
        }
    }

    static List<DateTime> Theirs(string rule, DateTime start, DateTime from)
    {
        var calendar = new CalendarEvent
        {
            Start = new CalDateTime(start, "UTC"),
            Duration = Duration.FromTimeSpanExact(TimeSpan.FromSeconds(1)),
            RecurrenceRule = new RecurrenceRule(rule),
        };
        var found = new List<DateTime>();
        try
        {
            foreach (var occurrence in calendar.GetOccurrences(
                new CalDateTime(from, "UTC"), new EvaluationOptions { MaxUnmatchedIncrementsLimit = 2000 }))
            {
                var at = DateTime.SpecifyKind(occurrence.Period.StartTime.AsUtc, DateTimeKind.Unspecified);
                if (found.Count == 20 || at >= from.AddYears(3))
                    break;
                // One second long: what began just before is still there.
                if (at >= from)
                    found.Add(at);
            }
        }
        catch (EvaluationException)
        {
        }

        return found;
    }

    // RFC 5545 counts the start even where the rule does not fit it, in words that libraries read differently; so no COUNT here.
    static string Rule(Random random)
    {
        string[] days = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
        string List(int least, int most) => string.Join(',', Enumerable.Range(0, random.Next(1, 4))
            .Select(_ => random.Next(least, most + 1)).Where(n => n != 0).DefaultIfEmpty(least < 0 ? -1 : 1).Distinct());
        var frequency = new[] { "DAILY", "WEEKLY", "MONTHLY" }[random.Next(3)];
        List<string> parts = [$"FREQ={frequency}"];
        if (random.Next(2) == 0)
            parts.Add($"INTERVAL={random.Next(1, 5)}");
        if (random.Next(3) == 0)
            parts.Add($"BYMONTH={List(1, 12)}");
        if (random.Next(3) == 0 && frequency != "WEEKLY")
            parts.Add($"BYMONTHDAY={List(-5, 31)}");
        if (random.Next(2) == 0)
        {
            string Which() => frequency is "MONTHLY" && random.Next(2) == 0 ? $"{random.Next(1, 5)}" : "";
            var chosen = Enumerable.Range(0, random.Next(1, 3)).Select(_ => Which() + days[random.Next(7)]).Distinct();
            parts.Add($"BYDAY={string.Join(',', chosen)}");
        }
        if (random.Next(3) == 0)
            parts.Add($"BYHOUR={List(1, 23)}");
        if (random.Next(4) == 0)
            parts.Add($"BYMINUTE={random.Next(60)}");
        if (random.Next(5) == 0 && parts.Count > 3 && frequency is "MONTHLY")
            parts.Add($"BYSETPOS={List(-2, 3)}");
        if (random.Next(4) == 0)
            parts.Add("UNTIL=20280615T120000");
        if (random.Next(4) == 0 && frequency == "WEEKLY")
            parts.Add("WKST=SU");
        return string.Join(';', parts);
    }

    [Fact]
    public void An_hour_that_clocks_skip_or_repeat_opens_once()
    {
        var window = Window("FREQ=HOURLY", "Europe/Berlin") with { Start = new(2026, 1, 1, 0, 0, 0), Length = TimeSpan.FromMinutes(30) };
        var spring = WindowOpenings.Evaluate(window, At(2026, 3, 29)).Starts;
        var autumn = WindowOpenings.Evaluate(window, At(2026, 10, 25)).Starts;

        Assert.Equal(spring.Distinct().Order(), spring);
        Assert.Equal(autumn.Distinct().Order(), autumn);
        Assert.Contains(At(2026, 3, 29).AddHours(1), spring);
    }

    [Theory]
    [InlineData("CEST", "not exactly a name")]
    [InlineData("AEST", "not exactly a name")]
    [InlineData("EEST", "not exactly a name")]
    [InlineData("UTC+2", "not exactly a name")]
    [InlineData("", "not exactly a name")]
    [InlineData(" ", "not exactly a name")]
    [InlineData("My Europe/Berlin zone", "did you mean Europe/Berlin?")]
    [InlineData("Europe/Berlin ", "did you mean Europe/Berlin?")]
    [InlineData("europe/berlin", "did you mean Europe/Berlin?")]
    [InlineData("Berlin", "did you mean Europe/Berlin?")]
    [InlineData("Europe/Berlim", "did you mean Europe/Berlin?")]
    [InlineData("../../etc/passwd", "not exactly a name")]
    public void A_time_zone_is_exactly_a_name_of_the_IANA_database(string zone, string reason)
    {
        var mistake = Window("FREQ=DAILY", zone).Mistake();

        Assert.StartsWith($"timeZone: \"{zone}\"", mistake, StringComparison.Ordinal);
        Assert.Contains(reason, mistake, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Europe/Berlin")]
    [InlineData("America/New_York")]
    [InlineData("Australia/Lord_Howe")]
    [InlineData("Asia/Kolkata")]
    [InlineData("Pacific/Kiritimati")]
    [InlineData("UTC")]
    [InlineData("EST")]
    public void A_zone_has_the_hours_that_the_machine_knows_of_it(string name)
    {
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(name, out var theirs))
            Assert.Skip($"this machine has no time zone {name} (tzdata)");
        var zone = TimeZones.Find(name)!;
        for (var local = new DateTime(2024, 1, 1); local.Year < 2026; local = local.AddMinutes(437))
        {
            if (!theirs.IsInvalidTime(local) && !theirs.IsAmbiguousTime(local))
                Assert.Equal(new DateTimeOffset(local, theirs.GetUtcOffset(local)).UtcDateTime, TimeZones.ToUtc(zone, local).UtcDateTime);
        }
    }

    static DateTimeOffset At(int year, int month, int day) => new(year, month, day, 0, 0, 0, TimeSpan.Zero);

    static MaintenanceWindow Window(string rule, string zone) =>
        new(1, "", "", rule, Start, TimeSpan.FromHours(4), zone, "ann", At(2026, 1, 1));
}
