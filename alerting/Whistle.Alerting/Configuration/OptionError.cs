namespace Whistle.Alerting.Configuration;

/// <summary>Why an option is not valid, and how to fix it.</summary>
/// <param name="Key">As in the configuration, such as <c>Alerting:Mail:Port</c>.</param>
public sealed record OptionError(string Key, string Reason)
{
    public override string ToString() => $"{Key}: {Reason}";

    internal static string? OfTimeout(TimeSpan timeout) =>
        timeout <= TimeSpan.Zero || timeout > TimeSpan.FromMinutes(5) ? $"{timeout} is not between 0 and 5 min. Write it like 30s." : null;

    internal static bool IsWeb(Uri address) => address.IsAbsoluteUri && address.Scheme is "http" or "https";
}
