using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.Channels;
using Whistle.Alerting.Configuration;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Tickets;
using Whistle.Fixtures;

using Xunit;

namespace Whistle.Tests.Alerting;

/// <summary>What the host relies on, whatever channel it has.</summary>
public sealed class ChannelContractTests
{
    static readonly ComposeContext Context = new(Fleet.Start, "");

    public static TheoryData<string> Sections => [.. AlertingChannels.All.Select(k => k.Section)];

    [Theory]
    [MemberData(nameof(Sections))]
    public void What_is_wrong_with_a_channel_names_keys_of_its_own_section(string section)
    {
        var errors = Options(section).Errors().ToList();
        Assert.NotEmpty(errors);
        Assert.All(errors, e => Assert.StartsWith($"Alerting:{section}:", e.Key, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Sections))]
    public void A_channel_knows_every_event_and_composing_it_again_gives_the_same_keys(string section)
    {
        using var channel = Configured(section).Open(new("https://whistle.example.com"), new FakeTimeProvider(Fleet.Start));
        foreach (var alert in Events())
        {
            var messages = channel.Compose(alert, Context).ToList();
            if (alert is AlertEvent.Paged)
                Assert.NotEmpty(messages);
            var again = channel.Compose(alert, Context with { Now = Fleet.Start.AddHours(1) });
            Assert.Equal(messages.Select(m => (m.Key, m.Action)), again.Select(m => (m.Key, m.Action)));
            Assert.Equal(messages.Count, messages.DistinctBy(m => (m.Key, m.Action)).Count());
        }

        var kinds = typeof(AlertEvent).GetNestedTypes();
        Assert.Equal(kinds.Length, Events().Select(e => e.GetType()).Distinct().Count());
    }

    [Theory]
    [MemberData(nameof(Sections))]
    public void A_file_of_a_secret_that_holds_none_is_an_error_of_its_key(string section)
    {
        var folder = Directory.CreateTempSubdirectory("whistle-channel-").FullName;
        var empty = PrivateText.Write(Path.Combine(folder, "secret"), "");
        var known = new Settings([], []);
        Read(known, section);
        var files = known.Keys($"Alerting:{section}").Where(k => k.EndsWith("File", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(files);
        foreach (var name in files)
        {
            var key = $"Alerting:{section}:{name}";
            var options = Read(new([new SettingsLayer { [key] = new(empty, "here", folder) }], []), section);
            Assert.Contains(options.Errors(), e => e.Key == key && e.Reason.Contains("is empty", StringComparison.Ordinal));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void No_two_channels_have_one_name()
    {
        var names = AlertingChannels.All.Select(k =>
        {
            using var channel = Options(k.Section).Open(null, new FakeTimeProvider());
            return channel.Name;
        }).ToList();
        Assert.Equal(names.Distinct(), names);
    }

    // A channel that writes to nobody composes nothing.
    static ChannelOptions Configured(string section) => Options(section) is MailOptions mail
        ? mail with { Host = "mail.example.com", From = "w@example.com", To = ["ops@example.com", "dev@example.com"] }
        : Options(section);

    // As where nothing of it is configured.
    static ChannelOptions Options(string section) => Read(new([], []), section);

    static ChannelOptions Read(Settings settings, string section) => AlertingChannels.All.Single(k => k.Section == section)
        .Read(settings.Section("").Section("Alerting").Section(section));

    static IEnumerable<AlertEvent> Events()
    {
        var repair = Fleet.Repair(RepairState.GaveUp, Fleet.Start);
        var view = new IncidentView(Fleet.Incident(), [repair]);
        yield return new AlertEvent.Paged(view, new(1, Severity.Error, new PageReason.GaveUp(repair)));
        yield return new AlertEvent.PageResolved(view.Incident, 1);
        yield return new AlertEvent.IncidentClosed(view.Incident, 1, "It cleared without a repair.");
        yield return new AlertEvent.Changed(view, repair);
        yield return new AlertEvent.TicketUpdated(Ticket(), new(1, Fleet.Start, "whistle", TicketEntryKind.Opened, "The repair gave up."));
        yield return new AlertEvent.Digest(7, ["It cleared without a repair."]);
    }

    static Ticket Ticket() => new()
    {
        Id = 1,
        Incident = "i1",
        Tenant = "t",
        Cluster = "c1",
        Title = "/data is filling",
        Severity = "critical",
        State = TicketState.Open,
        OpenedAt = Fleet.Start,
        UpdatedAt = Fleet.Start,
    };
}
