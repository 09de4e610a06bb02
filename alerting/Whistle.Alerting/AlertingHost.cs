using System.Data.Common;

using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Prometheus;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Mail;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.PagerDuty;
using Whistle.Alerting.Tickets;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Alerting;

/// <summary>What alerting reads, and where it writes.</summary>
public sealed record AlertingEnvironment
{
    /// <summary>All incidents that are not closed, and those that closed at or after the instant, with their repairs.</summary>
    public required Func<DateTimeOffset, IReadOnlyList<IncidentView>> Incidents { get; init; }

    public required StateDatabase Database { get; init; }

    public required IMetricFactory Metrics { get; init; }

    /// <summary>Where this stage says what is wrong with itself.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);

    /// <summary>Adds a line to an incident's timeline (incident, at, kind, text) within the transaction of the decision.</summary>
    public Action<DbTransaction, string, DateTimeOffset, string, string> Note { get; init; } = (_, _, _, _, _) => { };

    public PassWatch? Watch { get; init; }

    /// <summary>Takes the place of the mail server.</summary>
    internal INotifier? Mail { get; init; }

    /// <summary>Called after each step is durable, so that a test can end the process there.</summary>
    internal Action<string> Persisted { get; init; } = _ => { };
}

/// <summary>
/// Reconciles what people were told with the incidents, and empties the outbox. The hosted loops and a test call the same steps; only the
/// loops know a clock. Each channel has a loop of its own, so that a silent mail server delays no page.
/// </summary>
public sealed class AlertingHost : BackgroundService
{
    const string Component = "alerting";

    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    // How far back a first start looks for closed incidents.
    static readonly TimeSpan FirstLook = TimeSpan.FromHours(24);

    // Closed incidents are read again this long, in case the clock of who closed them was behind.
    static readonly TimeSpan Overlap = TimeSpan.FromMinutes(10);
    static readonly TimeSpan AdvanceEvery = TimeSpan.FromMinutes(10);
    const int MostDigestLines = 500;
    const int MailsPerMinute = 120;

    // More than can have been opened since any backup.
    const int TicketsSinceBackup = 1000;

    readonly AlertingEnvironment _environment;
    readonly AlertingOptions _options;
    readonly TimeProvider _time;
    readonly ILogger<AlertingHost> _logger;
    readonly AlertingStore _store;
    readonly OutboxStore _outbox;
    readonly AlertingMetrics _metrics;
    readonly Letters? _letters;
    readonly List<(string Channel, OutboxSender Sender)> _senders = [];
    DateTimeOffset? _watermark;

    /// <exception cref="ArgumentException">The options will not do; the message has all reasons.</exception>
    public AlertingHost(AlertingEnvironment environment, AlertingOptions options, TimeProvider time, ILogger<AlertingHost> logger)
    {
        if (options.Errors() is { Count: > 0 } errors)
            throw new ArgumentException(string.Join(Environment.NewLine, errors), nameof(options));
        _environment = environment;
        _options = options;
        _time = time;
        _logger = logger;
        _store = new AlertingStore(environment.Database);
        _outbox = new OutboxStore(environment.Database);
        _metrics = new AlertingMetrics(environment.Metrics);
        // One of the future would hide incidents that closed.
        _watermark = _store.Watermark() is { } seen && seen >= DateTimeOffset.UnixEpoch && seen <= time.GetUtcNow() ? seen : null;
        Tickets = new TicketStore(environment.Database, time);
        if (!options.HasChannel)
            environment.Health.Report(Component, "channels", HealthState.Warning, $"{NoChannel.Hint} {NoChannel.Help}");
        if (options.PagerDuty is { } pagerDuty)
            AddSender(new PagerDutyNotifier(pagerDuty, time), pagerDuty.CallsPerMinute);
        if (options.Mail is not { } mail)
            return;
        _letters = new Letters(mail, options.Address);
        AddSender(environment.Mail ?? new MailNotifier(mail, time), MailsPerMinute);
    }

    public TicketStore Tickets { get; }

    /// <summary>
    /// Incidents that people were paged for and that are not over, with when they were paged last. None where there is no channel: earlier
    /// versions noted pages without one.
    /// </summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Paged() => HasChannel ? _store.Paged() : new Dictionary<string, DateTimeOffset>();

    /// <summary>Incidents that people would have been paged for, with since when; there is no channel to page over.</summary>
    public IReadOnlyDictionary<string, DateTimeOffset> Unpaged() => _store.Unpaged();

    /// <summary>False where nobody can be paged.</summary>
    public bool HasChannel => _options.HasChannel;

    /// <summary>The latest notifications first: of one state (pending, sent, failed, overtaken) or incident, or all.</summary>
    public IReadOnlyList<Notification> Notifications(string? state = null, string? incident = null, int limit = 500) => _outbox.List(state, incident, limit);

    /// <summary>All that was settled on for an incident, the first first.</summary>
    public IReadOnlyList<KeptDecision> Decisions(string incident) => _store.Decisions(incident);

    /// <summary>The state was restored from a backup: no number is given again that may have been given since.</summary>
    public void BeginGeneration() => _environment.Database.SkipNumbers("alerting_tickets", TicketsSinceBackup);

    /// <summary>One pass: decide on every incident as of <paramref name="now"/>, then send what may go.</summary>
    public async Task RunOnceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        Decide(now);
        foreach (var (_, sender) in _senders)
            await sender.DrainAsync(cancellation);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll([DecideAsync(stoppingToken), .. _senders.Select(s => LoopAsync(c => DrainAsync(s.Channel, s.Sender, c), stoppingToken))]);

    public override void Dispose()
    {
        foreach (var (_, sender) in _senders)
            sender.Dispose();
        base.Dispose();
    }

    void AddSender(INotifier notifier, int callsPerMinute) => _senders.Add((
        notifier.Channel,
        new OutboxSender(_outbox, notifier, new Pace(callsPerMinute, _options.Seed, _time), _metrics, _environment.Health, _time, _logger, _environment.Persisted)));

    async Task LoopAsync(Func<CancellationToken, Task> step, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Step, _time);
        while (await timer.WaitForNextTickAsync(cancellation))
            await step(cancellation);
    }

    Task DecideAsync(CancellationToken cancellation)
    {
        var pass = _environment.Watch?.Watch("alerting", Step);
        return LoopAsync(c => DecideOnceAsync(pass, c), cancellation);
    }

    Task DecideOnceAsync(WatchedPass? pass, CancellationToken cancellation)
    {
        try
        {
            pass?.Begin();
            Decide(_time.GetUtcNow());
            pass?.Succeed();
        }
        catch (StateException)
        {
            _metrics.PassFailures.Inc();
            // The database has said it, once; it is tried again.
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            pass?.Fail(e);
            _metrics.PassFailures.Inc();
            _logger.PassFailed(e);
        }

        return Task.CompletedTask;
    }

    async Task DrainAsync(string channel, OutboxSender sender, CancellationToken cancellation)
    {
        try
        {
            await sender.DrainAsync(cancellation);
            _environment.Health.Clear(OutboxSender.Component, channel);
        }
        catch (StateException)
        {
            // The database has said it, once; it is tried again.
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            _environment.Health.Failing(OutboxSender.Component, channel, $"Notifications cannot be read from the state: {e.Message} See the server's log.");
            _logger.DrainFailed(e, channel);
        }
    }

    void Decide(DateTimeOffset now)
    {
        var known = _store.Unsettled();
        var (whole, failure) = (true, default(string));
        foreach (var view in _environment.Incidents((_watermark ?? now - FirstLook) - Overlap))
        {
            whole &= TryDecide(view, known, now, out var saved, ref failure);
            if (saved)
                _environment.Persisted("decided");
        }

        if (failure is null)
            _environment.Health.Clear(Component, "incidents");
        else
            _environment.Health.Failing(Component, "incidents", $"Whistle cannot decide whether to page for an incident: {failure} See the server's log.");
        if (_letters is not null)
            _store.TakeDigest(now - _options.DigestAfter, MostDigestLines, (transaction, first, lines) => _letters.Digest(transaction, first, lines, now));
        // Held where a closed incident is not settled yet: it must be read again however long that lasts.
        if (whole && !(now - _watermark < AdvanceEvery))
        {
            _store.Advance(now, now - _options.Retention);
            _watermark = now;
        }

        _metrics.LastPass.Set(now.ToUnixTimeMilliseconds() / 1000.0);
    }

    bool TryDecide(IncidentView view, Dictionary<string, AlertState> known, DateTimeOffset now, out bool saved, ref string? failure)
    {
        saved = false;
        try
        {
            var before = known.GetValueOrDefault(view.Incident.Id) ?? _store.Find(view.Incident.Id);
            if (before is null && _environment.Database.IsDamaged(AlertingStore.Incidents, view.Incident.Id))
                return view.Incident.ClosedAt is null;
            var (after, decisions) = AlertingEngine.Decide(view, before ?? AlertState.New, _options, now);
            saved = before is null || decisions.Count > 0 || (before != after && AlertingStore.Text(before) != AlertingStore.Text(after));
            if (saved)
                Save(view, after, decisions, now);
            return after.Settled || !after.Closed;
        }
        // Whatever is the matter with one incident, the others are looked at.
        catch (Exception e) when (e is not StateException)
        {
            _metrics.PassFailures.Inc();
            failure = $"{view.Incident.Id}: {e.Message}";
            _logger.DecisionFailed(e, view.Incident.Id);
            return false;
        }
    }

    void Save(IncidentView view, AlertState state, IReadOnlyList<Decision> decisions, DateTimeOffset now)
    {
        var id = view.Incident.Id;
        _store.Save(id, state, decisions, now, transaction =>
        {
            foreach (var decision in decisions)
            {
                Apply(transaction, view, decision, now);
                _environment.Note(transaction, id, now, decision.Kind, decision.Text);
            }
        });
        foreach (var decision in decisions)
        {
            _metrics.Decisions.WithLabels(decision.Kind).Inc();
            _logger.Decided(id, decision.Text);
        }
    }

    void Apply(DbTransaction transaction, IncidentView view, Decision decision, DateTimeOffset now)
    {
        switch (decision)
        {
            case Decision.Page page:
                AddPage(transaction, view, page, now);
                break;
            case Decision.Resolve resolve:
                AddResolve(transaction, view.Incident.Id, resolve.Number, now);
                break;
            case Decision.Announce announce:
                _letters?.Closed(transaction, view, announce, now);
                break;
            case Decision.Change change:
                AddChange(transaction, view, change.Repair, now);
                break;
            case Decision.OpenTicket open:
                var (ticket, entry) = TicketStore.Open(transaction, view.Incident, open.Repair, now);
                _letters?.Ticket(transaction, ticket, entry, now);
                break;
            case Decision.ResolveTicket:
                if (TicketStore.Resolve(transaction, view.Incident.Id, now) is { } resolved)
                    _letters?.Ticket(transaction, resolved.Ticket, resolved.Entry, now);
                break;
            case Decision.Digest digest:
                AlertingStore.AddDigestLine(transaction, view.Incident.Id, digest.Text, now);
                break;
            case Decision.Hold or Decision.Unpaged:
                break;
            default:
                throw new InvalidOperationException($"{decision} is no decision.");
        }
    }

    void AddPage(DbTransaction transaction, IncidentView view, Decision.Page page, DateTimeOffset now)
    {
        var id = view.Incident.Id;
        if (_options.PagerDuty is not null)
        {
            OutboxStore.Add(
                transaction, PagerDutyEvent.Channel, PagerDutyEvent.DedupKey(id, page.Number), PagerDutyEvent.Trigger, id,
                PagerDutyEvent.TriggerBody(view, page, _options, now), now);
        }

        _letters?.Page(transaction, view, page, now);
    }

    void AddResolve(DbTransaction transaction, string incident, int number, DateTimeOffset now)
    {
        if (_options.PagerDuty is not null)
        {
            OutboxStore.AddEnd(
                transaction, PagerDutyEvent.Channel, PagerDutyEvent.DedupKey(incident, number), PagerDutyEvent.Trigger, PagerDutyEvent.Resolve, incident,
                PagerDutyEvent.ResolveBody(incident, number), now);
        }
    }

    void AddChange(DbTransaction transaction, IncidentView view, Repair repair, DateTimeOffset now)
    {
        if (_options.PagerDuty is not null)
            OutboxStore.Add(transaction, PagerDutyEvent.Channel, repair.Id, PagerDutyEvent.Change, view.Incident.Id, PagerDutyEvent.ChangeBody(view, repair), now);
    }
}
