using System.Security.Claims;

using Whistle.Inventory.Access;

namespace Whistle.Inventory.People;

/// <summary>Whoever can be logged in, and what they may do.</summary>
public sealed class PeopleDirectory
{
    /// <summary>The claim that says who it is: <see cref="Local"/>.</summary>
    public const string IdentityClaim = "whistle.identity";

    /// <summary>The machine's own user, who has the token of the data folder.</summary>
    public const string Local = "local";

    readonly Rights _local = Rights.Everything;

    /// <summary>What they may do now; nothing where nobody knows them, or no longer.</summary>
    public Task<Rights> RightsOfAsync(ClaimsPrincipal user, CancellationToken cancellation) =>
        Task.FromResult(user.FindFirstValue(IdentityClaim) is Local ? _local : Rights.None);
}
