using MailKit.Security;

using Whistle.Actions.Files;

namespace Whistle.Alerting;

/// <summary>When people are called and how they are reached. A channel that is null is not used.</summary>
public sealed record AlertingOptions
{
    const string Section = "Alerting";

    /// <summary>How long a critical incident may be open before it pages; what closes before pages nobody.</summary>
    public TimeSpan CriticalDeadline { get; init; } = TimeSpan.FromMinutes(2);

    public TimeSpan WarningDeadline { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a page may wait for an incident whose signals are all clear to close.</summary>
    public TimeSpan RecoveryPatience { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>The shortest time between two pages of one incident for what joins it. A rising severity does not wait.</summary>
    public TimeSpan JoinInterval { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long the oldest line of a digest waits for others.</summary>
    public TimeSpan DigestAfter { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long delivered notifications, decisions and digest lines are kept.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(30);

    /// <summary>The server's own address, for links; none are made without it.</summary>
    public Uri? Address { get; init; }

    public PagerDutyOptions? PagerDuty { get; init; }

    public MailOptions? Mail { get; init; }

    /// <summary>False where nobody can be paged.</summary>
    public bool HasChannel => PagerDuty is not null || Mail is not null;

    /// <summary>For the jitter of waits. The process id differs from server to server, which is all that is asked of it.</summary>
    public int Seed { get; init; } = Environment.ProcessId;

    /// <summary>All that is wrong, each with its mend; empty where the options will do.</summary>
    public IReadOnlyList<OptionError> Errors()
    {
        var errors = new List<OptionError>();
        CheckPositive(errors, CriticalDeadline, nameof(CriticalDeadline));
        CheckPositive(errors, WarningDeadline, nameof(WarningDeadline));
        CheckPositive(errors, DigestAfter, nameof(DigestAfter));
        CheckNotNegative(errors, RecoveryPatience, nameof(RecoveryPatience));
        CheckNotNegative(errors, JoinInterval, nameof(JoinInterval));
        if (CriticalDeadline > WarningDeadline)
            errors.Add(new($"{Section}:{nameof(CriticalDeadline)}", $"{CriticalDeadline} is longer than the WarningDeadline of {WarningDeadline}. Make it the shorter one."));
        if (Retention < TimeSpan.FromDays(1))
            errors.Add(new($"{Section}:{nameof(Retention)}", $"{Retention} is less than a day, within which an outage must fit. Write it like 30d."));
        if (Address is not null && !OptionError.IsWeb(Address))
            errors.Add(new($"{Section}:{nameof(Address)}", $"{Address} is no http or https address. Write the one that people open, like https://whistle.example.com."));
        errors.AddRange(PagerDuty?.Errors() ?? []);
        errors.AddRange(Mail?.Errors() ?? []);
        return errors;
    }

    static void CheckPositive(List<OptionError> errors, TimeSpan value, string name)
    {
        if (value <= TimeSpan.Zero)
            errors.Add(new($"{Section}:{name}", $"{value} must be longer than nothing. Write it like 2m."));
    }

    static void CheckNotNegative(List<OptionError> errors, TimeSpan value, string name)
    {
        if (value < TimeSpan.Zero)
            errors.Add(new($"{Section}:{name}", $"{value} cannot be negative. Write it like 5m, or 0s for no wait."));
    }
}

/// <summary>Why an option will not do, and its mend.</summary>
/// <param name="Key">As in the configuration, such as <c>Alerting:Mail:Port</c>.</param>
public sealed record OptionError(string Key, string Reason)
{
    public override string ToString() => $"{Key}: {Reason}";

    internal static string? OfTimeout(TimeSpan timeout) =>
        timeout <= TimeSpan.Zero || timeout > TimeSpan.FromMinutes(5) ? $"{timeout} is not between 0 and 5 min. Write it like 30s." : null;

    internal static bool IsWeb(Uri address) => address.IsAbsoluteUri && address.Scheme is "http" or "https";

}

/// <summary>What people are told where no notification channel is configured.</summary>
public static class NoChannel
{
    public const string Hint = "No notification channel is configured: nobody is paged.";

    public const string Help = "Set Alerting:PagerDuty or Alerting:Mail in appsettings.json and restart the server (docs/configuration.md).";
}

/// <summary>PagerDuty's Events API v2, or what speaks it.</summary>
public sealed record PagerDutyOptions
{
    const string Section = "Alerting:PagerDuty";
    const int RoutingKeyLength = 32;

    /// <summary>Events go to <c>v2/enqueue</c> and <c>v2/change/enqueue</c> under it.</summary>
    public Uri Address { get; init; } = new("https://events.pagerduty.com");

    /// <summary>The integration key of the service; <see cref="RoutingKeyFile"/> takes its place where both are given.</summary>
    public string? RoutingKey { get; init; }

    /// <summary>Holds the key and nothing else; read anew for each call, so that a mended key is taken at once.</summary>
    public string? RoutingKeyFile { get; init; }

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>PagerDuty takes about 120 calls a minute for one key.</summary>
    public int CallsPerMinute { get; init; } = 120;

    /// <summary>Takes the place of the network; not disposed with the host.</summary>
    public HttpMessageHandler? Handler { get; init; }

    internal static SecretFile KeyFile(string path) => new(path, SecretForm.Line("the routing key", 256));

    static string? FaultOfFile(SecretFile file) => file.Fault() ?? (file.Read().Length is var length and not RoutingKeyLength ? WrongLength(length) : null);

    static string WrongLength(int characters) =>
        $"the key has {characters} characters, not {RoutingKeyLength}. Copy the integration key of an Events API v2 integration.";

    /// <summary>Without the key, which must not get into a log.</summary>
    public override string ToString() => $"PagerDuty at {Address}";

    internal IEnumerable<OptionError> Errors()
    {
        if (!OptionError.IsWeb(Address))
            yield return new($"{Section}:{nameof(Address)}", $"{Address} is no http or https address. Write it like https://events.pagerduty.com.");
        else if (Address.Scheme == "http" && !Address.IsLoopback)
            yield return new($"{Section}:{nameof(Address)}", $"plain http to {Address.Host} would show the routing key to the network. Use https.");
        if (RoutingKey is null && RoutingKeyFile is null)
            yield return new($"{Section}:{nameof(RoutingKeyFile)}", "the routing key is missing. Name the file that contains it.");
        else if (RoutingKeyFile is null && RoutingKey!.Length != RoutingKeyLength)
            yield return new($"{Section}:{nameof(RoutingKey)}", WrongLength(RoutingKey.Length));
        if (RoutingKeyFile is not null && FaultOfFile(KeyFile(RoutingKeyFile)) is { } reason)
            yield return new($"{Section}:{nameof(RoutingKeyFile)}", reason);
        if (OptionError.OfTimeout(Timeout) is { } trouble)
            yield return new($"{Section}:{nameof(Timeout)}", trouble);
        if (CallsPerMinute is < 1 or > 6000)
            yield return new($"{Section}:{nameof(CallsPerMinute)}", $"{CallsPerMinute} is not between 1 and 6000. PagerDuty takes about 120 for one key.");
    }
}

public enum MailSecurity
{
    /// <summary>STARTTLS, or nothing is sent.</summary>
    StartTls,

    /// <summary>TLS from the first byte, usually on port 465.</summary>
    Tls,

    /// <summary>In the clear; only to this machine, or without a password.</summary>
    None,
}

/// <summary>A mail server and who hears from it.</summary>
public sealed record MailOptions
{
    const string Section = "Alerting:Mail";

    public required string Host { get; init; }

    public int Port { get; init; } = 587;

    public MailSecurity Security { get; init; } = MailSecurity.StartTls;

    public string? User { get; init; }

    /// <summary>The password itself; <see cref="PasswordFile"/> takes its place where both are given.</summary>
    public string? Password { get; init; }

    /// <summary>Holds the password and nothing else; read anew for each connection.</summary>
    public string? PasswordFile { get; init; }

    public required string From { get; init; }

    /// <summary>Who hears of pages.</summary>
    public required IReadOnlyList<string> To { get; init; }

    /// <summary>Who hears of tickets; <see cref="To"/> where it is empty.</summary>
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
        _ => throw new InvalidOperationException($"{Security} is no mail security."),
    };

    internal static SecretFile SecretOf(string path) => new(path, SecretForm.Line("the password"));

    /// <summary>Without the password, which must not get into a log.</summary>
    public override string ToString() => $"mail over {Host}:{Port}";

    internal IEnumerable<OptionError> Errors()
    {
        if (Host.Length == 0)
            yield return new($"{Section}:{nameof(Host)}", "the mail server is missing. Name it, like smtp.example.com.");
        if (Port is < 1 or > 65535)
            yield return new($"{Section}:{nameof(Port)}", $"{Port} is not between 1 and 65535. Usual are 587 for StartTls and 465 for Tls.");
        if (!IsAddress(From))
            yield return new($"{Section}:{nameof(From)}", From.Length == 0 ? "the sender is missing. Write it like whistle@example.com." : NoAddress(From));
        if (To.Count == 0)
            yield return new($"{Section}:{nameof(To)}", "nobody is named. Name at least one address.");
        foreach (var (key, addresses) in new[] { (nameof(To), To), (nameof(TicketsTo), TicketsTo), (nameof(DigestTo), DigestTo) })
        {
            foreach (var address in addresses.Where(a => !IsAddress(a)))
                yield return new($"{Section}:{key}", NoAddress(address));
        }

        foreach (var error in CredentialErrors())
            yield return error;
        if (OptionError.OfTimeout(Timeout) is { } trouble)
            yield return new($"{Section}:{nameof(Timeout)}", trouble);
    }

    IEnumerable<OptionError> CredentialErrors()
    {
        if (PasswordFile is not null && SecretOf(PasswordFile).Fault() is { } reason)
            yield return new($"{Section}:{nameof(PasswordFile)}", reason);
        if (User is not null && Password is null && PasswordFile is null)
            yield return new($"{Section}:{nameof(PasswordFile)}", $"the password for {User} is missing. Name the file that contains it.");
        if (User is null && (Password is not null || PasswordFile is not null))
            yield return new($"{Section}:{nameof(User)}", "there is a password and no user. Name the user whose password it is.");
        if (User is not null && Security is MailSecurity.None && Host is not ("localhost" or "127.0.0.1" or "::1"))
            yield return new($"{Section}:{nameof(Security)}", $"without TLS the password would be shown to the network. Use StartTls or Tls with {Host}.");
    }

    static string NoAddress(string text) => $"\"{text}\" is no mail address. Write it like ops@example.com.";

    static bool IsAddress(string text) => MimeKit.MailboxAddress.TryParse(text, out var address) && address.Address.Contains('@');
}
