using System.Net;
using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Alerting;
using Whistle.Alerting.Channels;
using Whistle.Alerting.Configuration;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.PagerDuty;
using Whistle.Alerting.Stores;
using Whistle.State;
using Whistle.State.Health;
using Whistle.Tests.Agent;

namespace Whistle.Tests.Alerting;

/// <summary>PagerDuty in the test's hand: one call a line, as <c>trigger i1/1</c>, and what each key is by then.</summary>
sealed class FakePagerDuty(TimeProvider time) : HttpMessageHandler
{
    public Func<string, HttpResponseMessage> Answer { get; set; } = _ => Status(202);

    public List<(DateTimeOffset At, string Call)> Calls { get; } = [];

    /// <summary>Calls that were taken, in order.</summary>
    public List<string> Taken { get; } = [];

    public static HttpResponseMessage Status(int status) =>
        new((HttpStatusCode)status) { Content = new StringContent("{\"status\":\"because\"}") };

    public static HttpResponseMessage Unreachable(string call) =>
        throw new HttpRequestException(HttpRequestError.ConnectionError, "refused");

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var body = JsonDocument.Parse(await request.Content!.ReadAsStringAsync(cancellationToken)).RootElement;
        var call = request.RequestUri!.AbsolutePath == "/v2/change/enqueue"
            ? "change" : $"{body.GetProperty("event_action")} {body.GetProperty("dedup_key")}";
        Calls.Add((time.GetUtcNow(), call));
        var answer = Answer(call);
        if (answer.StatusCode is HttpStatusCode.Accepted)
            Taken.Add(call);
        return answer;
    }
}

/// <summary>A mail server in the test's hand; the mails are composed as they are for a real one.</summary>
sealed class FakeMail(MailOptions options) : IChannel
{
    readonly MailComposer _composer = new(options, null);

    public List<ComposedMail> Mails { get; init; } = [];

    public Func<OutboxRow, Delivery> Answer { get; set; } = _ => new Delivery.Delivered();

    public string Name => "mail";

    public int CallsPerMinute => 120;

    public bool SendsDigests => true;

    public IEnumerable<OutboxMessage> Compose(AlertEvent alert, ComposeContext context) => _composer.Compose(alert, context);

    public Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation)
    {
        Mails.Add(JsonSerializer.Deserialize(row.Payload, MailJson.Default.ComposedMail)!);
        return Task.FromResult(Answer(row));
    }

    public void Dispose()
    {
    }
}

/// <summary>Opens the channel that the test has.</summary>
sealed record FakeMailOptions(FakeMail Channel) : ChannelOptions
{
    internal override string Label => "a fake mail server";

    internal override IEnumerable<OptionError> Errors() => [];

    internal override IChannel Open(Uri? server, TimeProvider time) => Channel;
}

/// <summary>The process ends here.</summary>
sealed class Crash : Exception;

/// <summary>Alerting on a fake clock, over incidents and servers in the test's hand.</summary>
sealed class AlertingBench : IDisposable
{
    readonly HostFixture _disk = new();
    readonly StateDatabase _database;

    public AlertingBench()
    {
        PagerDuty = new FakePagerDuty(Clock);
        _database = new StateDatabase(Path.Combine(_disk.Folder, "state.sqlite"));
        Start();
    }

    public StateDatabase Database => _database;

    public FakeTimeProvider Clock { get; } = new(Fleet.Start);

    public FakePagerDuty PagerDuty { get; }

    public FakeMail Mail { get; } = new(
        new() { Host = "mail.example.com", From = "whistle@example.com", To = ["ops@example.com", "dev@example.com"] });

    public Dictionary<string, IncidentView> Incidents { get; } = [];

    public List<string> Notes { get; } = [];

    /// <summary>The texts of <see cref="Notes"/>.</summary>
    public List<string> Texts { get; } = [];

    public AlertingHost Host { get; private set; } = null!;

    public HealthBoard Health { get; private set; } = null!;

    /// <summary>The process ends after this many more durable steps; never where it is negative.</summary>
    public int CrashAfter { get; set; } = -1;

    /// <summary>False: nobody can be paged, from the next start on.</summary>
    public bool HasChannels { get; set; } = true;

    /// <summary>False: only mail is configured, from the next start on.</summary>
    public bool HasPagerDuty { get; set; } = true;

    public AlertingOptions Options => !HasChannels ? new() : new()
    {
        DigestAfter = TimeSpan.FromMinutes(10),
        Seed = 7,
        Channels = HasPagerDuty ? [PagerDutyOptions, new FakeMailOptions(Mail)] : [new FakeMailOptions(Mail)],
    };

    PagerDutyOptions PagerDutyOptions =>
        new() { Address = new("https://pd.example.com"), RoutingKey = new string('k', 32), Handler = PagerDuty };

    /// <summary>As a new process on the same state.</summary>
    public void Start()
    {
        Host?.Dispose();
        Health = new HealthBoard(Clock);
        Host = new AlertingHost(
            new AlertingEnvironment
            {
                Incidents = (since, _) => Task.FromResult<IReadOnlyList<IncidentView>>(
                    [.. Incidents.Values.Where(v => v.Incident.ClosedAt is not { } closed || closed >= since)]),
                Database = _database,
                Metrics = Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()),
                Note = (_, _, _, decision, _) =>
                {
                    Notes.Add(decision.Kind.Word());
                    Texts.Add(decision.Text);
                    return Task.CompletedTask;
                },
                Health = Health,
                Persisted = Persisted,
            },
            Options, Clock, NullLogger<AlertingHost>.Instance);
    }

    public void Set(IncidentView view) => Incidents[view.Incident.Id] = view;

    public async Task PassAsync(TimeSpan step)
    {
        Clock.Advance(step);
        await Host.RunOnceAsync(Clock.GetUtcNow(), CancellationToken.None);
    }

    public async Task RunAsync(TimeSpan length, TimeSpan step)
    {
        for (var end = Clock.GetUtcNow() + length; Clock.GetUtcNow() < end;)
            await PassAsync(step);
    }

    public void Dispose()
    {
        Host.Dispose();
        _database.Dispose();
        _disk.Dispose();
    }

    void Persisted()
    {
        if (CrashAfter >= 0 && CrashAfter-- == 0)
            throw new Crash();
    }
}
