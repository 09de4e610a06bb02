using Whistle.Inventory.Access;

namespace Whistle.Inventory.People;

/// <summary>Whoever changes something about people.</summary>
/// <param name="Identity">See <see cref="PersonIdentity"/>.</param>
/// <param name="Name">Under which it is recorded.</param>
public sealed record Actor(string Identity, string Name, Rights Rights)
{
    /// <summary>The machine's own user, who can never be locked out.</summary>
    public bool IsLocal => Identity == PersonIdentity.Local;

    public bool Manages(AccessScope scope) => Rights.May(Permission.ManagePeople, scope);

    /// <summary>Nobody gives more than they have.</summary>
    public bool MayGive(Grant grant) => Manages(grant.Scope) && Rights.Includes(grant);

    /// <summary>Whether the person has a grant where the actor manages people.</summary>
    public bool Sees(KnownPerson person) => Manages(AccessScope.All) || person.Grants.Any(g => Manages(g.Grant.Scope));

    /// <summary>Whether they manage people wherever the person has a grant: only then the account itself is theirs to change.</summary>
    public bool ManagesAllOf(KnownPerson person) =>
        Manages(AccessScope.All) || (person.Grants.Count > 0 && person.Grants.All(g => MayGive(g.Grant)));
}

/// <summary>What became of a change to people, tokens or invitations.</summary>
public abstract record PeopleOutcome
{
    public static readonly PeopleOutcome Done = new DoneOutcome();

    /// <summary>There is no such person for whoever asks.</summary>
    public static PeopleOutcome NobodyCalled(string name) => new Unknown($"There is nobody called {name} whom you manage.");

    public sealed record Unknown(string Reason) : PeopleOutcome;

    public sealed record Forbidden(Permission Permission, AccessScope Scope) : PeopleOutcome;

    /// <param name="Reason">Why not, and what to do.</param>
    public sealed record Refused(string Reason) : PeopleOutcome;

    sealed record DoneOutcome : PeopleOutcome;
}
