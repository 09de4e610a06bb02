using Whistle.Alerting.Channels;
using Whistle.Alerting.Configuration;
using Whistle.Alerting.Deciding;

namespace Whistle.Alerting;

/// <summary>When people are paged, and over which channels.</summary>
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

    /// <summary>All that are used, in the order in which they get their messages.</summary>
    public IReadOnlyList<ChannelOptions> Channels { get; init; } = [];

    /// <summary>False where nobody can be paged.</summary>
    public bool HasChannel => Channels.Count > 0;

    /// <summary>For the jitter of waits. The process id differs from server to server, which is all that is asked of it.</summary>
    public int Seed { get; init; } = Environment.ProcessId;

    internal PagingPolicy Policy => new(CriticalDeadline, WarningDeadline, RecoveryPatience, JoinInterval, HasChannel);

    /// <summary>Reads the section <c>Alerting</c>. A channel is used as soon as one of its keys is given.</summary>
    public static AlertingOptions Read(SettingsSection section)
    {
        var defaults = new AlertingOptions();
        return new()
        {
            CriticalDeadline = section.Duration(nameof(CriticalDeadline)) ?? defaults.CriticalDeadline,
            WarningDeadline = section.Duration(nameof(WarningDeadline)) ?? defaults.WarningDeadline,
            RecoveryPatience = section.Duration(nameof(RecoveryPatience)) ?? defaults.RecoveryPatience,
            JoinInterval = section.Duration(nameof(JoinInterval)) ?? defaults.JoinInterval,
            DigestAfter = section.Duration(nameof(DigestAfter)) ?? defaults.DigestAfter,
            Retention = section.Duration(nameof(Retention)) ?? defaults.Retention,
            Address = section.Address(nameof(Address)),
            Channels = [.. AlertingChannels.All.Select(k => ReadChannel(section.Section(k.Section), k)).OfType<ChannelOptions>()],
        };
    }

    /// <summary>All that is wrong, each with how to fix it; empty where the options are valid.</summary>
    public IReadOnlyList<OptionError> Errors()
    {
        var errors = new List<OptionError>();
        CheckPositive(errors, CriticalDeadline, nameof(CriticalDeadline));
        CheckPositive(errors, WarningDeadline, nameof(WarningDeadline));
        CheckPositive(errors, DigestAfter, nameof(DigestAfter));
        CheckNotNegative(errors, RecoveryPatience, nameof(RecoveryPatience));
        CheckNotNegative(errors, JoinInterval, nameof(JoinInterval));
        if (CriticalDeadline > WarningDeadline)
            errors.Add(new(
                $"{Section}:{nameof(CriticalDeadline)}",
                $"{CriticalDeadline} is longer than the WarningDeadline of {WarningDeadline}. Make it the shorter one."));
        if (Retention < TimeSpan.FromDays(1))
            errors.Add(new(
                $"{Section}:{nameof(Retention)}", $"{Retention} is less than a day, within which an outage must fit. Write it like 30d."));
        if (Address is not null && !OptionError.IsWeb(Address))
            errors.Add(new(
                $"{Section}:{nameof(Address)}",
                $"{Address} is not an http or https address. Write the one that people open, like https://whistle.example.com."));
        errors.AddRange(Channels.SelectMany(c => c.Errors()));
        return errors;
    }

    static ChannelOptions? ReadChannel(SettingsSection section, ChannelKind kind)
    {
        var options = kind.Read(section);
        return section.IsGiven ? options : null;
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
