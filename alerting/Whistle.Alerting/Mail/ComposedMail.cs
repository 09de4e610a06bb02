using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Serialization;

namespace Whistle.Alerting.Mail;

/// <summary>One mail to one recipient, as the outbox keeps it: every attempt sends the same, under the same Message-ID.</summary>
sealed record ComposedMail
{
    /// <summary>Without angle brackets, as all ids here.</summary>
    public required string MessageId { get; init; }

    public string? InReplyTo { get; init; }

    public IReadOnlyList<string> References { get; init; } = [];

    public required string From { get; init; }

    public required string To { get; init; }

    public required DateTimeOffset Date { get; init; }

    public required string Subject { get; init; }

    public required string Text { get; init; }

    public required string Html { get; init; }
}

[JsonSerializable(typeof(ComposedMail))]
sealed partial class MailJson : JsonSerializerContext;

/// <summary>
/// The same content as plain text and as HTML. Whatever comes from telemetry is text: it is encoded, and characters that steer a terminal
/// or turn the direction of writing are taken out.
/// </summary>
sealed class MailBody
{
    const int LongestLine = 2000;

    readonly StringBuilder _text = new();
    readonly StringBuilder _html = new();

    public string Text => _text.ToString();

    public string Html =>
        $"<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">{_html}</body></html>";

    public MailBody Paragraph(string text)
    {
        var clean = Clean(text);
        _text.Append(clean).Append("\n\n");
        _html.Append("<p>").Append(WebUtility.HtmlEncode(clean)).Append("</p>");
        return this;
    }

    public MailBody Facts(params ReadOnlySpan<(string Name, string? Value)> facts)
    {
        _html.Append("<table>");
        foreach (var (name, value) in facts)
        {
            if (string.IsNullOrEmpty(value))
                continue;
            var clean = Clean(value);
            _text.Append(name).Append(": ").Append(clean).Append('\n');
            _html.Append("<tr><th align=\"left\">").Append(WebUtility.HtmlEncode(name)).Append("</th><td>")
                .Append(WebUtility.HtmlEncode(clean)).Append("</td></tr>");
        }

        _text.Append('\n');
        _html.Append("</table>");
        return this;
    }

    /// <summary>A list under a heading; nothing where it is empty.</summary>
    public MailBody List(string heading, IReadOnlyCollection<string> items)
    {
        if (items.Count == 0)
            return this;
        _text.Append(heading).Append(":\n");
        _html.Append("<p>").Append(WebUtility.HtmlEncode(heading)).Append(":</p><ul>");
        foreach (var item in items)
        {
            var clean = Clean(item);
            _text.Append("  - ").Append(clean).Append('\n');
            _html.Append("<li>").Append(WebUtility.HtmlEncode(clean)).Append("</li>");
        }

        _text.Append('\n');
        _html.Append("</ul>");
        return this;
    }

    /// <summary>One line without control characters.</summary>
    public static string Clean(string text, int longest = LongestLine)
    {
        var clean = new StringBuilder(Math.Min(text.Length, longest));
        foreach (var rune in text.EnumerateRunes())
        {
            if (clean.Length >= longest)
                return clean.Append('…').ToString();
            var steers = Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
            clean.Append(steers ? " " : rune.ToString());
        }

        return clean.ToString();
    }
}
