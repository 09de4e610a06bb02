using Whistle.Actions.Files;
using Whistle.Alerting.Configuration;
using Whistle.Inventory;
using Whistle.Inventory.Access;

namespace Whistle.Oidc;

/// <summary>A claim's value, and the grant of those who have it.</summary>
sealed record ClaimedGrant(string Value, Grant Grant)
{
    /// <summary>From text like <c>sre=operator</c>, <c>acme=viewer@acme</c> or <c>eu=operator@acme/prod-1</c>; else why not.</summary>
    public static (ClaimedGrant? Read, string? Mistake) Parse(string text)
    {
        if (text.LastIndexOf('=') is var equals && equals < 1)
            return (null, $"\"{text}\" has no role. Write it like sre=operator or acme-ops=operator@acme.");
        var (value, given) = (text[..equals], text[(equals + 1)..].Split('@', 2));
        if (Roles.Find(given[0]) is not { } role)
            return (null, $"\"{given[0]}\" is not a role. The roles are {Roles.Names}.");
        if (given is [_, var where] && where.Split('/') is var names && (names.Length > 2 || names.Any(string.IsNullOrEmpty)))
            return (null, $"\"{where}\" is neither a tenant nor a cluster. Write it like acme or acme/prod-1.");
        var scope = given is not [_, var place] ? AccessScope.All
            : place.Split('/') is [var tenant, var cluster] ? AccessScope.Of(new ClusterId(tenant, cluster)) : AccessScope.Of(place);
        var grant = new Grant(role, scope);
        return grant.Mistake is { } mistake ? (null, mistake) : (new(value, grant), null);
    }
}

/// <summary>Log-in at an OpenID Connect provider. Without an authority there is none.</summary>
sealed record OidcOptions
{
    /// <summary>The provider's issuer; its <c>.well-known/openid-configuration</c> says the rest.</summary>
    public Uri? Authority { get; init; }

    public string ClientId { get; init; } = "";

    /// <summary>Null for a public client, which is proven by PKCE alone.</summary>
    public string? ClientSecretFile { get; init; }

    /// <summary>What the button says.</summary>
    public string Title { get; init; } = "";

    /// <summary>Asked for beside openid and profile.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>The claim that people are called by.</summary>
    public string NameClaim { get; init; } = "preferred_username";

    /// <summary>The claim whose values <see cref="Roles"/> names.</summary>
    public string RoleClaim { get; init; } = "groups";

    /// <summary>Values of the claim with their grants, such as <c>sre=operator</c>.</summary>
    public IReadOnlyList<string> Roles { get; init; } = [];

    /// <summary>Whether a log-out here leads to the provider, to end the session there too.</summary>
    public bool LogOutThere { get; init; } = true;

    public bool IsGiven => Authority is not null;

    /// <summary>As the button says it.</summary>
    public string Name => Title.Length > 0 ? Title : Authority?.Host ?? "";

    /// <summary>What the values of the claim give.</summary>
    public IReadOnlyList<Grant> GrantsOf(IEnumerable<string> values)
    {
        var given = values.ToHashSet(StringComparer.Ordinal);
        return [.. Roles.Select(r => ClaimedGrant.Parse(r).Read!).Where(c => given.Contains(c.Value)).Select(c => c.Grant).Distinct()];
    }

    /// <exception cref="SecretException">The file cannot be used.</exception>
    public string? ReadSecret() => ClientSecretFile is { } file ? SecretOf(file).Read() : null;

    public static OidcOptions Read(SettingsSection section)
    {
        var defaults = new OidcOptions();
        return new()
        {
            Authority = section.Address(nameof(Authority)),
            ClientId = section.Text(nameof(ClientId)) ?? "",
            ClientSecretFile = section.Path(nameof(ClientSecretFile)),
            Title = section.Text(nameof(Title)) ?? "",
            Scopes = section.Texts(nameof(Scopes)) ?? [],
            NameClaim = section.Text(nameof(NameClaim)) ?? defaults.NameClaim,
            RoleClaim = section.Text(nameof(RoleClaim)) ?? defaults.RoleClaim,
            Roles = section.Texts(nameof(Roles)) ?? [],
            LogOutThere = section.Truth(nameof(LogOutThere)) ?? defaults.LogOutThere,
        };
    }

    public IEnumerable<OptionError> Errors()
    {
        if (Authority is null)
        {
            if (ClientId.Length > 0 || ClientSecretFile is not null || Roles.Count > 0)
                yield return Error(nameof(Authority), "the provider's address is missing. Write it like https://login.example.com.");
            yield break;
        }

        if (Authority.Scheme != Uri.UriSchemeHttps && !Authority.IsLoopback)
            yield return Error(nameof(Authority), $"{Authority} is not https, so anybody on the way could log in. Use https.");
        if (ClientId.Length == 0)
            yield return Error(nameof(ClientId), "the client's id is missing. The provider gives it when you register this server there.");
        if (ClientSecretFile is not null && SecretOf(ClientSecretFile).Fault() is { } reason)
            yield return Error(nameof(ClientSecretFile), reason);
        if (Roles.Count == 0)
            yield return Error(
                nameof(Roles), $"no value of the claim {RoleClaim} gives a role, so nobody could log in. Write it like sre=operator.");
        foreach (var mistake in Roles.Select(r => ClaimedGrant.Parse(r).Mistake).OfType<string>())
            yield return Error(nameof(Roles), mistake);
    }

    static SecretFile SecretOf(string file) => new(file, SecretForm.Line("the client secret"));

    static OptionError Error(string key, string reason) => new($"Oidc:{key}", reason);
}
