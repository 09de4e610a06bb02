using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.State;

namespace Whistle.Alerting.Mail;

/// <summary>
/// Writes mails into the outbox: one thread an incident, one a ticket, and the digest. Message-IDs follow from what is told, so that telling
/// it again is the same mail.
/// </summary>
sealed class Letters(MailOptions options, Uri? server)
{
    public const string Channel = "mail";
    const string Action = "mail";
    const int LongestSubject = 200;
    const int MostReferences = 20;
    const int LongestId = 100;

    public async Task PageAsync(StateTransaction transaction, IncidentView view, Decision.Page page, DateTimeOffset now, CancellationToken cancellation)
    {
        var incident = view.Incident;
        var body = new LetterBody()
            .Paragraph(incident.Title)
            .Facts(
                ("Why now", page.Reason), ("Severity", page.Severity), ("Cluster", incident.Cluster), ("Tenant", incident.Tenant), ("About", incident.Subject.ToString()),
                ("Open since", incident.OpenedAt.ToString("u")), ("Incident", incident.Id), ("Whistle", server?.ToString()))
            .List("What is wrong now", [.. incident.Signals.Where(s => !s.IsClear).Select(s => $"{s.Name}{s.Labels.With("alertname", "")} since {s.Since:u}")]);
        foreach (var repair in view.Repairs)
            AddRepair(body, repair);
        var thread = IncidentThread(incident.Id);
        await PostAsync(
            transaction, options.To, incident.Id, $"{thread}.{page.Number}", [.. Enumerable.Range(1, page.Number - 1).Select(n => $"{thread}.{n}")],
            $"[{page.Severity}] {incident.Cluster}: {incident.Title}", body, now, cancellation);
    }

    public async Task ClosedAsync(StateTransaction transaction, IncidentView view, Decision.Announce announce, DateTimeOffset now, CancellationToken cancellation)
    {
        var incident = view.Incident;
        var thread = IncidentThread(incident.Id);
        var body = new LetterBody().Paragraph(announce.Text).Facts(("Incident", incident.Id), ("Closed", incident.ClosedAt?.ToString("u")), ("Whistle", server?.ToString()));
        await PostAsync(
            transaction, options.To, incident.Id, $"{thread}.{announce.Pages}.closed", [.. Enumerable.Range(1, announce.Pages).Select(n => $"{thread}.{n}")],
            $"[closed] {incident.Cluster}: {incident.Title}", body, now, cancellation);
    }

    /// <summary>Tells an entry of a ticket's timeline; the first one opens the thread.</summary>
    public async Task TicketAsync(StateTransaction transaction, Ticket ticket, TicketEntry entry, DateTimeOffset now, CancellationToken cancellation)
    {
        var body = new LetterBody()
            .Paragraph(entry.Text)
            .Facts(
                ("Ticket", $"{ticket.Id}: {ticket.Title}"), ("State", TicketStates.Name(ticket.State)), ("Severity", ticket.Severity), ("Cluster", ticket.Cluster),
                ("Incident", ticket.Incident), ("Whistle", server?.ToString()))
            .List("Largest directories", [.. ticket.LargestDirectories.Select(d => $"{Bytes.Text(d.Bytes)} {d.Path}")]);
        var thread = $"ticket.{ticket.Id}";
        await PostAsync(
            transaction, options.TicketsTo is [] ? options.To : options.TicketsTo, ticket.Incident, $"{thread}.{entry.Number}",
            entry.Number == 1 ? [] : [$"{thread}.1"], $"[ticket {ticket.Id}] {ticket.Cluster}: {ticket.Title}", body, now, cancellation);
    }

    public async Task DigestAsync(StateTransaction transaction, long first, IReadOnlyList<string> lines, DateTimeOffset now, CancellationToken cancellation)
    {
        var body = new LetterBody().Paragraph("This needed nobody.").List("What happened", lines);
        var count = lines.Count == 1 ? "1 incident" : $"{lines.Count} incidents";
        await PostAsync(transaction, options.DigestTo is [] ? options.To : options.DigestTo, null, $"digest.{first}", [], $"[digest] {count} that needed nobody", body, now, cancellation);
    }

    static void AddRepair(LetterBody body, Repair repair) => body
        .Facts(("Repair", $"{repair.Runbook}, {repair.State}: {repair.Summary}"))
        .List("Steps", repair.Steps as IReadOnlyCollection<string>)
        .List("Largest directories", [.. repair.LargestDirectories.Select(d => $"{Bytes.Text(d.Bytes)} {d.Path}")]);

    // One row a recipient, so that one whose mailbox refuses costs the others nothing.
    async Task PostAsync(
        StateTransaction transaction, IReadOnlyList<string> recipients, string? incident, string id, IReadOnlyList<string> before, string subject, LetterBody body, DateTimeOffset now, CancellationToken cancellation)
    {
        // A state that was restored tells other things under the numbers that it has given before, and a mail whose id is known is dropped.
        var suffix = (await Lineage.ReadAsync(transaction.Connection, cancellation)).Suffix;
        string Address(string letter) => $"{letter}{suffix}@{options.Domain}";
        IEnumerable<string> Addresses(string letter) => suffix.Length == 0 ? [Address(letter)] : [$"{letter}@{options.Domain}", Address(letter)];
        var letter = new Letter
        {
            MessageId = Address(id),
            InReplyTo = before.Count == 0 ? null : Address(before[^1]),
            References = [.. before.Take(1).Concat(before.Skip(Math.Max(1, before.Count - MostReferences))).SelectMany(Addresses)],
            From = options.From,
            To = "",
            Date = now,
            Subject = LetterBody.Clean(subject, LongestSubject),
            Text = body.Text,
            Html = body.Html,
        };
        foreach (var to in recipients.Distinct())
        {
            var payload = JsonSerializer.Serialize(letter with { To = to }, LetterJson.Default.Letter);
            await OutboxStore.AddAsync(transaction, Channel, $"{letter.MessageId} {to}", Action, incident, payload, now, cancellation: cancellation);
        }
    }

    // What an id may hold in a Message-ID without quoting; anything else stands as its hash.
    static string IncidentThread(string id) =>
        id.Length <= LongestId && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')
            ? $"incident.{id}"
            : $"incident.{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)))}";
}
