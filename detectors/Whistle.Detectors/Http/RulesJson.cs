using System.Text.Json;

using Whistle.Detectors.Evaluation;
using Whistle.Detectors.Reading;
using Whistle.Detectors.Rules;
using Whistle.Detectors.Signals;
using Whistle.Detectors.Templates;
using Whistle.Inventory.Access;

namespace Whistle.Detectors.Http;

/// <summary>
/// Rules and alerts as Prometheus writes them. Extensions: the state <c>unknown</c>, and on an alert <c>fingerprint</c>,
/// <c>firingSince</c>, <c>stateBefore</c> and <c>unknownSince</c>; on one that ended, <c>endedAt</c> and <c>end</c>.
/// </summary>
static class RulesJson
{
    // It may name the series of anybody.
    const string ErrorOfOthers = "The rule failed. Whoever sees all tenants sees why.";

    public static void WriteGroups(
        Utf8JsonWriter json, IReadOnlyList<GroupState> groups, ISignals signals, RuleFilter filter, Rights rights)
    {
        var ofRule = signals.Signals.Where(s => rights.Sees(s.Labels)).ToLookup(s => s.Rule);
        json.WriteStartObject();
        json.WriteStartArray("groups");
        foreach (var group in groups.Where(g => filter.Selects(g.Group)))
        {
            List<RuleState> rules = [.. group.Rules.Where(r => filter.Selects(r.Rule))];
            if (rules.Count == 0)
                continue;
            json.WriteStartObject();
            json.WriteString("name", group.Group.Name);
            json.WriteString("file", group.Group.File);
            json.WriteStartArray("rules");
            foreach (var rule in rules)
                WriteRule(json, rule, [.. ofRule[rule.Key]], filter.ExcludesAlerts, rights);
            json.WriteEndArray();
            json.WriteNumber("interval", group.Group.Interval.TotalSeconds);
            json.WriteNumber("limit", group.Group.Limit);
            json.WriteNumber("evaluationTime", group.LastDuration.TotalSeconds);
            json.WriteString("lastEvaluation", Instant(group.Rules.Max(r => r.Report.At)));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void WriteAlerts(Utf8JsonWriter json, IEnumerable<Signal> signals)
    {
        json.WriteStartObject();
        WriteSignals(json, "alerts", signals);
        json.WriteEndObject();
    }

    /// <param name="withInhibitor">Adds what inhibits a signal, which Prometheus leaves to Alertmanager.</param>
    public static void WriteSignals(Utf8JsonWriter json, string property, IEnumerable<Signal> signals, bool withInhibitor = false)
    {
        json.WriteStartArray(property);
        foreach (var signal in signals)
            WriteAlert(json, signal, withInhibitor ? signal.InhibitedBy : null);
        json.WriteEndArray();
    }

    static void WriteRule(Utf8JsonWriter json, RuleState state, IReadOnlyList<Signal> signals, bool excludesAlerts, Rights rights)
    {
        var report = state.Report;
        json.WriteStartObject();
        if (state.Rule is AlertRule alert)
            WriteAlertRule(json, alert, signals, excludesAlerts);
        json.WriteString("name", state.Rule.Name);
        json.WriteString("query", state.Rule.Expression.Text);
        WriteTexts(json, "labels", state.Rule.Labels);
        json.WriteString("health", report.At is null ? "unknown" : report.Error is null ? "ok" : "err");
        if (report.Error is not null)
            json.WriteString("lastError", rights.SeesAll ? report.Error : ErrorOfOthers);
        json.WriteNumber("evaluationTime", report.Duration.TotalSeconds);
        json.WriteString("lastEvaluation", Instant(report.At));
        json.WriteString("type", state.Rule is AlertRule ? "alerting" : "recording");
        json.WriteEndObject();
    }

    static void WriteAlertRule(Utf8JsonWriter json, AlertRule alert, IReadOnlyList<Signal> signals, bool excludesAlerts)
    {
        json.WriteString("state", StateOf(signals));
        json.WriteNumber("duration", alert.For.TotalSeconds);
        json.WriteNumber("keepFiringFor", alert.KeepFiringFor.TotalSeconds);
        WriteTexts(json, "annotations", alert.Annotations);
        if (excludesAlerts)
            json.WriteNull("alerts");
        else
            WriteSignals(json, "alerts", signals);
    }

    static void WriteAlert(Utf8JsonWriter json, Signal signal, Inhibitor? inhibitedBy)
    {
        var condition = signal.Condition;
        json.WriteStartObject();
        PrometheusJson.WriteLabels(json, "labels", signal.Labels);
        PrometheusJson.WriteLabels(json, "annotations", signal.Annotations);
        json.WriteString("state", Name(signal.State));
        json.WriteString("activeAt", Instant(condition.ActiveAt));
        if (condition.KeepSince is { } keep)
            json.WriteString("keepFiringSince", Instant(keep));
        json.WriteString("value", GoNumbers.ShortestExponent(signal.Value));
        json.WriteString("fingerprint", signal.Fingerprint.ToString("x16"));
        if (condition.FiringSince is { } firing)
            json.WriteString("firingSince", Instant(firing));
        if (condition.UnknownSince is { } unknown)
        {
            json.WriteString("stateBefore", Name(condition.Before));
            json.WriteString("unknownSince", Instant(unknown));
        }

        if (condition is { EndedAt: { } ended, Reason: { } reason })
        {
            json.WriteString("endedAt", Instant(ended));
            json.WriteString("end", reason.ToString().ToLowerInvariant());
        }

        if (inhibitedBy is not null)
        {
            json.WriteStartObject("inhibitedBy");
            json.WriteString("name", inhibitedBy.Name);
            PrometheusJson.WriteLabels(json, "labels", inhibitedBy.Labels);
            json.WriteString("fingerprint", inhibitedBy.Fingerprint.ToString("x16"));
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    static void WriteTexts(Utf8JsonWriter json, string property, IReadOnlyList<TemplatedText> texts)
    {
        json.WriteStartObject(property);
        foreach (var text in texts)
            json.WriteString(text.Name, text.Text);
        json.WriteEndObject();
    }

    static string StateOf(IReadOnlyList<Signal> signals)
    {
        SignalState[] order = [SignalState.Firing, SignalState.Unknown, SignalState.Pending];
        foreach (var state in order.Where(s => signals.Any(x => x.State == s)))
            return Name(state);
        return "inactive";
    }

    static string Name(SignalState state) => state.ToString().ToLowerInvariant();

    // Prometheus writes year 1 for "never".
    static string Instant(DateTimeOffset? instant) =>
        (instant ?? DateTimeOffset.MinValue).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'");
}
