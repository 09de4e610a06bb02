using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.PagerDuty;
using Whistle.Incidents;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>An hour without PagerDuty and mail, on a fake clock, with a real mail server and a real HTTP endpoint.</summary>
public sealed class OutageTests : IDisposable
{
    const int Count = 150;
    const int CallsPerMinute = 120;
    static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("whistle");
    readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
    readonly StateDatabase _database;
    readonly List<IncidentView> _views = [];

    public OutageTests()
    {
        _database = new StateDatabase(Path.Combine(_folder.FullName, "state.sqlite"));
        for (var i = 0; i < Count; i++)
            _views.Add(new(Critical($"i{i:000}"), []));
    }

    public void Dispose()
    {
        _database.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory(Timeout = 300_000)]
    [InlineData("gone")]
    [InlineData("errors")]
    [InlineData("hanging")]
    public async Task An_hour_of_outage_loses_nothing_is_not_hammered_at_and_its_end_brings_no_storm(string how)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var pagerDuty = await PagerDutyServer.StartAsync(cancellation);
        var (smtpPort, smtp) = (ChildProcess.FreePort(), (SmtpServer?)null);
        if (how != "gone")
            smtp = await SmtpServer.StartAsync(cancellation, port: smtpPort);
        if (smtp is not null)
            smtp.Mood = how == "errors" ? SmtpMood.Later : SmtpMood.Silent;
        pagerDuty.Mood = how switch { "gone" => PagerDutyMood.Aborts, "errors" => PagerDutyMood.Broken, _ => PagerDutyMood.Silent };
        using var host = Host(pagerDuty.Address, smtpPort);
        for (var end = _time.GetUtcNow().AddHours(1); _time.GetUtcNow() < end;)
            await PassAsync(host, 30 * Second, cancellation);

        var tried = pagerDuty.Events.Count;
        Assert.InRange(tried, 10, 60);
        Assert.Equal(2 * Count, (await host.NotificationsAsync(
            NotificationState.Pending, limit: 1000, cancellation: TestContext.Current.CancellationToken)).Count);

        pagerDuty.Mood = PagerDutyMood.Well;
        pagerDuty.Events.Clear();
        smtp ??= await SmtpServer.StartAsync(cancellation, port: smtpPort);
        smtp.Mood = SmtpMood.Well;
        var taken = new List<int>();
        for (var second = 0; second < 20 * 60 && (await host.NotificationsAsync(
            NotificationState.Pending, limit: 1, cancellation: TestContext.Current.CancellationToken)).Count > 0; second++)
        {
            var before = pagerDuty.Events.Count;
            await PassAsync(host, Second, cancellation);
            taken.Add(pagerDuty.Events.Count - before);
        }

        Assert.Empty(await host.NotificationsAsync(NotificationState.Pending, cancellation: TestContext.Current.CancellationToken));
        Assert.Empty(await host.NotificationsAsync(NotificationState.Failed, cancellation: TestContext.Current.CancellationToken));
        Assert.Equal(
            Enumerable.Range(0, Count).Select(i => $"i{i:000}/1"),
            pagerDuty.Events.Select(e => e.GetProperty("dedup_key").GetString()).Order());
        Assert.All(Enumerable.Range(0, taken.Count), second => Assert.InRange(taken.Skip(second).Take(60).Sum(), 0, CallsPerMinute));
        var mails = await smtp.MessagesAsync(Count, cancellation);
        Assert.Equal(
            Enumerable.Range(0, Count).Select(i => $"Message-Id: <incident.i{i:000}.1@example.com>"),
            mails.Select(m => m.First(l => l.StartsWith("Message-Id", StringComparison.Ordinal))).Order());
        await smtp.DisposeAsync();
    }

    AlertingHost Host(Uri pagerDuty, int smtpPort) => new(
        new AlertingEnvironment
        {
            Incidents = (_, _) => Task.FromResult<IReadOnlyList<IncidentView>>(_views),
            Database = _database,
            Metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()),
        },
        new AlertingOptions
        {
            Seed = 7,
            Channels =
            [
                new PagerDutyOptions { Address = pagerDuty, RoutingKey = new string('k', 32), CallsPerMinute = CallsPerMinute },
                new MailOptions
                {
                    Host = "127.0.0.1",
                    Port = smtpPort,
                    Security = MailSecurity.None,
                    From = "whistle@example.com",
                    To = ["ops@example.com"],
                },
            ],
        },
        _time, NullLogger<AlertingHost>.Instance);

    // Where the other side hangs, only the passing of time ends the pass.
    async Task PassAsync(AlertingHost host, TimeSpan step, CancellationToken cancellation)
    {
        _time.Advance(step);
        var pass = host.RunOnceAsync(_time.GetUtcNow(), cancellation);
        while (await Task.WhenAny(pass, Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, cancellation)) != pass)
            _time.Advance(31 * Second);
        await pass;
    }

    Incident Critical(string id) => new()
    {
        Id = id,
        Tenant = "t",
        Cluster = "c1",
        Subject = Labels.Of(("node", "n1"), ("mountpoint", "/data")),
        Title = "/data is almost full",
        Severity = "critical",
        State = IncidentState.Open,
        OpenedAt = _time.GetUtcNow(),
        Signals = [new(1, "NodeFilesystemAlmostOutOfSpace", Labels.Of(("node", "n1")), "critical", _time.GetUtcNow(), null)],
    };
}
