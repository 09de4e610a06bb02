using System.Net.Sockets;
using System.Text.Json;

using MailKit;
using MailKit.Net.Smtp;
using MailKit.Security;

using MimeKit;

using Whistle.Alerting.Channels;
using Whistle.Alerting.Outbox;

namespace Whistle.Alerting.Mail;

/// <summary>
/// Hands mails to an SMTP server. A refusal of the message (5xx) is final, a delay of it (4xx) concerns it alone; everything that concerns
/// the server, its certificate or the account is tried again, as people fix that.
/// </summary>
sealed class MailChannel(MailOptions options, Uri? server, TimeProvider time) : IChannel
{
    const int AuthenticationRequired = 530;
    const int AuthenticationInvalid = 535;
    const int ServiceNotAvailable = 421;
    const int TooLarge = 552;

    readonly MailComposer _composer = new(options, server);

    public string Name => "mail";

    public int CallsPerMinute => 120;

    public bool SendsDigests => true;

    public IEnumerable<OutboxMessage> Compose(AlertEvent alert, ComposeContext context) => _composer.Compose(alert, context);

    public async Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation)
    {
        if (row.Action != MailComposer.Action)
            return new Delivery.Final($"There is no action \"{row.Action}\" of mail; the row in the outbox is damaged.");
        if (Read(row.Payload) is not { } composed)
            return new Delivery.Final("What was to be sent cannot be read, so the row in the outbox is damaged.");
        using var message = Message(composed);
        using var patience = new CancellationTokenSource(options.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        try
        {
            using var client = new SmtpClient();
            if (await ConnectAsync(client, either.Token) is { } trouble)
                return trouble;
            await client.SendAsync(message, either.Token);
            await QuitAsync(client, either.Token);
            return new Delivery.Delivered();
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return new Delivery.Retryable($"{options.Host}:{options.Port} did not finish within {options.Timeout.TotalSeconds} s.");
        }
        catch (SmtpCommandException e)
        {
            return Judge(e);
        }
        catch (Exception e) when (IsTrouble(e))
        {
            return new Delivery.Retryable($"{options.Host}:{options.Port}: {e.Message}");
        }
    }

    public void Dispose()
    {
        // A connection lives for one message.
    }

    // Null where it is damaged.
    static ComposedMail? Read(string payload)
    {
        try
        {
            return JsonSerializer.Deserialize(payload, MailJson.Default.ComposedMail);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Before a message is offered nothing that goes wrong is its fault.
    async Task<Delivery?> ConnectAsync(SmtpClient client, CancellationToken cancellation)
    {
        try
        {
            await client.ConnectAsync(options.Host, options.Port, options.SocketOptions, cancellation);
            if (options.User is { } user)
                await client.AuthenticateAsync(user, options.ReadPassword(), cancellation);
            return null;
        }
        catch (Exception e) when (e is SmtpCommandException or UnauthorizedAccessException || IsTrouble(e))
        {
            return new Delivery.Retryable($"{options.Host}:{options.Port}: {e.Message}", NotAccepted: true);
        }
    }

    // The message is accepted by now: whatever happens here would only send it twice.
    static async Task QuitAsync(SmtpClient client, CancellationToken cancellation)
    {
        try
        {
            await client.DisconnectAsync(quit: true, cancellation);
        }
        catch (Exception e) when (e is OperationCanceledException or SmtpCommandException || IsTrouble(e))
        {
            // The server need not hear it.
        }
    }

    Delivery Judge(SmtpCommandException e)
    {
        var code = (int)e.StatusCode;
        var reason = $"{options.Host}:{options.Port} answered {code} {e.Message}";
        return code switch
        {
            AuthenticationRequired or AuthenticationInvalid or ServiceNotAvailable => new Delivery.Retryable(reason, NotAccepted: true),
            >= 400 and < 500 => new Delivery.Retryable(reason, NotAccepted: true, OnlyThis: true, Answered: true),
            >= 500 when code is TooLarge || e.ErrorCode is not SmtpErrorCode.SenderNotAccepted => new Delivery.Final(reason),
            _ => new Delivery.Retryable(reason, NotAccepted: true, Answered: true),
        };
    }

    static bool IsTrouble(Exception e) =>
        e is SocketException or IOException or ProtocolException or SslHandshakeException or AuthenticationException
            or ServiceNotConnectedException or ServiceNotAuthenticatedException or NotSupportedException;

    static MimeMessage Message(ComposedMail mail)
    {
        var message = new MimeMessage
        {
            MessageId = mail.MessageId,
            Date = mail.Date,
            Subject = mail.Subject,
            InReplyTo = mail.InReplyTo,
            Body = new BodyBuilder { TextBody = mail.Text, HtmlBody = mail.Html }.ToMessageBody(),
        };
        message.From.Add(MailboxAddress.Parse(mail.From));
        message.To.Add(MailboxAddress.Parse(mail.To));
        foreach (var reference in mail.References)
            message.References.Add(reference);
        message.Headers.Add("Auto-Submitted", "auto-generated");
        return message;
    }
}
