namespace Whistle.Web.Incidents;

/// <summary>What the list of incidents shows; all of it is in the address.</summary>
/// <param name="State"><c>open</c>, which it is unless given, <c>person</c>, <c>closed</c> or <c>all</c>.</param>
/// <param name="Severity">Empty: all.</param>
/// <param name="Page">Counts from 1.</param>
sealed record IncidentFilter(string State = "open", string Severity = "", string Text = "", int Page = 1)
{
    /// <summary>Rows on a page: what a browser renews every two seconds without being felt.</summary>
    public const int PageSize = 100;

    public static readonly IReadOnlyList<(string Name, string Words)> States =
        [("open", "Open"), ("person", "Needs a person"), ("closed", "Closed, last 24 h"), ("all", "All")];

    public static readonly IReadOnlyList<(string Name, string Words)> Severities =
        [("", "Any severity"), ("critical", "Critical"), ("warning", "Warning"), ("info", "Info")];

    /// <summary>What cannot be read is as if it was not given.</summary>
    public static IncidentFilter Read(string? state, string? severity, string? text, int? page) => new(
        States.Any(s => s.Name == state) ? state! : "open", Severities.Any(s => s.Name == severity) ? severity! : "", text ?? "",
        Math.Max(page ?? 1, 1));

    public string Address => Places.Address.With(
        Places.Address.Incidents, ("state", State == "open" ? null : State), ("severity", Severity), ("q", Text),
        ("page", Page > 1 ? Page.ToString() : null));

    public IReadOnlyList<IncidentRow> Of(IReadOnlyList<IncidentRow> rows) => [.. rows.Where(Shows)];

    bool Shows(IncidentRow row) => InState(row) && (Severity.Length == 0 || row.Incident.Severity == Severity) && row.Matches(Text.Trim());

    bool InState(IncidentRow row) => State switch
    {
        "open" => row.Standing is not Standing.Closed,
        "person" => row.Standing is Standing.NeedsPerson or Standing.NeedsApproval,
        "closed" => row.Standing is Standing.Closed,
        _ => true,
    };
}
