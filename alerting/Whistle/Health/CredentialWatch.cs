using Whistle.Inventory;
using Whistle.State.Health;

namespace Whistle.Health;

/// <summary>Writes down what agents said of themselves, and tells of credentials that should have been renewed by now.</summary>
sealed class CredentialWatch(Credentials credentials, EnrolmentOptions options, HealthBoard health, TimeProvider time)
{
    const string Component = "credentials";
    const int MostNamed = 5;

    static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    DateTimeOffset _lookedAt = DateTimeOffset.MinValue;

    /// <summary>Looks once a minute, however often it is called.</summary>
    public async Task LookAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        if ((now - _lookedAt).Duration() < Every)
            return;
        _lookedAt = now;
        await credentials.Sightings.WriteAsync(cancellation);
        var standing = await credentials.Register.StandingAsync(cancellation);
        // Half of the time that an agent has to renew it is over.
        var late = (await credentials.NodesAsync(cancellation))
            .Where(n => n.EnrolledAt is not null && !standing.IsArchived(n.Id) && n.CredentialEndsAt - now < options.CredentialLife / 6)
            .OrderBy(n => n.CredentialEndsAt).ToList();
        Report(health, "ended", [.. late.Where(n => n.CredentialEndsAt <= now)], "have ended, so that nothing of them is taken. "
            + "Enrol them again, or archive the nodes that are gone");
        Report(health, "ending", [.. late.Where(n => n.CredentialEndsAt > now)], "end soon and were not renewed. "
            + "Look at the agents' logs: an agent must be able to write its token file");
    }

    static void Report(HealthBoard health, string subject, List<KnownNode> nodes, string what)
    {
        if (nodes.Count == 0)
        {
            health.Clear(Component, subject);
            return;
        }

        var more = nodes.Count > MostNamed ? $" and {nodes.Count - MostNamed} more" : "";
        health.Report(Component, subject, HealthState.Warning, $"The credentials of "
            + $"{string.Join(", ", nodes.Take(MostNamed).Select(n => $"{n.Id} ({n.CredentialEndsAt:yyyy-MM-dd HH:mm}Z)"))}{more} {what}.");
    }
}
