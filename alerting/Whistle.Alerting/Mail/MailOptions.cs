using MailKit.Security;

using Whistle.Actions.Files;
using Whistle.Alerting.Channels;
using Whistle.Alerting.Configuration;

namespace Whistle.Alerting.Mail;

enum MailSecurity
{
    /// <summary>STARTTLS, or nothing is sent.</summary>
    StartTls,

    /// <summary>TLS from the first byte, usually on port 465.</summary>
    Tls,

    /// <summary>In the clear; only to this machine, or without a password.</summary>
    None,
}

/// <summary>A mail server, and who gets mail from it.</summary>
sealed record MailOptions : ChannelOptions
{
    public required string Host { get; init; }

    public int Port { get; init; } = 587;

    public MailSecurity Security { get; init; } = MailSecurity.StartTls;

    public string? User { get; init; }

    /// <summary>The password itself; <see cref="PasswordFile"/> takes its place where both are given.</summary>
    public string? Password { get; init; }

    /// <summary>Holds the password and nothing else; read again for each connection.</summary>
    public string? PasswordFile { get; init; }

    public required string From { get; init; }

    /// <summary>Who is mailed about pages.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>Who is mailed about tickets; <see cref="To"/> where it is empty.</summary>
    public IReadOnlyList<string> TicketsTo { get; init; } = [];

    /// <summary>Who gets the digest of what needed nobody; <see cref="To"/> where it is empty.</summary>
    public IReadOnlyList<string> DigestTo { get; init; } = [];

    /// <summary>For connecting and for one message, each.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The right side of every Message-ID: the domain of <see cref="From"/>.</summary>
    internal string Domain => From[(From.LastIndexOf('@') + 1)..].TrimEnd('>');

    internal SecureSocketOptions SocketOptions => Security switch
    {
        MailSecurity.StartTls => SecureSocketOptions.StartTls,
        MailSecurity.Tls => SecureSocketOptions.SslOnConnect,
        MailSecurity.None => SecureSocketOptions.None,
        _ => throw new InvalidOperationException($"{Security} is not a mail security."),
    };

    internal override string Label => $"mail over {Host}:{Port}";

    internal static MailOptions Read(SettingsSection section)
    {
        var defaults = new MailOptions { Host = "", From = "", To = [] };
        var (password, passwordFile) = section.Secret(nameof(Password), nameof(PasswordFile));
        return new()
        {
            Host = section.Text(nameof(Host)) ?? defaults.Host,
            Port = section.Number(nameof(Port)) ?? defaults.Port,
            Security = section.Choice<MailSecurity>(nameof(Security)) ?? defaults.Security,
            User = section.Text(nameof(User)),
            Password = password,
            PasswordFile = passwordFile,
            From = section.Text(nameof(From)) ?? defaults.From,
            To = section.Texts(nameof(To)) ?? defaults.To,
            TicketsTo = section.Texts(nameof(TicketsTo)) ?? defaults.TicketsTo,
            DigestTo = section.Texts(nameof(DigestTo)) ?? defaults.DigestTo,
            Timeout = section.Duration(nameof(Timeout)) ?? defaults.Timeout,
        };
    }

    internal override IChannel Open(Uri? server, TimeProvider time) => new MailChannel(this, server, time);

    internal string ReadPassword() => PasswordFile is { } file ? SecretOf(file).Read() : Password ?? "";

    internal override IEnumerable<OptionError> Errors()
    {
        if (Host.Length == 0)
            yield return Error(nameof(Host), "the mail server is missing. Name it, like smtp.example.com.");
        else if (Uri.CheckHostName(Host) is UriHostNameType.Unknown)
            yield return Error(nameof(Host), $"\"{Host}\" is not the name of a host. Write it like smtp.example.com.");
        if (Port is < 1 or > 65535)
            yield return Error(nameof(Port), $"{Port} is not between 1 and 65535. Usual are 587 for StartTls and 465 for Tls.");
        if (!IsAddress(From))
        {
            yield return Error(
                nameof(From), From.Length > 0 ? NoAddress(From) : "the sender is missing. Write it like whistle@example.com.");
        }

        if (To.Count == 0)
            yield return Error(nameof(To), "nobody is named. Name at least one address.");
        foreach (var (key, addresses) in new[] { (nameof(To), To), (nameof(TicketsTo), TicketsTo), (nameof(DigestTo), DigestTo) })
        {
            foreach (var address in addresses.Where(a => !IsAddress(a)))
                yield return Error(key, NoAddress(address));
        }

        foreach (var error in CredentialErrors())
            yield return error;
        if (OptionError.OfTimeout(Timeout) is { } trouble)
            yield return Error(nameof(Timeout), trouble);
    }

    IEnumerable<OptionError> CredentialErrors()
    {
        if (PasswordFile is not null && SecretOf(PasswordFile).Fault() is { } reason)
            yield return Error(nameof(PasswordFile), reason);
        if (User is { Length: 0 })
            yield return Error(nameof(User), "the user is empty. Name the user, or take it out if the server asks for none.");
        if (PasswordFile is null && Password is { Length: 0 })
            yield return Error(nameof(Password), "the password is empty. Name the file that contains it with PasswordFile.");
        if (User is not null && Password is null && PasswordFile is null)
            yield return Error(nameof(PasswordFile), $"the password for {User} is missing. Name the file that contains it.");
        if (User is null && (Password is not null || PasswordFile is not null))
            yield return Error(nameof(User), "there is a password and no user. Name the user whose password it is.");
        if (User is not null && Security is MailSecurity.None && Host is not ("localhost" or "127.0.0.1" or "::1"))
        {
            yield return Error(
                nameof(Security), $"without TLS the password would be shown to the network. Use StartTls or Tls with {Host}.");
        }
    }

    static OptionError Error(string key, string reason) => new($"Alerting:Mail:{key}", reason);

    static SecretFile SecretOf(string path) => new(path, SecretForm.Line("the password"));

    static string NoAddress(string text) => $"\"{text}\" is not a mail address. Write it like ops@example.com.";

    static bool IsAddress(string text) => MimeKit.MailboxAddress.TryParse(text, out var address) && address.Address.Contains('@');
}
