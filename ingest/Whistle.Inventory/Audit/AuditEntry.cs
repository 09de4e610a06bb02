using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

using Whistle.Inventory.Access;

namespace Whistle.Inventory.Audit;

/// <summary>What became of what somebody asked for.</summary>
public enum AuditOutcome
{
    Done,

    /// <summary>It was not allowed, or not possible as things were.</summary>
    Refused,

    /// <summary>The server could not do it, or not all of it.</summary>
    Failed,
}

/// <summary>Who asked.</summary>
/// <param name="Name">As people know them; empty where nobody is logged in.</param>
/// <param name="Identity">Such as <c>local</c> or <c>person:7</c>; empty where nobody is logged in.</param>
/// <param name="From">The address; empty where it is not known, or no network was used.</param>
public sealed record AuditActor(string Name, string Identity, string From)
{
    /// <summary>The server itself.</summary>
    public static readonly AuditActor Server = new("whistle", "server", "");

    public AuditActor(string name, string identity, IPAddress? from)
        : this(name, identity, from is { IsIPv4MappedToIPv6: true } ? $"{from.MapToIPv4()}" : $"{from}")
    {
    }
}

/// <summary>What is written down of an act, before it has its place in the log.</summary>
/// <param name="Action">In kebab case, such as <c>approve-run</c>.</param>
/// <param name="Scope">Whose it was.</param>
/// <param name="Subject">What it was about, such as the id of a run; may be empty.</param>
/// <param name="Details">A JSON object without secrets; may be empty.</param>
public sealed record AuditRecord(AuditActor Actor, string Action, AccessScope Scope, string Subject = "", string Details = "")
{
    public AuditOutcome Outcome { get; init; }

    /// <summary>Why it was refused or failed; empty where it was done.</summary>
    public string Reason { get; init; } = "";
}

/// <summary>
/// An entry of the log. Its hash is the SHA-256 of its fields in the order of <see cref="Fields"/>, each as its length in bytes of UTF-8, a
/// colon, the text and a comma; the hash of the entry before it is one of them.
/// </summary>
/// <param name="Number">Counts from 1, without gaps.</param>
/// <param name="At">To the millisecond.</param>
/// <param name="Previous">The hash of the entry before; <see cref="NoHash"/> for the first one.</param>
/// <param name="Hash">As <see cref="Compute"/> has it, if nothing was changed.</param>
public sealed record AuditEntry(long Number, DateTimeOffset At, AuditRecord What, string Previous, string Hash)
{
    /// <summary>What stands before the first entry.</summary>
    public static readonly string NoHash = new('0', 64);

    // Beyond it, a row on a full disk would not fit into what is kept for it.
    const int LongestText = 8_000;
    const int LongestName = 400;

    public string AtText => At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public string OutcomeText => Text(What.Outcome);

    /// <summary>All that is hashed, by the names that the API gives it.</summary>
    public IReadOnlyList<(string Name, string Value)> Fields =>
    [
        ("number", Number.ToString(CultureInfo.InvariantCulture)), ("at", AtText), ("actor", What.Actor.Name),
        ("identity", What.Actor.Identity), ("from", What.Actor.From), ("action", What.Action), ("tenant", What.Scope.Tenant ?? ""),
        ("cluster", What.Scope.Cluster ?? ""), ("subject", What.Subject), ("details", What.Details), ("outcome", OutcomeText),
        ("reason", What.Reason), ("previous", Previous),
    ];

    public string Compute()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, value) in Fields)
        {
            var bytes = Encoding.UTF8.GetBytes(value);
            hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{bytes.Length}:")));
            hash.AppendData(bytes);
            hash.AppendData(","u8);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The entry that follows one with this number and hash.</summary>
    internal static AuditEntry Make(long number, string previous, DateTimeOffset now, AuditRecord what)
    {
        var kept = what with
        {
            Actor = new(Kept(what.Actor.Name, LongestName), Kept(what.Actor.Identity, LongestName), Kept(what.Actor.From, LongestName)),
            Action = Kept(what.Action, LongestName),
            Scope = Kept(what.Scope),
            Subject = Kept(what.Subject, LongestName),
            Details = what.Details.Length > LongestText ? Cut(what.Details) : Kept(what.Details, LongestText),
            Reason = Kept(what.Reason, LongestText),
        };
        var entry = new AuditEntry(number, DateTimeOffset.FromUnixTimeMilliseconds(now.ToUnixTimeMilliseconds()), kept, previous, "");
        return entry with { Hash = entry.Compute() };
    }

    /// <summary>Null where the text names none.</summary>
    public static AuditOutcome? OutcomeOf(string text) =>
        Enum.GetValues<AuditOutcome>().Where(o => Text(o) == text).Select(o => (AuditOutcome?)o).FirstOrDefault();

    internal static string Text(AuditOutcome outcome) => outcome switch
    {
        AuditOutcome.Done => "done",
        AuditOutcome.Refused => "refused",
        AuditOutcome.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "There is no such outcome."),
    };

    static AccessScope Kept(AccessScope scope) => scope.Tenant is not { } tenant ? AccessScope.All
        : scope.Cluster is not { } cluster ? AccessScope.Of(Kept(tenant, LongestName))
        : AccessScope.Of(new ClusterId(Kept(tenant, LongestName), Kept(cluster, LongestName)));

    // What an engine or a reader would not give back as it was is not written: it could be changed unseen. It stays valid JSON.
    static string Kept(string text, int longest)
    {
        var read = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.Length <= longest ? text : $"{text[..(longest - 1)]}…"));
        return read.Replace('\0', '?').Replace('\uFFFD', '?');
    }

    static string Cut(string details) =>
        JsonSerializer.Serialize(new Dictionary<string, string> { ["cut"] = Kept(details, LongestText / 4) });
}
