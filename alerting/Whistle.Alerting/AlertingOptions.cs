using MailKit.Security;

namespace Whistle.Alerting;

/// <summary>When people are called and how they are reached. A channel that is null is not used.</summary>
public sealed record AlertingOptions
{
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

    /// <summary>For the jitter of waits. The process id differs from server to server, which is all that is asked of it.</summary>
    public int Seed { get; init; } = Environment.ProcessId;

    /// <summary>All that is wrong, each with its mend; empty where the options will do.</summary>
    public IReadOnlyList<string> Errors()
    {
        var errors = new List<string>();
        CheckPositive(errors, CriticalDeadline, "critical-deadline");
        CheckPositive(errors, WarningDeadline, "warning-deadline");
        CheckPositive(errors, DigestAfter, "digest-after");
        if (RecoveryPatience < TimeSpan.Zero || JoinInterval < TimeSpan.Zero)
            errors.Add("alerting: recovery-patience and join-interval cannot be negative.");
        if (CriticalDeadline > WarningDeadline)
            errors.Add($"alerting: the critical-deadline {CriticalDeadline} is longer than the warning-deadline {WarningDeadline}. Make it the shorter one.");
        if (Retention < TimeSpan.FromDays(1))
            errors.Add($"alerting: the retention {Retention} is less than a day, within which an outage must fit.");
        errors.AddRange(PagerDuty?.Errors() ?? []);
        errors.AddRange(Mail?.Errors() ?? []);
        return errors;
    }

    static void CheckPositive(List<string> errors, TimeSpan value, string name)
    {
        if (value <= TimeSpan.Zero)
            errors.Add($"alerting: the {name} {value} must be longer than nothing; write it like 00:02:00.");
    }
}

/// <summary>PagerDuty's Events API v2, or what speaks it.</summary>
public sealed record PagerDutyOptions
{
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

    internal IEnumerable<string> Errors()
    {
        if (!Address.IsAbsoluteUri || Address.Scheme is not ("http" or "https"))
            yield return $"pagerduty: the address {Address} is no http or https address. Write it like https://events.pagerduty.com.";
        else if (Address.Scheme == "http" && !Address.IsLoopback)
            yield return $"pagerduty: plain http to {Address.Host} would show the routing key to the network. Use https.";
        if (RoutingKey is null && RoutingKeyFile is null)
            yield return "pagerduty: a routing key is lacking. Name the file that holds it as routing-key-file.";
        else if (RoutingKeyFile is null && RoutingKey!.Length != RoutingKeyLength)
            yield return $"pagerduty: the routing key has {RoutingKey.Length} characters, not {RoutingKeyLength}. Copy the integration key of an Events API v2 integration.";
        if (RoutingKeyFile is not null && !File.Exists(RoutingKeyFile))
            yield return $"pagerduty: the routing-key-file {RoutingKeyFile} does not exist.";
        if (Timeout <= TimeSpan.Zero || Timeout > TimeSpan.FromMinutes(5))
            yield return $"pagerduty: the timeout {Timeout} is not between 0 and 5 min.";
        if (CallsPerMinute is < 1 or > 6000)
            yield return $"pagerduty: {CallsPerMinute} calls a minute are not between 1 and 6000.";
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

    internal IEnumerable<string> Errors()
    {
        if (Host.Length == 0)
            yield return "mail: the host is empty. Name the mail server.";
        if (Port is < 1 or > 65535)
            yield return $"mail: the port {Port} is not between 1 and 65535.";
        if (To.Count == 0)
            yield return "mail: nobody is named in to. Name at least one address.";
        foreach (var address in To.Concat(TicketsTo).Concat(DigestTo).Append(From).Where(a => !IsAddress(a)))
            yield return $"mail: \"{address}\" is no mail address. Write it like ops@example.com.";
        foreach (var error in CredentialErrors())
            yield return error;
        if (Timeout <= TimeSpan.Zero || Timeout > TimeSpan.FromMinutes(5))
            yield return $"mail: the timeout {Timeout} is not between 0 and 5 min.";
    }

    IEnumerable<string> CredentialErrors()
    {
        if (PasswordFile is not null && !File.Exists(PasswordFile))
            yield return $"mail: the password-file {PasswordFile} does not exist.";
        if (User is not null && Password is null && PasswordFile is null)
            yield return $"mail: a password for {User} is lacking. Name the file that holds it as password-file.";
        if (User is not null && Security is MailSecurity.None && Host is not ("localhost" or "127.0.0.1" or "::1"))
            yield return $"mail: without TLS the password would be shown to the network. Use StartTls or Tls with {Host}.";
    }

    static bool IsAddress(string text) => MimeKit.MailboxAddress.TryParse(text, out var address) && address.Address.Contains('@');
}
