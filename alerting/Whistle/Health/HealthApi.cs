using Prometheus;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.State.Health;

namespace Whistle.Health;

/// <param name="State">The worst of all problems; ok where there is none.</param>
/// <param name="Problems">The worst first.</param>
sealed record HealthAnswer(HealthState State, IReadOnlyList<HealthProblem> Problems);

/// <summary>
/// What is wrong with this process: <c>/-/healthy</c> and <c>/-/ready</c> for anybody, who learn nothing but the names of components,
/// <c>/api/whistle/v1/health</c> and <c>whistle_health_problems</c> for those who carry the token.
/// </summary>
static class HealthApi
{
    const string Probe = "Probes and load balancers ask; they learn nothing but whether it is well.";

    public static void Map(WebApplication app, HealthBoard board)
    {
        app.MapGet("/-/healthy", () => "Whistle is healthy.\n").NeedsNobody(Probe);
        // The server listens only once the head is filled.
        app.MapGet("/-/ready", () => Ready(board)).NeedsNobody(Probe);
        WhistleApi.Group(app, "health").MapGet("/health", (Caller caller) => TypedResults.Ok(
            // A problem may name anybody, so whoever does not see all learns that there is one.
            new HealthAnswer(board.State, caller.Rights.SeesAll ? board.Problems() : [])))
            .Needs(Permission.Read).ReadsNoTenant().WithName("getHealth")
            .WithSummary("What is wrong with the server itself: the worst state, and every problem with its reason.");
        Count(app.Services.GetRequiredService<CollectorRegistry>(), board);
    }

    static IResult Ready(HealthBoard board)
    {
        string[] failed = [.. board.Problems().Where(p => p.State is HealthState.Failed).Select(p => p.Component).Distinct()];
        return failed.Length == 0
            ? Results.Text("Whistle is ready.\n")
            : Results.Text(string.Join('\n', failed) + "\n", statusCode: StatusCodes.Status503ServiceUnavailable);
    }

    static void Count(CollectorRegistry registry, HealthBoard board)
    {
        var gauge = Metrics.WithCustomRegistry(registry).CreateGauge(
            "whistle_health_problems", "What is wrong with the server itself, by component and state.", "component", "state");
        registry.AddBeforeCollectCallback(() =>
        {
            // A problem that is over stays as 0, so that its end is seen.
            foreach (var labels in gauge.GetAllLabelValues())
                gauge.WithLabels(labels).Set(0);
            foreach (var problem in board.Problems())
                gauge.WithLabels(problem.Component, problem.State.ToString().ToLowerInvariant()).Inc();
        });
    }
}
