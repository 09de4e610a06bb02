using Whistle.Actions.Files;
using Whistle.Alerting.Channels;
using Whistle.Alerting.Configuration;

namespace Whistle.Alerting.PagerDuty;

/// <summary>PagerDuty's Events API v2, or what speaks it.</summary>
public sealed record PagerDutyOptions : ChannelOptions
{
    const int RoutingKeyLength = 32;

    /// <summary>Events go to <c>v2/enqueue</c> and <c>v2/change/enqueue</c> under it.</summary>
    public Uri Address { get; init; } = new("https://events.pagerduty.com");

    /// <summary>The integration key of the service; <see cref="RoutingKeyFile"/> takes its place where both are given.</summary>
    public string? RoutingKey { get; init; }

    /// <summary>Holds the key and nothing else; read again for each call, so that a corrected key is used at once.</summary>
    public string? RoutingKeyFile { get; init; }

    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>PagerDuty takes about 120 calls a minute for one key.</summary>
    public int CallsPerMinute { get; init; } = 120;

    /// <summary>Takes the place of the network; not disposed with the channel.</summary>
    public HttpMessageHandler? Handler { get; init; }

    internal override string Label => $"PagerDuty at {Address}";

    internal static PagerDutyOptions Read(SettingsSection section)
    {
        var defaults = new PagerDutyOptions();
        var (key, keyFile) = section.Secret(nameof(RoutingKey), nameof(RoutingKeyFile));
        return new()
        {
            Address = section.Address(nameof(Address)) ?? defaults.Address,
            RoutingKey = key,
            RoutingKeyFile = keyFile,
            Timeout = section.Duration(nameof(Timeout)) ?? defaults.Timeout,
            CallsPerMinute = section.Number(nameof(CallsPerMinute)) ?? defaults.CallsPerMinute,
        };
    }

    internal override IChannel Open(Uri? server, TimeProvider time) => new PagerDutyChannel(this, server, time);

    /// <exception cref="IOException">The file cannot be read, or what it holds is no key: a rotation may be under way.</exception>
    internal string ReadKey()
    {
        var key = RoutingKeyFile is { } file ? KeyFile(file).Read() : RoutingKey ?? "";
        return Fault(key) is { } reason ? throw new IOException(reason) : key;
    }

    internal override IEnumerable<OptionError> Errors()
    {
        if (!OptionError.IsWeb(Address))
            yield return Error(nameof(Address), $"{Address} is not an http or https address. Write it like https://events.pagerduty.com.");
        else if (Address.Scheme == "http" && !Address.IsLoopback)
            yield return Error(nameof(Address), $"plain http to {Address.Host} would show the routing key to the network. Use https.");
        if (RoutingKey is null && RoutingKeyFile is null)
            yield return Error(nameof(RoutingKeyFile), "the routing key is missing. Name the file that contains it.");
        else if (RoutingKeyFile is null && Fault(RoutingKey!) is { } fault)
            yield return Error(nameof(RoutingKey), fault);
        if (RoutingKeyFile is not null && FaultOfFile(KeyFile(RoutingKeyFile)) is { } reason)
            yield return Error(nameof(RoutingKeyFile), reason);
        if (OptionError.OfTimeout(Timeout) is { } trouble)
            yield return Error(nameof(Timeout), trouble);
        if (CallsPerMinute is < 1 or > 6000)
        {
            yield return Error(
                nameof(CallsPerMinute), $"{CallsPerMinute} is not between 1 and 6000. PagerDuty takes about 120 for one key.");
        }
    }

    static OptionError Error(string key, string reason) => new($"Alerting:PagerDuty:{key}", reason);

    static SecretFile KeyFile(string path) => new(path, SecretForm.Line("the routing key", 256));

    static string? FaultOfFile(SecretFile file) =>
        file.Fault() ?? Fault(file.Read());

    static string? Fault(string key) => key.Length != RoutingKeyLength
        ? $"the key has {key.Length} characters, not {RoutingKeyLength}. Copy the integration key of an Events API v2 integration."
        : key.All(c => c is > ' ' and <= '~') ? null
        : "the key has spaces or other characters that no key has. Copy the integration key of an Events API v2 integration.";
}
