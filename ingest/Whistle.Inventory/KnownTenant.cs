using System.Text.Json.Serialization;

namespace Whistle.Inventory;

/// <summary>What people write down about a tenant or a cluster.</summary>
/// <param name="Name">What it is called; its id until somebody gives it a name.</param>
/// <param name="Contacts">Whom to ask, such as addresses and numbers.</param>
/// <param name="Labels">Such as zone and provider. They are no labels of telemetry.</param>
public sealed record RegisterEntry(string Name, IReadOnlyList<string> Contacts, string Notes, IReadOnlyDictionary<string, string> Labels)
{
    public const int LongestName = 200;
    public const int LongestNotes = 16 << 10;

    /// <summary>Of a contact, and of the value of a label.</summary>
    public const int LongestText = 300;

    public const int LongestLabelName = 63;

    /// <summary>Contacts, and labels.</summary>
    public const int MostTexts = 20;
}

/// <summary>A change of what is written down; null leaves it as it is.</summary>
public sealed record RegisterChange(
    string? Name = null, IReadOnlyList<string>? Contacts = null, string? Notes = null, IReadOnlyDictionary<string, string>? Labels = null);

/// <summary>What one tenant may send, and how long that is kept; null where the server's own setting counts.</summary>
/// <param name="Series">Active series.</param>
/// <param name="NewSeries">New series within an hour.</param>
/// <param name="StoredSeries">Series in the store.</param>
/// <param name="SamplesPerSecond">Over ten seconds.</param>
/// <param name="BytesPerSecond">Of requests as they come over the wire, over ten seconds.</param>
/// <param name="RetentionDays">How long telemetry is kept; at most as long as the server keeps it.</param>
public sealed record TenantLimits(
    int? Series = null, int? NewSeries = null, int? StoredSeries = null, int? SamplesPerSecond = null, long? BytesPerSecond = null,
    int? RetentionDays = null)
{
    const int MostDays = 36_500;

    /// <summary>Each by its name in the API, in words, and its value.</summary>
    public static readonly IReadOnlyList<(string Name, string Words, Func<TenantLimits, long?> Of)> Each =
    [
        ("series", "active series", l => l.Series), ("newSeries", "new series within an hour", l => l.NewSeries),
        ("storedSeries", "series in the store", l => l.StoredSeries), ("samplesPerSecond", "samples a second", l => l.SamplesPerSecond),
        ("bytesPerSecond", "bytes a second", l => l.BytesPerSecond), (Days, "days kept", l => l.RetentionDays),
    ];

    public const string Days = "retentionDays";

    public static readonly TenantLimits None = new();

    [JsonIgnore]
    public TimeSpan? Retention => RetentionDays is { } days ? TimeSpan.FromDays(days) : null;

    /// <summary>Why there can be no such limits; null where there can.</summary>
    [JsonIgnore]
    public string? Mistake =>
        (RetentionDays is < 1 or > MostDays ? $"{Days}: {RetentionDays} is not between 1 and {MostDays} days." : null)
        ?? Each.Where(l => l.Of(this) < 1).Select(l => $"{l.Name}: {l.Of(this)} is less than 1. To refuse all of a tenant, archive it.")
            .FirstOrDefault()
        ?? (StoredSeries < Series ? $"storedSeries: {StoredSeries} is less than series, which is {Series}." : null);
}

/// <summary>How something came into the register, and whether it is still in use.</summary>
/// <param name="Source">person, or enrolment where the first enrolment named it.</param>
/// <param name="ArchivedAt">Null while it is in use.</param>
public sealed record RegisterHistory(
    string Source, string AddedBy, DateTimeOffset AddedAt, DateTimeOffset? ArchivedAt, string? ArchivedBy)
{
    public const string Person = "person";
    public const string Enrolment = "enrolment";

    public bool IsArchived => ArchivedAt is not null;
}

/// <summary>A customer or a team whose clusters are watched.</summary>
/// <param name="Id">The label <c>tenant</c> of its telemetry; it never changes.</param>
public sealed record KnownTenant(string Id, RegisterEntry Entry, TenantLimits Limits, RegisterHistory History);

/// <summary>A cluster as a thing of its own, whoever reports from it.</summary>
public sealed record KnownCluster(ClusterId Id, RegisterEntry Entry, RegisterHistory History);

/// <summary>A node that was taken out of service. Its history stays.</summary>
public sealed record ArchivedNode(NodeId Id, string By, DateTimeOffset At);

/// <summary>A node with what is known of its agent.</summary>
/// <param name="EnrolledAt">When it was enrolled, however often its credential was renewed since; null where it has none.</param>
/// <param name="CredentialEndsAt">Of the credential that counts longest; null where it has no end.</param>
/// <param name="IsRenewalDue">Its agent should have a new credential: its time has come, or somebody asked.</param>
public sealed record KnownNode(
    NodeId Id, DateTimeOffset? EnrolledAt, DateTimeOffset? CredentialEndsAt, bool IsRenewalDue, ArchivedNode? Archived,
    NodeSighting? Sighting);

/// <summary>What became of a change of the register.</summary>
public abstract record RegisterOutcome
{
    public static readonly RegisterOutcome Done = new Changed();

    public sealed record Changed : RegisterOutcome;

    /// <summary>There is no such thing.</summary>
    public sealed record Unknown : RegisterOutcome;

    /// <param name="Reason">Why not, and what to do.</param>
    public sealed record Refused(string Reason) : RegisterOutcome;

    /// <param name="Reason">What is wrong with what was to be written; it begins with the name of the field.</param>
    public sealed record Mistaken(string Reason) : RegisterOutcome;
}
