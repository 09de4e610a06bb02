using Whistle.Inventory.Access;

namespace Whistle.Inventory.People;

/// <summary>Somebody who can log in.</summary>
public sealed class Person
{
    public required string Id { get; init; }

    /// <summary>As they write it. Two that differ in case only are one.</summary>
    public required string Name { get; set; }

    public string? Email { get; set; }

    /// <summary>Null where they have none yet, or log in otherwise.</summary>
    public string? PasswordHash { get; set; }

    /// <summary>Another with every change of how they log in.</summary>
    public string SecurityStamp { get; set; } = "";

    /// <summary>What their authenticator app makes its codes of; null where they have none.</summary>
    public string? AuthenticatorKey { get; set; }

    /// <summary>Whether a password alone does not log them in.</summary>
    public bool HasTwoFactor { get; set; }

    /// <summary>The step of time of the last code that logged them in: no code counts twice.</summary>
    public long LastCodeStep { get; set; }

    /// <summary>Wrong passwords and codes since they last logged in.</summary>
    public int FailedCount { get; set; }

    public DateTimeOffset? LockedUntil { get; set; }

    public DateTimeOffset? DisabledAt { get; set; }

    /// <summary>Who vouches for them elsewhere, and as whom; null for those who log in here.</summary>
    public OutsideIdentity? Outside { get; set; }

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Another with every write.</summary>
    internal long Revision { get; set; }

    public bool IsLocked(DateTimeOffset now) => LockedUntil > now;

    /// <summary>As their rights are looked up.</summary>
    public string Identity => PersonIdentity.Of(Id);
}

/// <summary>Somebody as another server knows them.</summary>
public sealed record OutsideIdentity(string Issuer, string Subject);

/// <summary>Where a grant comes from.</summary>
public enum GrantSource
{
    /// <summary>Somebody gave it.</summary>
    Local,

    /// <summary>Claims of a log-in elsewhere gave it; the next such log-in decides again.</summary>
    Oidc,
}

public sealed record GivenGrant(Grant Grant, GrantSource Source, string GivenBy, DateTimeOffset GivenAt);

public sealed record KnownPerson(Person Person, IReadOnlyList<GivenGrant> Grants)
{
    /// <summary>Whether they run everything.</summary>
    public bool IsAdminOfAll => Person.DisabledAt is null && Grants.Any(g => g.Grant is { Role: Role.Admin, Scope.IsAll: true });
}

/// <summary>How somebody is named in claims and rows: <c>local</c>, <c>person:ID</c> or <c>token:ID</c>.</summary>
public static class PersonIdentity
{
    /// <summary>The machine's own user, who has the token of the data folder.</summary>
    public const string Local = "local";

    /// <summary>Under which the acts of the machine's own user are recorded.</summary>
    public const string LocalName = "operator";

    const string Person = "person:";
    const string Token = "token:";

    public static string Of(string person) => Person + person;

    public static string OfToken(string token) => Token + token;

    /// <summary>The person's id; null where it is no person.</summary>
    public static string? PersonOf(string identity) => After(Person, identity);

    /// <summary>The id of the API token; null where it is none.</summary>
    public static string? TokenOf(string identity) => After(Token, identity);

    static string? After(string prefix, string identity) =>
        identity.StartsWith(prefix, StringComparison.Ordinal) && identity.Length > prefix.Length ? identity[prefix.Length..] : null;
}
