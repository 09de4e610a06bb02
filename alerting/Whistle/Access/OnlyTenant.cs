namespace Whistle.Access;

/// <summary>Whose something is where no tenant is named: the only one that has it. Among several customers nobody guesses.</summary>
static class OnlyTenant
{
    /// <param name="what">It, in words.</param>
    /// <returns>No tenant where none has it, and where several have it; then also what to say.</returns>
    public static (string? Tenant, string? Several) Of(IEnumerable<string> having, string what)
    {
        SortedSet<string> tenants = new(having, StringComparer.Ordinal);
        return tenants.Count > 1
            ? (null, $"tenant: {string.Join(", ", tenants)} each have {what}. Name one with --tenant.") : (tenants.Min, null);
    }
}
