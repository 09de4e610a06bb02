using System.Text.Json.Serialization;

namespace Whistle.Alerting.Deciding;

/// <summary>How bad it is, in rising order.</summary>
[JsonConverter(typeof(SeverityJson))]
enum Severity
{
    [JsonStringEnumMemberName("none")]
    None,

    [JsonStringEnumMemberName("info")]
    Info,

    [JsonStringEnumMemberName("warning")]
    Warning,

    [JsonStringEnumMemberName("error")]
    Error,

    [JsonStringEnumMemberName("critical")]
    Critical,
}

sealed class SeverityJson() : JsonStringEnumConverter<Severity>(namingPolicy: null, allowIntegerValues: false);

static class Severities
{
    /// <summary>Of a label. One that says something else counts as a warning, so that it is not lost.</summary>
    public static Severity Of(string? label) => label switch
    {
        null or "none" => Severity.None,
        "info" => Severity.Info,
        "error" => Severity.Error,
        "critical" => Severity.Critical,
        _ => Severity.Warning,
    };

    public static string Name(this Severity severity) => severity switch
    {
        Severity.None => "none",
        Severity.Info => "info",
        Severity.Warning => "warning",
        Severity.Error => "error",
        Severity.Critical => "critical",
        _ => throw new InvalidOperationException($"{severity} is no severity."),
    };
}
