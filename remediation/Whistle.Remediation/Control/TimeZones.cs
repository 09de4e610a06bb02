using NodaTime;
using NodaTime.TimeZones;

using Whistle.Inventory;

namespace Whistle.Remediation.Control;

/// <summary>
/// Time zones by exactly their IANA names. The database comes with the library: a machine without tzdata knows the same zones, and none is
/// guessed.
/// </summary>
static class TimeZones
{
    static readonly HashSet<string> Names = [.. DateTimeZoneProviders.Tzdb.Ids];

    /// <summary>Null where there is no such zone.</summary>
    public static DateTimeZone? Find(string name) => Names.Contains(name) ? DateTimeZoneProviders.Tzdb[name] : null;

    /// <summary>Why the name is none.</summary>
    public static string Mistake(string name) =>
        $"timeZone: \"{name}\" is not exactly a name of the IANA database, such as Europe/Berlin or "
        + $"UTC{Nearest.Words(name, Names, "time zone")}";

    /// <summary>
    /// A local time that is skipped counts as much later as clocks are put forward; one that comes twice counts the first time.
    /// </summary>
    public static DateTimeOffset ToUtc(DateTimeZone zone, DateTime local) =>
        LocalDateTime.FromDateTime(local).InZone(zone, Resolvers.LenientResolver).ToInstant().ToDateTimeOffset();
}
