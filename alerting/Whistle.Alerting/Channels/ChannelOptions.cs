using Whistle.Alerting.Configuration;

namespace Whistle.Alerting.Channels;

/// <summary>How a channel is configured.</summary>
public abstract record ChannelOptions
{
    /// <summary>What the server says of the channel when it starts. Without secrets: options get into logs.</summary>
    internal abstract string Label { get; }

    public sealed override string ToString() => Label;

    /// <summary>All that is wrong, each with how to fix it; empty where the options are valid.</summary>
    internal abstract IEnumerable<OptionError> Errors();

    /// <param name="server">The server's own address, for links; null where none is configured.</param>
    internal abstract IChannel Open(Uri? server, TimeProvider time);
}

/// <summary>A kind of channel that can be configured.</summary>
/// <param name="Section">Its section under <c>Alerting</c>.</param>
/// <param name="Read">Reads all its keys. Called also where the section is empty, so that the keys are known.</param>
sealed record ChannelKind(string Section, Func<SettingsSection, ChannelOptions> Read);
