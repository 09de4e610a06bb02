using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Alerting.Channels;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Incidents;

namespace Whistle.Alerting.PagerDuty;

/// <summary>
/// Messages for PagerDuty's Events API v2, within its limits: summary 1024 characters, dedup_key 255, body 512 KB. The routing key is a
/// secret and is added when they are sent.
/// </summary>
static class PagerDutyEvent
{
    public const string Trigger = "trigger";
    public const string Resolve = "resolve";
    public const string Change = "change";

    const int LongestSummary = 1024;
    const int LongestKey = 255;
    const int LongestText = 1024;

    // With six bytes for an escaped character these lists stay far below the body's limit.
    const int MostItems = 20;

    /// <summary><c>incident/n</c>; a longer incident id is replaced by its SHA-256.</summary>
    public static string DedupKey(string incident, int number)
    {
        var key = $"{incident}/{number}";
        return key.Length <= LongestKey ? key : $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(incident)))}/{number}";
    }

    public static OutboxMessage Triggered(AlertEvent.Paged paged, Uri? server, DateTimeOffset now)
    {
        var (view, page) = paged;
        var incident = view.Incident;
        var body = new EventBody
        {
            EventAction = Trigger,
            DedupKey = DedupKey(incident.Id, page.Number),
            Client = "Whistle",
            ClientUrl = server?.ToString(),
            Payload = new EventPayload
            {
                Summary = Cut($"[{incident.Cluster}] {incident.Title}: {page.Reason.Text}", LongestSummary),
                Source = Cut(Source(incident), LongestText),
                Severity = SeverityOf(page.Severity),
                Timestamp = now,
                Component = incident.Subject.Count > 0 ? Cut(incident.Subject.ToString(), LongestText) : null,
                Group = Cut(incident.Cluster, LongestText),
                Class = incident.Signals.Count > 0 ? Cut(incident.Signals[0].Name, LongestText) : null,
                CustomDetails = Details(view, page),
            },
        };
        return new(body.DedupKey, Trigger, incident.Id, JsonSerializer.Serialize(body, PagerDutyJson.Default.EventBody));
    }

    public static OutboxMessage Resolved(AlertEvent.PageResolved resolved)
    {
        var body = new EventBody { EventAction = Resolve, DedupKey = DedupKey(resolved.Incident.Id, resolved.Number) };
        var payload = JsonSerializer.Serialize(body, PagerDutyJson.Default.EventBody);
        return new(body.DedupKey, Resolve, resolved.Incident.Id, payload, Ends: Trigger);
    }

    public static OutboxMessage Changed(AlertEvent.Changed changed)
    {
        var (view, repair) = changed;
        var details = new Dictionary<string, string>
        {
            ["incident"] = Cut(view.Incident.Title, LongestText),
            // A change has no dedup_key; by this a reader knows one that came twice.
            ["run"] = Cut(repair.Id, LongestText),
            ["runbook"] = Cut(repair.Runbook, LongestText),
            ["result"] = repair.State.ToString(),
        };
        Add(details, "step", repair.Steps);
        var body = new ChangeBody
        {
            Payload = new ChangePayload
            {
                Summary = Cut($"[{view.Incident.Cluster}] {repair.Runbook}: {repair.Summary}", LongestSummary),
                Source = Cut(Source(view.Incident), LongestText),
                Timestamp = repair.EndedAt ?? repair.StartedAt,
                CustomDetails = details,
            },
        };
        return new(repair.Id, Change, view.Incident.Id, JsonSerializer.Serialize(body, PagerDutyJson.Default.ChangeBody));
    }

    // PagerDuty knows these four.
    static string SeverityOf(Severity severity) => severity switch
    {
        Severity.Critical => "critical",
        Severity.Error => "error",
        Severity.Warning => "warning",
        Severity.Info or Severity.None => "info",
        _ => throw new InvalidOperationException($"{severity} is no severity."),
    };

    static Dictionary<string, string> Details(IncidentView view, Decision.Page page)
    {
        var incident = view.Incident;
        var details = new Dictionary<string, string>
        {
            ["incident"] = Cut(incident.Id, LongestText),
            ["reason"] = Cut(page.Reason.Text, LongestText),
            ["opened"] = incident.OpenedAt.ToString("u"),
            ["tenant"] = Cut(incident.Tenant, LongestText),
        };
        Add(details, "signal", incident.Signals.Where(s => !s.IsClear).Select(s => $"{s.Name}{s.Labels.With("alertname", "")}"));
        if (view.Repairs is [.., var repair])
        {
            details["repair"] = Cut($"{repair.Runbook}, {repair.State}: {repair.Summary}", LongestText);
            Add(details, "largest directory", repair.LargestDirectories.Select(d => $"{ByteSizes.Text(d.Bytes)} {d.Path}"));
        }

        return details;
    }

    static void Add(Dictionary<string, string> details, string name, IEnumerable<string> values)
    {
        foreach (var (index, value) in values.Take(MostItems).Index())
            details[$"{name} {index + 1}"] = Cut(value, LongestText);
    }

    static string Source(Incident incident) => incident.Subject["node"] is { Length: > 0 } node ? node : incident.Cluster;

    static string Cut(string text, int length)
    {
        if (text.Length <= length)
            return text;
        var end = length - 1;
        return string.Concat(text.AsSpan(0, char.IsHighSurrogate(text[end - 1]) ? end - 1 : end), "…");
    }
}

sealed record EventBody
{
    public required string EventAction { get; init; }

    public required string DedupKey { get; init; }

    public EventPayload? Payload { get; init; }

    public string? Client { get; init; }

    public string? ClientUrl { get; init; }
}

sealed record EventPayload
{
    public required string Summary { get; init; }

    public required string Source { get; init; }

    public required string Severity { get; init; }

    public required DateTimeOffset Timestamp { get; init; }

    public string? Component { get; init; }

    public string? Group { get; init; }

    public string? Class { get; init; }

    public required Dictionary<string, string> CustomDetails { get; init; }
}

sealed record ChangeBody
{
    public required ChangePayload Payload { get; init; }
}

sealed record ChangePayload
{
    public required string Summary { get; init; }

    public required string Source { get; init; }

    public required DateTimeOffset Timestamp { get; init; }

    public required Dictionary<string, string> CustomDetails { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(EventBody))]
[JsonSerializable(typeof(ChangeBody))]
sealed partial class PagerDutyJson : JsonSerializerContext;
