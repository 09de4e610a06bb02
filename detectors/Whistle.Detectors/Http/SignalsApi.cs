using System.ComponentModel;
using System.Reflection;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;

namespace Whistle.Detectors.Http;

sealed record SignalsAnswer(string Status, SignalLists Data);

/// <param name="Ended">The latest first; left out unless asked for.</param>
sealed record SignalLists(IReadOnlyList<SignalAnswer> Signals, IReadOnlyList<SignalAnswer>? Ended = null);

/// <summary>A signal as Prometheus writes an alert, with what Prometheus lacks.</summary>
/// <param name="State">pending, firing or unknown.</param>
/// <param name="ActiveAt">Since when its expression holds.</param>
/// <param name="Value">As Go writes a number.</param>
/// <param name="Fingerprint">The same for the same name and labels, in every process and release.</param>
/// <param name="KeepFiringSince">Since when the expression does not hold, while the signal is kept firing.</param>
/// <param name="StateBefore">What an unknown signal was.</param>
/// <param name="End">cleared, gone or withdrawn.</param>
/// <param name="InhibitedBy">
/// What inhibits it, so that it opens no incident, pages nobody and starts no repair; left out if nothing does.
/// </param>
sealed record SignalAnswer(
    IReadOnlyDictionary<string, string> Labels, IReadOnlyDictionary<string, string> Annotations, string State, DateTimeOffset ActiveAt,
    string Value, string Fingerprint, DateTimeOffset? KeepFiringSince = null, DateTimeOffset? FiringSince = null,
    string? StateBefore = null, DateTimeOffset? UnknownSince = null, DateTimeOffset? EndedAt = null, string? End = null,
    InhibitorAnswer? InhibitedBy = null);

/// <summary>The firing signal that inhibits another one.</summary>
public sealed record InhibitorAnswer(string Name, IReadOnlyDictionary<string, string> Labels, string Fingerprint)
{
    public static InhibitorAnswer? Of(Inhibitor? inhibitor) =>
        inhibitor is null ? null : new(
            inhibitor.Name, inhibitor.Labels.ToDictionary(l => l.Name, l => l.Value), inhibitor.Fingerprint.ToString("x16"));
}

/// <summary>As in the file it is from. The labels tenant and cluster are always among those that must be equal.</summary>
sealed record InhibitRuleAnswer(
    string File, IReadOnlyList<string> SourceMatchers, IReadOnlyList<string> TargetMatchers, IReadOnlyList<string> Equal);

/// <summary><c>GET /api/whistle/v1/signals</c> and <c>inhibit-rules</c>.</summary>
static class SignalsApi
{
    public static void Map(IEndpointRouteBuilder routes, RulesHost rules, ISignals signals, TimeProvider time)
    {
        var group = WhistleApi.Group(routes, "signals");
        group.MapGet("/signals", async Task<Results<SignalsResult, BadRequest<ApiError>>> (
            [Description("Lists also what ended within this time, such as 24h; ends are kept for 24 hours.")] string? ended,
            Caller caller, CancellationToken cancellation) =>
        {
            if (ended is null)
                return new SignalsResult(Seen(signals.Signals, caller), null);
            return WhistleApi.Duration(ended) is { } duration
                ? new SignalsResult(
                    Seen(signals.Signals, caller), Seen(await signals.EndedSignalsAsync(time.GetUtcNow() - duration, cancellation), caller))
                : WhistleApi.BadDuration("ended", ended);
        }).WithName("listSignals").WithSummary("What is firing, unknown or pending now, and on request what has ended.")
            .Needs(Permission.Read);
        group.MapGet("/inhibit-rules", () => TypedResults.Ok(rules.Rules.InhibitRules.Select(ToAnswer).ToList()))
            .WithName("listInhibitRules").WithSummary("Which signals inhibit which others: the inhibit rules in force.")
            .Needs(Permission.Read).ReadsNoTenant();
    }

    static List<Signal> Seen(IReadOnlyList<Signal> signals, Caller caller) => [.. signals.Where(s => caller.Sees(ClusterId.Of(s.Labels)))];

    static InhibitRuleAnswer ToAnswer(InhibitRule rule) => new(rule.File, Texts(rule.Source), Texts(rule.Target), rule.Equal);

    static string[] Texts(InhibitSide side) => [.. side.Matchers.Select(m => m.ToString())];
}

/// <summary>
/// Written by the code that writes alerts for Prometheus's API, so that both are the same; <see cref="SignalsAnswer"/> tells its shape.
/// </summary>
sealed class SignalsResult(IReadOnlyList<Signal> active, IReadOnlyList<Signal>? ended) : IResult, IEndpointMetadataProvider
{
    public static void PopulateMetadata(MethodInfo method, EndpointBuilder builder) =>
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(SignalsAnswer), ["application/json"]));

    public Task ExecuteAsync(HttpContext httpContext) => PrometheusApi.SucceedAsync(httpContext, new Answer(json =>
    {
        json.WriteStartObject();
        RulesJson.WriteSignals(json, "signals", active, withInhibitor: true);
        if (ended is not null)
            RulesJson.WriteSignals(json, "ended", ended);
        json.WriteEndObject();
    }));
}
