using System.Net;
using System.Text;
using System.Text.Json;

using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.PagerDuty;
using Whistle.Alerting.Stores;
using Whistle.Alerting.Tickets;
using Whistle.Fixtures;
using Whistle.State;
using Whistle.Tests.Agent;

using Xunit;

namespace Whistle.Tests.Alerting;

public sealed class ChannelTests : IDisposable
{
    static readonly OutboxRow Row = new(1, "pagerduty", "i1/1", "trigger", """{"event_action":"trigger","dedup_key":"i1/1"}""", 1);

    readonly FakeTimeProvider _time = new(Fleet.Start);
    readonly HostFixture _disk = new();

    public void Dispose() => _disk.Dispose();

    [Theory]
    [InlineData(202, null, "delivered")]
    [InlineData(200, null, "retryable")]
    [InlineData(302, null, "retryable")]
    [InlineData(400, null, "final")]
    [InlineData(403, null, "retryable")]
    [InlineData(404, null, "retryable")]
    [InlineData(413, null, "final")]
    [InlineData(429, "7", "retryable 7 not taken")]
    [InlineData(500, null, "retryable")]
    [InlineData(503, "20", "retryable 20")]
    public async Task Each_answer_of_PagerDuty_has_its_outcome(int status, string? retryAfter, string outcome)
    {
        using var server = new ScriptedServer(_ =>
        {
            var response = ScriptedServer.Status(status, "line one\nline two");
            response.Headers.TryAddWithoutValidation("Retry-After", retryAfter);
            return response;
        });
        using var channel = Channel(server);
        var delivery = await channel.SendAsync(Row, CancellationToken.None);

        Assert.Equal(outcome, delivery switch
        {
            Delivery.Delivered => "delivered",
            Delivery.Final => "final",
            Delivery.Retryable r => $"retryable {r.After?.TotalSeconds}{(r.NotAccepted ? " not taken" : "")}".TrimEnd(),
            _ => "?",
        });
        Assert.Contains("\"routing_key\":\"kkkk", Encoding.UTF8.GetString(server.Bodies[0]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silent_PagerDuty_is_given_up_after_its_time_and_may_have_the_page()
    {
        using var silent = new SilentServer();
        using var channel = Channel(silent);
        var sending = channel.SendAsync(Row, CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(31));

        Assert.False(Assert.IsType<Delivery.Retryable>(await sending).NotAccepted);
    }

    [Theory]
    [InlineData(400, "final")]
    [InlineData(429, "not taken")]
    [InlineData(502, "may be taken")]
    public async Task An_answer_that_PagerDuty_breaks_off_counts_as_its_status_says(int status, string outcome)
    {
        using var server = new ScriptedServer(_ => new((HttpStatusCode)status) { Content = new StreamContent(new BrokenStream()) });
        using var channel = Channel(server);

        var (found, reason) = await channel.SendAsync(Row, CancellationToken.None) switch
        {
            Delivery.Final f => ("final", f.Reason),
            Delivery.Retryable retry => (retry.NotAccepted ? "not taken" : "may be taken", retry.Reason),
            _ => ("?", ""),
        };
        Assert.Equal(outcome, found);
        Assert.StartsWith($"{status}, and the answer broke off", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("[]")]
    public async Task A_damaged_row_holds_no_other_page_back(string payload)
    {
        using var server = new ScriptedServer(_ => ScriptedServer.Status(202));
        using var pagerDuty = Channel(server);
        using var mail = new MailChannel(
            new() { Host = "mail.example.com", From = "w@example.com", To = ["ops@example.com"] }, null, _time);

        Assert.IsType<Delivery.Final>(await pagerDuty.SendAsync(Row with { Payload = payload }, CancellationToken.None));
        Assert.Empty(server.Bodies);
        Assert.IsType<Delivery.Final>(
            await mail.SendAsync(Row with { Action = MailComposer.Action, Payload = payload }, CancellationToken.None));
    }

    [Fact]
    public async Task A_key_that_is_half_written_is_not_sent_and_the_page_waits_for_the_whole_one()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-key-").FullName;
        try
        {
            var file = PrivateText.Write(Path.Combine(folder, "key"), "short");
            using var server = new ScriptedServer(_ => ScriptedServer.Status(202));
            using var channel = new PagerDutyChannel(new PagerDutyOptions { RoutingKeyFile = file, Handler = server }, null, _time);

            Assert.True(Assert.IsType<Delivery.Retryable>(await channel.SendAsync(Row, CancellationToken.None)).NotAccepted);
            Assert.Empty(server.Bodies);
            PrivateText.Write(file, new string('k', 32));
            Assert.IsType<Delivery.Delivered>(await channel.SendAsync(Row, CancellationToken.None));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("                                ")]
    [InlineData("äbcdefghijklmnopqrstuvwxyz012345")]
    public void A_key_that_no_service_has_is_refused(string key) =>
        Assert.Contains(new PagerDutyOptions { RoutingKey = key }.Errors(), e => e.Key == "Alerting:PagerDuty:RoutingKey");

    [Fact]
    public void An_empty_secret_and_a_host_that_is_none_are_refused()
    {
        var mail = new MailOptions { Host = "h h/..:", From = "w@example.com", To = ["ops@example.com"], User = "", Password = "" };

        Assert.Equal(["Alerting:Mail:Host", "Alerting:Mail:Password", "Alerting:Mail:User"], mail.Errors().Select(e => e.Key).Order());
    }

    [Fact]
    public async Task A_connection_that_ends_before_an_answer_may_have_carried_the_page()
    {
        using var server = new ScriptedServer(_ => throw new HttpRequestException(HttpRequestError.ResponseEnded, "ended"));
        using var channel = Channel(server);

        Assert.False(Assert.IsType<Delivery.Retryable>(await channel.SendAsync(Row, CancellationToken.None)).NotAccepted);
    }

    [Fact]
    public void Events_stay_within_the_limits_whatever_telemetry_says()
    {
        var huge = new string('\u0001', 20_000);
        var incident = Fleet.Incident(new string('i', 400), title: huge);
        var signals = Enumerable.Range(0, 500).Select(i => Fleet.Signal(huge, $"n{i}{huge}", "critical", Fleet.Start));
        var repair = Fleet.Repair(RepairState.GaveUp, Fleet.Start) with { Summary = huge, Steps = [.. Enumerable.Repeat(huge, 100)] };
        var view = new IncidentView(incident with { Signals = [.. signals] }, [repair]);
        var page = new Decision.Page(12, Severity.Error, new PageReason.GaveUp(repair));
        var trigger = PagerDutyEvent.Triggered(new(view, page), null, Fleet.Start).Payload;
        var payload = JsonDocument.Parse(trigger).RootElement.GetProperty("payload");

        Assert.InRange(Encoding.UTF8.GetByteCount(trigger), 1, 512 << 10);
        Assert.InRange(Encoding.UTF8.GetByteCount(PagerDutyEvent.Changed(new(view, repair)).Payload), 1, 512 << 10);
        var joined = new Decision.Page(12, Severity.Error, new PageReason.Joined([.. Enumerable.Repeat(huge, 100)]));
        var joinedPage = PagerDutyEvent.Triggered(new(view, joined), null, Fleet.Start).Payload;
        Assert.InRange(Encoding.UTF8.GetByteCount(joinedPage), 1, 512 << 10);
        Assert.InRange(payload.GetProperty("summary").GetString()!.Length, 1000, 1024);
        Assert.Equal("error", payload.GetProperty("severity").GetString());
        var key = PagerDutyEvent.DedupKey(incident.Id, 12);
        Assert.InRange(key.Length, 1, 255);
        Assert.EndsWith("/12", key, StringComparison.Ordinal);
        Assert.NotEqual(key, PagerDutyEvent.DedupKey(incident.Id + "x", 12));
    }

    [Fact]
    public void All_errors_of_the_options_come_at_once_with_their_mends()
    {
        var errors = new AlertingOptions
        {
            CriticalDeadline = TimeSpan.FromHours(1),
            DigestAfter = TimeSpan.Zero,
            Channels =
            [
                new PagerDutyOptions { Address = new("http://pd.example.com"), RoutingKey = "short" },
                new MailOptions
                { Host = "mail.example.com", From = "nobody", To = [], User = "u", Security = MailSecurity.None, PasswordFile = "/none" },
            ],
        }.Errors();

        string[] mends =
        [
            "Alerting:CriticalDeadline: ", "Alerting:DigestAfter: ", "https", "32", "Alerting:Mail:To: ", "ops@example.com",
            "Alerting:Mail:PasswordFile: ", "StartTls",
        ];
        Assert.Equal(mends.Length, errors.Count);
        Assert.All(mends, mend => Assert.Contains(errors, e => e.ToString().Contains(mend, StringComparison.Ordinal)));
        Assert.Empty(new AlertingOptions().Errors());
    }

    [Fact]
    public async Task A_ticket_goes_only_where_it_may_and_keeps_every_step()
    {
        using var database = new StateDatabase(Path.Combine(_disk.Folder, "state.sqlite"));
        var tickets = new TicketStore(database, _time);
        await using (var connection = await database.OpenAsync(TestContext.Current.CancellationToken))
        await using (var transaction = await connection.BeginWriteAsync(TestContext.Current.CancellationToken))
        {
            await TicketStore.OpenAsync(
                transaction, Fleet.Incident(), Fleet.Repair(RepairState.GaveUp, Fleet.Start), Fleet.Start,
                TestContext.Current.CancellationToken);
            await transaction.CommitAsync(TestContext.Current.CancellationToken);
        }

        Assert.Null((await tickets.MoveAsync(
            1, TicketState.WaitingOnCustomer, "ann", "which of the models may go?", TestContext.Current.CancellationToken)).Refusal);
        Assert.Null((await tickets.CommentAsync(1, "bob", "all of May", TestContext.Current.CancellationToken)).Refusal);
        Assert.Null((await tickets.MoveAsync(1, TicketState.InProgress, "ann", null, TestContext.Current.CancellationToken)).Refusal);
        Assert.Contains(
            "cannot become open",
            (await tickets.MoveAsync(1, TicketState.Open, "ann", null, TestContext.Current.CancellationToken)).Refusal,
            StringComparison.Ordinal);
        Assert.Null((await tickets.MoveAsync(1, TicketState.Closed, "ann", null, TestContext.Current.CancellationToken)).Refusal);
        Assert.Contains(
            "Open another", (await tickets.CommentAsync(1, "bob", "thanks", TestContext.Current.CancellationToken)).Refusal,
            StringComparison.Ordinal);
        Assert.Null((await tickets.MoveAsync(2, TicketState.Closed, "ann", null, TestContext.Current.CancellationToken)).Ticket);
        Assert.Equal(
            ["opened whistle", "state ann", "comment bob", "state ann", "state ann"],
            (await tickets.TimelineAsync(1, TestContext.Current.CancellationToken)).Select(e => $"{e.Kind.Word()} {e.Author}"));
        Assert.Equal("/data/<models>", (await tickets.FindAsync(1, TestContext.Current.CancellationToken))!.LargestDirectories[0].Path);
    }

    PagerDutyChannel Channel(HttpMessageHandler handler) =>
        new(
            new PagerDutyOptions { Address = new("https://pd.example.com/"), RoutingKey = new string('k', 32), Handler = handler }, null,
            _time);

    sealed class SilentServer : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            throw new InvalidOperationException("never");
        }
    }

    sealed class BrokenStream : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new HttpIOException(HttpRequestError.ResponseEnded, "The response ended prematurely.");
    }
}
