namespace Whistle.Inventory;

/// <summary>Whether enrolment may name a tenant or a cluster that nobody added.</summary>
public enum KnownTenants
{
    /// <summary>It is added with the first enrolment.</summary>
    Added,

    /// <summary>The enrolment is refused.</summary>
    Required,
}

/// <summary>How senders are let in.</summary>
public sealed record EnrolmentOptions
{
    public static readonly TimeSpan ShortestLife = TimeSpan.FromDays(1);

    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(3650);

    /// <summary>How long the credential of a node counts; its agent renews it when a third is left.</summary>
    public TimeSpan CredentialLife { get; init; } = TimeSpan.FromDays(90);

    public KnownTenants Known { get; init; }

    /// <summary>Archived ones too: each is read with every look at the register.</summary>
    public int MaxClustersPerTenant { get; init; } = 1000;
}
