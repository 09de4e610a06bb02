using System.Net;
using System.Net.Sockets;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.Channels;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.PagerDuty;
using Whistle.Alerting.Tickets;
using Whistle.Fixtures;
using Whistle.Incidents;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Alerting on a fake clock, against a real mail server and a real HTTP endpoint.</summary>
public sealed class AlertingTests : IDisposable
{
    static readonly CancellationToken Cancellation = TestContext.Current.CancellationToken;

    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("whistle");
    readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
    readonly StateDatabase _database;
    IncidentView _view;

    public AlertingTests()
    {
        _database = new StateDatabase(Path.Combine(_folder.FullName, "state.sqlite"));
        var now = _time.GetUtcNow();
        _view = new(
            new Incident
            {
                Id = "i1",
                Tenant = "t",
                Cluster = "c1",
                Subject = Labels.Of(("node", "n1"), ("mountpoint", "/data")),
                Title = "/data will be full in 3 h <b>ä</b>",
                Severity = "warning",
                State = IncidentState.Open,
                OpenedAt = now,
                Signals = [new(1, "NodeFilesystemSpaceFillingUp", Labels.Of(("node", "n1")), "warning", now, null)],
            },
            []);
    }

    public void Dispose()
    {
        _database.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_repair_that_gives_up_pages_mails_and_opens_a_ticket_and_the_end_ends_all()
    {
        await using var smtp = await SmtpServer.StartAsync(Cancellation);
        await using var pagerDuty = await PagerDutyServer.StartAsync(Cancellation);
        using var host = Host(pagerDuty.Address, smtp.Port);
        await PassAsync(host);
        _view = _view with { Repairs = [GaveUp()] };
        await PassAsync(host);
        Close();
        await PassAsync(host);

        Assert.Equal(["trigger i1/1 error", "resolve i1/1"], pagerDuty.Events.Select(Line));
        Assert.Single(pagerDuty.Changes);
        Assert.Equal(TicketState.Resolved, Assert.Single(await host.Tickets.ListAsync(cancellation: Cancellation)).State);
        var mails = await smtp.MessagesAsync(4, Cancellation);
        Assert.Equal(
            ["<ticket.1.1@example.com>", "<incident.i1.1@example.com>", "<incident.i1.1.closed@example.com>", "<ticket.1.2@example.com>"],
            mails.Select(m => Header(m, "Message-Id")));
        Assert.All(mails, m => Assert.Equal("auto-generated", Header(m, "Auto-Submitted")));
        Assert.Equal("<incident.i1.1@example.com>", Header(mails[2], "In-Reply-To"));
        Assert.Equal("<ticket.1.1@example.com>", Header(mails[3], "References"));
        Assert.Contains(mails[0], l => l.Contains("/data/&lt;models&gt;", StringComparison.Ordinal));
        Assert.DoesNotContain(mails.SelectMany(m => m), l => l.Contains("<models></td>", StringComparison.Ordinal));
        Assert.Empty(await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation));
    }

    [Theory]
    [InlineData(PagerDutyMood.TooMany)]
    [InlineData(PagerDutyMood.Broken)]
    public async Task A_PagerDuty_that_is_not_well_gets_the_page_when_it_is(object mood)
    {
        await using var pagerDuty = await PagerDutyServer.StartAsync(Cancellation);
        pagerDuty.Mood = (PagerDutyMood)mood;
        using var host = Host(pagerDuty.Address, null);
        _view = _view with { Repairs = [GaveUp()] };
        await PassAsync(host);
        Assert.Equal(2, (await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation)).Count);
        pagerDuty.Mood = PagerDutyMood.Well;
        await PassAsync(host);

        Assert.Empty(await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation));
        Assert.Equal(2, (await host.NotificationsAsync(NotificationState.Sent, cancellation: Cancellation)).Count);
    }

    [Fact]
    public async Task A_key_that_is_none_waits_with_its_reason_and_the_page_goes_out_when_it_is_right()
    {
        await using var pagerDuty = await PagerDutyServer.StartAsync(Cancellation);
        var key = Path.Combine(_folder.FullName, "key");
        PrivateText.Write(key, new string('k', 32));
        using var host = Host(pagerDuty.Address, null, key);
        // It is read again for each call.
        PrivateText.Write(key, "too short\n");
        _view = _view with { Repairs = [GaveUp()] };
        await PassAsync(host);

        var waiting = await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation);
        Assert.Equal(2, waiting.Count);
        // The oldest comes first, and holds up what is behind it.
        Assert.Contains("the key has 9 characters, not 32", waiting[^1].Reason, StringComparison.Ordinal);
        Assert.Empty(pagerDuty.Events);

        PrivateText.Write(key, new string('n', 32));
        await PassAsync(host);
        Assert.Empty(await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation));
        Assert.Single(pagerDuty.Events);
    }

    [Fact]
    public async Task A_mail_that_is_too_large_for_the_server_is_final_and_one_without_TLS_waits()
    {
        await using var smtp = await SmtpServer.StartAsync(Cancellation, largest: 200);
        using (var host = Host(null, smtp.Port))
        {
            _view = _view with { Repairs = [GaveUp()] };
            await PassAsync(host);
            Assert.Equal(
                ["failed", "failed"],
                (await host.NotificationsAsync(cancellation: Cancellation)).Select(
                    n => n.State is NotificationState.Failed ? "failed" : n.Reason));
            Assert.All(
                await host.NotificationsAsync(NotificationState.Failed, cancellation: Cancellation),
                n => Assert.Contains("552", n.Reason, StringComparison.Ordinal));
        }

        Close();
        using var strict = Host(null, smtp.Port, security: MailSecurity.StartTls);
        await PassAsync(strict);
        Assert.Equal(2, (await strict.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation)).Count);
        Assert.Contains(
            "STARTTLS", (await strict.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation))[^1].Reason,
            StringComparison.Ordinal);
        Assert.Empty(smtp.Messages);
    }

    [Fact]
    public async Task A_mail_server_that_says_nothing_is_given_up_after_its_time_and_tried_again()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        using var host = Host(null, ((IPEndPoint)silent.LocalEndpoint).Port);
        _view = _view with { Repairs = [GaveUp()] };
        _time.Advance(TimeSpan.FromMinutes(1));
        var pass = host.RunOnceAsync(_time.GetUtcNow(), Cancellation);
        using var connection = await silent.AcceptTcpClientAsync(Cancellation);
        _time.Advance(TimeSpan.FromSeconds(31));
        await pass;

        Assert.Equal(2, (await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation)).Count);
        Assert.Contains(
            "30 s", (await host.NotificationsAsync(NotificationState.Pending, cancellation: Cancellation))[^1].Reason,
            StringComparison.Ordinal);
    }

    AlertingHost Host(Uri? pagerDuty, int? smtpPort, string? routingKeyFile = null, MailSecurity security = MailSecurity.None) => new(
        new AlertingEnvironment
        {
            Incidents = (_, _) => Task.FromResult<IReadOnlyList<IncidentView>>([_view]),
            Database = _database,
            Metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()),
        },
        new AlertingOptions
        {
            Channels = [.. PagerDuty(pagerDuty, routingKeyFile), .. Mail(smtpPort, security)],
        },
        _time, NullLogger<AlertingHost>.Instance);

    static ChannelOptions[] PagerDuty(Uri? address, string? routingKeyFile) =>
        address is null
            ? [] : [new PagerDutyOptions { Address = address, RoutingKey = new string('k', 32), RoutingKeyFile = routingKeyFile }];

    static ChannelOptions[] Mail(int? port, MailSecurity security) => port is null ? [] :
    [
        new MailOptions
        {
            Host = "127.0.0.1",
            Port = port.Value,
            Security = security,
            From = "Whistle <whistle@example.com>",
            To = ["ops@example.com"],
        },
    ];

    async Task PassAsync(AlertingHost host)
    {
        _time.Advance(TimeSpan.FromMinutes(1));
        await host.RunOnceAsync(_time.GetUtcNow(), Cancellation);
    }

    Repair GaveUp() => new()
    {
        Id = "i1-1",
        Runbook = "node-disk-filling",
        State = RepairState.GaveUp,
        StartedAt = _time.GetUtcNow(),
        EndedAt = _time.GetUtcNow(),
        Summary = "nothing more may be cleaned",
        Changed = true,
        LargestDirectories = [new("/data/<models>", 5L << 30)],
    };

    void Close()
    {
        var now = _time.GetUtcNow();
        _view = _view with
        {
            Incident = _view.Incident with
            {
                State = IncidentState.Closed,
                ClosedAt = now,
                ClearSince = now,
                Signals = [_view.Incident.Signals[0] with { ClearedAt = now }],
            },
        };
    }

    static string Line(System.Text.Json.JsonElement e) =>
        $"{e.GetProperty("event_action")} {e.GetProperty("dedup_key")} {(e.TryGetProperty("payload", out var payload)
            ? payload.GetProperty("severity") : "")}".Trim();

    static string? Header(IReadOnlyList<string> mail, string name) =>
        mail.FirstOrDefault(l => l.StartsWith($"{name}: ", StringComparison.OrdinalIgnoreCase))?[(name.Length + 2)..].Trim();
}
