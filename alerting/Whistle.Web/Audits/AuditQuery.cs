using System.Globalization;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

namespace Whistle.Web.Audits;

/// <summary>What the page of the audit shows; all of it is in the address.</summary>
/// <param name="Who">How the name or the identity of who asked begins; empty: anybody.</param>
/// <param name="What">How the action begins; empty: any.</param>
/// <param name="Outcome"><c>done</c>, <c>refused</c>, <c>failed</c>; empty: any.</param>
/// <param name="Since">One of <see cref="Ranges"/>; empty: all.</param>
/// <param name="Before">Entries with lower numbers; null: the latest.</param>
sealed record AuditQuery(string Who = "", string What = "", string Outcome = "", string Since = "", long? Before = null)
{
    public const int PageSize = 100;

    public static readonly IReadOnlyList<(string Name, string Words, TimeSpan? Range)> Ranges =
    [
        ("", "At any time", null), ("1h", "Last hour", TimeSpan.FromHours(1)), ("24h", "Last 24 hours", TimeSpan.FromHours(24)),
        ("7d", "Last 7 days", TimeSpan.FromDays(7)), ("30d", "Last 30 days", TimeSpan.FromDays(30)),
    ];

    public static readonly IReadOnlyList<(string Name, string Words)> Outcomes =
        [("", "Any outcome"), ("done", "Done"), ("refused", "Refused"), ("failed", "Failed")];

    /// <summary>What cannot be read is as if it was not given.</summary>
    public static AuditQuery Read(string? who, string? what, string? outcome, string? since, long? before) => new(
        who?.Trim() ?? "", what?.Trim() ?? "", Outcomes.Any(o => o.Name == outcome) ? outcome! : "",
        Ranges.Any(r => r.Name == since) ? since! : "", before);

    public bool IsNarrow => this with { Before = null } != new AuditQuery();

    public string Address => Places.Address.With(
        Places.Address.Audit, ("who", Who), ("what", What), ("outcome", Outcome), ("since", Since),
        ("before", Before?.ToString(CultureInfo.InvariantCulture)));

    /// <param name="scopes">Where the viewer may read the audit.</param>
    public AuditFilter ToFilter(DateTimeOffset now, IReadOnlyList<AccessScope> scopes) => new(
        Ranges.First(r => r.Name == Since).Range is { } range ? now - range : null, null, Begins(Who), Begins(What),
        AuditEntry.OutcomeOf(Outcome), scopes, Before);

    static string? Begins(string text) => text.Length == 0 ? null : text.EndsWith('*') ? text : $"{text}*";
}
