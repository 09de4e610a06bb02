using Whistle.Web.Parts;

namespace Whistle.Web.Incidents;

/// <summary>How an incident stands, in the words and shapes that people see.</summary>
static class StandingWords
{
    public static (BadgeKind Kind, string Text) Of(Standing standing) => standing switch
    {
        Standing.NeedsPerson => (BadgeKind.Person, "needs a person"),
        Standing.NeedsApproval => (BadgeKind.Person, "needs approval"),
        Standing.HeldBack => (BadgeKind.Waiting, "held back"),
        Standing.Inhibited => (BadgeKind.Waiting, "inhibited"),
        Standing.Watched => (BadgeKind.Info, "watched"),
        Standing.Repairing => (BadgeKind.Working, "repairing"),
        Standing.Recovering => (BadgeKind.Working, "recovering"),
        Standing.Closed => (BadgeKind.Ok, "closed"),
        _ => throw new InvalidOperationException($"Unknown standing {standing}."),
    };
}
