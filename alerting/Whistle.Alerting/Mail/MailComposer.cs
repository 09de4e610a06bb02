using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

using Whistle.Alerting.Channels;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;

namespace Whistle.Alerting.Mail;

/// <summary>
/// Composes mails: one thread an incident, one a ticket, and the digest. A Message-ID follows from what the mail is about, so that
/// composing it again gives the same mail.
/// </summary>
sealed class MailComposer(MailOptions options, Uri? server)
{
    public const string Action = "mail";
    const int LongestSubject = 200;
    const int MostReferences = 20;
    const int LongestId = 100;

    public IEnumerable<OutboxMessage> Compose(AlertEvent alert, ComposeContext context) => alert switch
    {
        AlertEvent.Paged paged => Address(options.To, Page(paged), context),
        AlertEvent.IncidentClosed closed => Address(options.To, Closed(closed), context),
        AlertEvent.TicketUpdated ticket => Address(options.TicketsTo is [] ? options.To : options.TicketsTo, Ticket(ticket), context),
        AlertEvent.Digest digest => Address(options.DigestTo is [] ? options.To : options.DigestTo, Digest(digest), context),
        // One mail says that the incident closed, and repairs stand in it.
        AlertEvent.PageResolved or AlertEvent.Changed => [],
        _ => throw new InvalidOperationException($"{alert} is no event."),
    };

    /// <param name="Id">The left side of its Message-ID.</param>
    /// <param name="Earlier">Those of the mails before it in the thread.</param>
    sealed record Draft(string? Incident, string Id, IReadOnlyList<string> Earlier, string Subject, MailBody Body);

    Draft Page(AlertEvent.Paged paged)
    {
        var (incident, page) = (paged.View.Incident, paged.Page);
        var body = new MailBody()
            .Paragraph(incident.Title)
            .Facts(
                ("Why now", page.Reason.Text), ("Severity", page.Severity.Name()), ("Cluster", incident.Cluster),
                ("Tenant", incident.Tenant), ("About", incident.Subject.ToString()), ("Open since", incident.OpenedAt.ToString("u")),
                ("Incident", incident.Id), Link)
            .List(
                "What is wrong now",
                [.. incident.Signals.Where(s => !s.IsClear).Select(s => $"{s.Name}{s.Labels.With("alertname", "")} since {s.Since:u}")]);
        foreach (var repair in paged.View.Repairs)
            AddRepair(body, repair);
        var thread = IncidentThread(incident.Id);
        return new(
            incident.Id, $"{thread}.{page.Number}", [.. Enumerable.Range(1, page.Number - 1).Select(n => $"{thread}.{n}")],
            $"[{page.Severity.Name()}] {incident.Cluster}: {incident.Title}", body);
    }

    Draft Closed(AlertEvent.IncidentClosed closed)
    {
        var incident = closed.Incident;
        var thread = IncidentThread(incident.Id);
        var body = new MailBody()
            .Paragraph(closed.Text)
            .Facts(("Incident", incident.Id), ("Closed", incident.ClosedAt?.ToString("u")), Link);
        return new(
            incident.Id, $"{thread}.{closed.Pages}.closed", [.. Enumerable.Range(1, closed.Pages).Select(n => $"{thread}.{n}")],
            $"[closed] {incident.Cluster}: {incident.Title}", body);
    }

    // The first entry opens the thread.
    Draft Ticket(AlertEvent.TicketUpdated update)
    {
        var (ticket, entry) = update;
        var body = new MailBody()
            .Paragraph(entry.Text)
            .Facts(
                ("Ticket", $"{ticket.Id}: {ticket.Title}"), ("State", TicketStates.Name(ticket.State)), ("Severity", ticket.Severity),
                ("Cluster", ticket.Cluster), ("Incident", ticket.Incident), Link)
            .List("Largest directories", Sizes(ticket.LargestDirectories));
        var thread = $"ticket.{ticket.Id}";
        return new(
            ticket.Incident, $"{thread}.{entry.Number}", entry.Number == 1 ? [] : [$"{thread}.1"],
            $"[ticket {ticket.Id}] {ticket.Cluster}: {ticket.Title}", body);
    }

    static Draft Digest(AlertEvent.Digest digest)
    {
        var body = new MailBody().Paragraph("This needed nobody.").List("What happened", digest.Lines);
        var count = digest.Lines.Count == 1 ? "1 incident" : $"{digest.Lines.Count} incidents";
        return new(null, $"digest.{digest.First}", [], $"[digest] {count} that needed nobody", body);
    }

    (string Name, string? Value) Link => ("Whistle", server?.ToString());

    static void AddRepair(MailBody body, Repair repair) => body
        .Facts(("Repair", $"{repair.Runbook}, {repair.State}: {repair.Summary}"))
        .List("Steps", repair.Steps as IReadOnlyCollection<string>)
        .List("Largest directories", Sizes(repair.LargestDirectories));

    static IReadOnlyCollection<string> Sizes(IReadOnlyList<DirectorySize> directories) =>
        [.. directories.Select(d => $"{ByteSizes.Text(d.Bytes)} {d.Path}")];

    // One message a recipient, so that a mailbox that refuses does not delay the others.
    IEnumerable<OutboxMessage> Address(IReadOnlyList<string> recipients, Draft draft, ComposeContext context)
    {
        var mail = Mail(draft, context);
        foreach (var to in recipients.Distinct())
        {
            var payload = JsonSerializer.Serialize(mail with { To = to }, MailJson.Default.ComposedMail);
            yield return new($"{mail.MessageId} {to}", Action, draft.Incident, payload);
        }
    }

    ComposedMail Mail(Draft draft, ComposeContext context)
    {
        // A restored state gives its numbers to other things, and a mail whose id is known is dropped.
        var generation = context.Generation;
        string MessageId(string id) => $"{id}{generation}@{options.Domain}";
        IEnumerable<string> MessageIds(string id) => generation.Length == 0 ? [MessageId(id)] : [$"{id}@{options.Domain}", MessageId(id)];
        var earlier = draft.Earlier;
        return new()
        {
            MessageId = MessageId(draft.Id),
            InReplyTo = earlier.Count == 0 ? null : MessageId(earlier[^1]),
            References = [.. earlier.Take(1).Concat(earlier.Skip(Math.Max(1, earlier.Count - MostReferences))).SelectMany(MessageIds)],
            From = options.From,
            To = "",
            Date = context.Now,
            Subject = MailBody.Clean(draft.Subject, LongestSubject),
            Text = draft.Body.Text,
            Html = draft.Body.Html,
        };
    }

    // What an id may hold in a Message-ID without quoting; anything else stands as its hash.
    static string IncidentThread(string id) =>
        id.Length <= LongestId && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
            ? $"incident.{id}"
            : $"incident.{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)))}";
}
