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
    public required Func<DateTimeOffset, CancellationToken, Task<IReadOnlyList<IncidentView>>> Incidents { get; init; }

    public required StateDatabase Database { get; init; }

    public required IMetricFactory Metrics { get; init; }

    /// <summary>Where this stage says what is wrong with itself.</summary>
    public HealthBoard Health { get; init; } = new(TimeProvider.System);

    /// <summary>Adds a line to an incident's timeline (incident, at, kind, text) within the transaction of the decision.</summary>
    public Func<StateTransaction, string, DateTimeOffset, string, string, CancellationToken, Task> Note { get; init; } =
        (_, _, _, _, _, _) => Task.CompletedTask;

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
    bool _isWatermarkRead;

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
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> PagedAsync(CancellationToken cancellation) => HasChannel ? await _store.PagedAsync(cancellation) : new Dictionary<string, DateTimeOffset>();

    /// <summary>Incidents that people would have been paged for, with since when; there is no channel to page over.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> UnpagedAsync(CancellationToken cancellation) => await _store.UnpagedAsync(cancellation);

    /// <summary>False where nobody can be paged.</summary>
    public bool HasChannel => _options.HasChannel;

    /// <summary>The latest notifications first: of one state (pending, sent, failed, overtaken) or incident, or all.</summary>
    public async Task<IReadOnlyList<Notification>> NotificationsAsync(string? state = null, string? incident = null, int limit = 500, CancellationToken cancellation = default) => await _outbox.ListAsync(state, incident, limit, cancellation);

    /// <summary>All that was settled on for an incident, the first first.</summary>
    public async Task<IReadOnlyList<KeptDecision>> DecisionsAsync(string incident, CancellationToken cancellation) => await _store.DecisionsAsync(incident, cancellation);

    /// <summary>The state was restored from a backup: no number is given again that may have been given since.</summary>
    public async Task BeginGenerationAsync(CancellationToken cancellation) => await _environment.Database.SkipNumbersAsync("alerting_tickets", TicketsSinceBackup, cancellation);

    /// <summary>One pass: decide on every incident as of <paramref name="now"/>, then send what may go.</summary>
    public async Task RunOnceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await DecideAsync(now, cancellation);
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

    async Task DecideOnceAsync(WatchedPass? pass, CancellationToken cancellation)
    {
        try
        {
            pass?.Begin();
            await DecideAsync(_time.GetUtcNow(), cancellation);
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

    async Task DecideAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var since = (await ReadWatermarkAsync(now, cancellation) ?? now - FirstLook) - Overlap;
        var known = await _store.UnsettledAsync(cancellation);
        var (whole, failure) = (true, default(string));
        foreach (var view in await _environment.Incidents(since, cancellation))
        {
            var tried = await TryDecideAsync(view, known, now, cancellation);
            whole &= tried.IsWhole;
            failure = tried.Failure ?? failure;
            if (tried.Saved)
                _environment.Persisted("decided");
        }

        if (failure is null)
            _environment.Health.Clear(Component, "incidents");
        else
            _environment.Health.Failing(Component, "incidents", $"Whistle cannot decide whether to page for an incident: {failure} See the server's log.");
        if (_letters is not null)
            await _store.TakeDigestAsync(now - _options.DigestAfter, MostDigestLines, (transaction, first, lines) => _letters.DigestAsync(transaction, first, lines, now, cancellation), cancellation);
        // Held where a closed incident is not settled yet: it must be read again however long that lasts.
        if (whole && !(now - _watermark < AdvanceEvery))
        {
            await _store.AdvanceAsync(now, now - _options.Retention, cancellation);
            _watermark = now;
        }

        _metrics.LastPass.Set(now.ToUnixTimeMilliseconds() / 1000.0);
    }

    // One of the future would hide incidents that closed.
    async Task<DateTimeOffset?> ReadWatermarkAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (!_isWatermarkRead)
            _watermark = await _store.WatermarkAsync(cancellation) is { } seen && seen >= DateTimeOffset.UnixEpoch && seen <= now ? seen : null;
        _isWatermarkRead = true;
        return _watermark;
    }

    async Task<Tried> TryDecideAsync(IncidentView view, Dictionary<string, AlertState> known, DateTimeOffset now, CancellationToken cancellation)
    {
        var saved = false;
        try
        {
            var before = known.GetValueOrDefault(view.Incident.Id) ?? await _store.FindAsync(view.Incident.Id, cancellation);
            if (before is null && _environment.Database.IsDamaged(AlertingStore.Incidents, view.Incident.Id))
                return new(view.Incident.ClosedAt is null, false, null);
            var (after, decisions) = AlertingEngine.Decide(view, before ?? AlertState.New, _options, now);
            saved = before is null || decisions.Count > 0 || (before != after && AlertingStore.Text(before) != AlertingStore.Text(after));
            if (saved)
                await SaveAsync(view, after, decisions, now, cancellation);
            return new(after.Settled || !after.Closed, saved, null);
        }
        // Whatever is the matter with one incident, the others are looked at.
        catch (Exception e) when (e is not StateException && !cancellation.IsCancellationRequested)
        {
            _metrics.PassFailures.Inc();
            _logger.DecisionFailed(e, view.Incident.Id);
            return new(false, saved, $"{view.Incident.Id}: {e.Message}");
        }
    }

    /// <param name="IsWhole">It need not be read again once it is closed.</param>
    /// <param name="Failure">What went wrong; null where nothing did.</param>
    readonly record struct Tried(bool IsWhole, bool Saved, string? Failure);

    async Task SaveAsync(IncidentView view, AlertState state, IReadOnlyList<Decision> decisions, DateTimeOffset now, CancellationToken cancellation)
    {
        var id = view.Incident.Id;
        await _store.SaveAsync(view.Incident, state, decisions, now, async transaction =>
        {
            foreach (var decision in decisions)
            {
                await ApplyAsync(transaction, view, decision, now, cancellation);
                await _environment.Note(transaction, id, now, decision.Kind, decision.Text, cancellation);
            }
        }, cancellation);
        foreach (var decision in decisions)
        {
            _metrics.Decisions.WithLabels(decision.Kind).Inc();
            _logger.Decided(id, decision.Text);
        }
    }

    async Task ApplyAsync(StateTransaction transaction, IncidentView view, Decision decision, DateTimeOffset now, CancellationToken cancellation)
    {
        switch (decision)
        {
            case Decision.Page page:
                await AddPageAsync(transaction, view, page, now, cancellation);
                break;
            case Decision.Resolve resolve:
                await AddResolveAsync(transaction, view.Incident.Id, resolve.Number, now, cancellation);
                break;
            case Decision.Announce announce:
                await (_letters?.ClosedAsync(transaction, view, announce, now, cancellation) ?? Task.CompletedTask);
                break;
            case Decision.Change change:
                await AddChangeAsync(transaction, view, change.Repair, now, cancellation);
                break;
            case Decision.OpenTicket open:
                var (ticket, entry) = await TicketStore.OpenAsync(transaction, view.Incident, open.Repair, now, cancellation);
                await (_letters?.TicketAsync(transaction, ticket, entry, now, cancellation) ?? Task.CompletedTask);
                break;
            case Decision.ResolveTicket:
                if (await TicketStore.ResolveAsync(transaction, view.Incident.Id, now, cancellation) is { } resolved)
                    await (_letters?.TicketAsync(transaction, resolved.Ticket, resolved.Entry, now, cancellation) ?? Task.CompletedTask);
                break;
            case Decision.Digest digest:
                await AlertingStore.AddDigestLineAsync(transaction, view.Incident.Id, digest.Text, now, cancellation);
                break;
            case Decision.Hold or Decision.Unpaged:
                break;
            default:
                throw new InvalidOperationException($"{decision} is no decision.");
        }
    }

    async Task AddPageAsync(StateTransaction transaction, IncidentView view, Decision.Page page, DateTimeOffset now, CancellationToken cancellation)
    {
        var id = view.Incident.Id;
        if (_options.PagerDuty is not null)
        {
            await OutboxStore.AddAsync(
                transaction, PagerDutyEvent.Channel, PagerDutyEvent.DedupKey(id, page.Number), PagerDutyEvent.Trigger, id,
                PagerDutyEvent.TriggerBody(view, page, _options, now), now, cancellation: cancellation);
        }

        await (_letters?.PageAsync(transaction, view, page, now, cancellation) ?? Task.CompletedTask);
    }

    async Task AddResolveAsync(StateTransaction transaction, string incident, int number, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_options.PagerDuty is not null)
        {
            await OutboxStore.AddEndAsync(
                transaction, PagerDutyEvent.Channel, PagerDutyEvent.DedupKey(incident, number), PagerDutyEvent.Trigger, PagerDutyEvent.Resolve, incident,
                PagerDutyEvent.ResolveBody(incident, number), now, cancellation);
        }
    }

    async Task AddChangeAsync(StateTransaction transaction, IncidentView view, Repair repair, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_options.PagerDuty is not null)
            await OutboxStore.AddAsync(transaction, PagerDutyEvent.Channel, repair.Id, PagerDutyEvent.Change, view.Incident.Id, PagerDutyEvent.ChangeBody(view, repair), now, cancellation: cancellation);
    }
}
