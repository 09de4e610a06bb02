using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using Prometheus;

using Whistle.Alerting.Channels;
using Whistle.Alerting.Deciding;
using Whistle.Alerting.Outbox;
using Whistle.Alerting.Stores;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Alerting;

/// <summary>
/// Reconciles what people were notified of with the incidents, and sends what waits in the outbox. The hosted loops and a test call the
/// same steps; only the loops know a clock. Each channel has a loop of its own, so that a silent mail server delays no page.
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

    // More than can have been opened since any backup.
    const int TicketsSinceBackup = 1000;

    readonly AlertingEnvironment _environment;
    readonly AlertingOptions _options;
    readonly TimeProvider _time;
    readonly ILogger<AlertingHost> _logger;
    readonly AlertingStore _store;
    readonly OutboxStore _outbox;
    readonly AlertingMetrics _metrics;
    readonly List<ChannelSender> _senders;
    readonly HashSet<string> _unknownChannels = [];
    DateTimeOffset? _watermark;
    bool _isInspected;
    bool _isWatermarkRead;

    /// <exception cref="ArgumentException">The options are not valid; the message has all reasons.</exception>
    internal AlertingHost(AlertingEnvironment environment, AlertingOptions options, TimeProvider time, ILogger<AlertingHost> logger)
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
        _senders = [.. options.Channels.Select(c => SenderOf(c.Open(options.Address, time)))];
    }

    /// <summary>Alerting as it ships, without a server around it.</summary>
    public static AlertingHost Over(
        IncidentStore incidents, RunStore runs, StateDatabase database, IMetricFactory metrics, AlertingOptions options,
        TimeProvider time) => new(
        new() { Incidents = new IncidentReader(incidents, runs, time).SinceAsync, Database = database, Metrics = metrics },
        options, time, NullLogger<AlertingHost>.Instance);

    public TicketStore Tickets { get; }

    /// <summary>
    /// Incidents that people were paged for and that are not over, with when they were paged last. None where there is no channel: earlier
    /// versions noted pages without one.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> PagedAsync(CancellationToken cancellation) =>
        HasChannel ? await _store.PagedAsync(cancellation) : new Dictionary<string, DateTimeOffset>();

    /// <summary>Incidents that people would have been paged for, with since when; there is no channel to page over.</summary>
    public async Task<IReadOnlyDictionary<string, DateTimeOffset>> UnpagedAsync(CancellationToken cancellation) =>
        await _store.UnpagedAsync(cancellation);

    /// <summary>False where nobody can be paged.</summary>
    public bool HasChannel => _options.HasChannel;

    /// <summary>The latest notifications first: of one state or incident, or all.</summary>
    internal async Task<IReadOnlyList<Notification>> NotificationsAsync(
        NotificationState? state = null, string? incident = null, int limit = 500, CancellationToken cancellation = default) =>
        await _outbox.ListAsync(state, incident, limit, cancellation);

    /// <summary>All decisions about an incident, the first first.</summary>
    internal async Task<IReadOnlyList<StoredDecision>> DecisionsAsync(string incident, CancellationToken cancellation) =>
        await _store.DecisionsAsync(incident, cancellation);

    /// <summary>The state was restored from a backup: no number is given again that may have been given since.</summary>
    public async Task BeginGenerationAsync(CancellationToken cancellation) =>
        await _environment.Database.SkipNumbersAsync("alerting_tickets", TicketsSinceBackup, cancellation);

    /// <summary>One pass by hand: decide on every incident as of <paramref name="now"/>, do what is due, then send what may go.</summary>
    public async Task RunOnceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await DecideAsync(now, cancellation);
        await SendDigestAsync(now, cancellation);
        if (_watermark == now)
            await DropOldAsync(now, cancellation);
        foreach (var sender in _senders)
            await sender.DrainAsync(cancellation);
    }

    /// <summary>Puts the lines that wait into one digest, where the oldest has waited long enough.</summary>
    internal async Task SendDigestAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (_senders.Exists(s => s.Channel.SendsDigests))
        {
            await _store.TakeDigestAsync(
                now - _options.DigestAfter, MostDigestLines,
                (transaction, first, lines) => PublishAsync(transaction, new AlertEvent.Digest(first, lines), now, cancellation),
                cancellation);
        }
    }

    /// <summary>Drops decisions, lines of digests and notifications that are older than they are kept.</summary>
    internal async Task DropOldAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        // After an outage a digest may still wait for what is dropped here.
        await SendDigestAsync(now, cancellation);
        await _store.DropAsync(
            now - _options.Retention, (transaction, kept) => OutboxStore.DropAsync(transaction, kept, cancellation), cancellation);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll([DecideAsync(stoppingToken), .. _senders.Select(s => LoopAsync(c => DrainAsync(s, c), stoppingToken))]);

    /// <summary>Another process may go on at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_environment.Lease is { } lease)
            await lease.TryReleaseAsync(cancellationToken);
    }

    public override void Dispose()
    {
        foreach (var sender in _senders)
            sender.Dispose();
        base.Dispose();
    }

    ChannelSender SenderOf(IChannel channel) => new(
        _outbox, channel, new SendRate(channel.CallsPerMinute, _options.Seed, _time), _metrics, _environment.Health, _time, _logger,
        _environment.Persisted);

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
            await StateLease.RunAsync(_environment.Lease, () => DecideAsync(_time.GetUtcNow(), cancellation), cancellation);
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

    async Task DrainAsync(ChannelSender sender, CancellationToken cancellation)
    {
        var channel = sender.Channel.Name;
        try
        {
            await StateLease.RunAsync(_environment.Lease, () => sender.DrainAsync(cancellation), cancellation);
            _environment.Health.Clear(ChannelSender.Component, channel);
        }
        catch (StateException)
        {
            // The database has said it, once; it is tried again.
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            _environment.Health.Failing(
                ChannelSender.Component, channel, $"Notifications cannot be read from the state: {e.Message} See the server's log.");
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
                _environment.Persisted();
        }

        if (failure is null)
            _environment.Health.Clear(Component, "incidents");
        else
        {
            _environment.Health.Failing(
                Component, "incidents", $"Whistle cannot decide whether to page for an incident: {failure} See the server's log.");
        }

        await ReportUnknownChannelsAsync(cancellation);
        // At once after a start: a row that cannot be read keeps a page from being sent.
        if (!_isInspected)
            await InspectAsync(cancellation);
        // Not where a closed incident is not settled yet: it must be read again however long that lasts.
        if (whole && !(now - _watermark < AdvanceEvery))
            await AdvanceAsync(now, cancellation);
        _metrics.LastPass.Set(now.ToUnixTimeMilliseconds() / 1000.0);
    }

    async Task AdvanceAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await InspectAsync(cancellation);
        await _store.AdvanceAsync(now, cancellation);
        _watermark = now;
    }

    async Task InspectAsync(CancellationToken cancellation)
    {
        await _outbox.InspectAsync(cancellation);
        _isInspected = true;
    }

    // A channel that was taken out of the configuration while something waited for it. Nobody would ever send that.
    async Task ReportUnknownChannelsAsync(CancellationToken cancellation)
    {
        var unknown = (await _outbox.WaitingAsync(cancellation)).Where(w => !_senders.Exists(s => s.Channel.Name == w.Channel)).ToList();
        foreach (var (channel, count) in unknown)
        {
            var reason = $"{count} {(count == 1 ? "notification waits" : "notifications wait")} for the channel {channel}, which is not "
                + "configured, so nobody is notified. Configure it again (docs/configuration.md) and restart the server.";
            _environment.Health.Report(ChannelSender.Component, Configuration(channel), HealthState.Degraded, reason);
            _metrics.Pending.WithLabels(channel).Set(count);
            if (_unknownChannels.Add(channel))
                _logger.ChannelUnknown(reason);
        }

        foreach (var channel in _unknownChannels.Except(unknown.Select(u => u.Channel)).ToList())
        {
            _environment.Health.Clear(ChannelSender.Component, Configuration(channel));
            _metrics.Pending.WithLabels(channel).Set(0);
            _unknownChannels.Remove(channel);
        }

        static string Configuration(string channel) => $"{channel} configuration";
    }

    // One of the future would hide incidents that closed.
    async Task<DateTimeOffset?> ReadWatermarkAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        if (!_isWatermarkRead)
        {
            var seen = await _store.WatermarkAsync(cancellation);
            _watermark = seen >= DateTimeOffset.UnixEpoch && seen <= now ? seen : null;
        }

        _isWatermarkRead = true;
        return _watermark;
    }

    async Task<Attempt> TryDecideAsync(
        IncidentView view, Dictionary<string, AlertState> known, DateTimeOffset now, CancellationToken cancellation)
    {
        var saved = false;
        try
        {
            var before = known.GetValueOrDefault(view.Incident.Id) ?? await _store.FindAsync(view.Incident.Id, cancellation);
            if (before is null && _environment.Database.IsDamaged(AlertingTables.IncidentsTable, view.Incident.Id))
                return new(view.Incident.ClosedAt is null, false, null);
            var (after, decisions) = AlertingEngine.Decide(view, before ?? AlertState.New, _options.Policy, now);
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
    readonly record struct Attempt(bool IsWhole, bool Saved, string? Failure);

    async Task SaveAsync(
        IncidentView view, AlertState state, IReadOnlyList<Decision> decisions, DateTimeOffset now, CancellationToken cancellation)
    {
        var id = view.Incident.Id;
        await _store.SaveAsync(view.Incident, state, decisions, now, async transaction =>
        {
            foreach (var decision in decisions)
            {
                if (await ApplyAsync(transaction, view, decision, now, cancellation) is { } alert)
                    await PublishAsync(transaction, alert, now, cancellation);
                await _environment.Note(transaction, id, now, decision, cancellation);
            }
        }, cancellation);
        foreach (var decision in decisions)
        {
            _metrics.Decisions.WithLabels(decision.Kind.Word()).Inc();
            _logger.Decided(id, decision.Text);
        }
    }

    /// <returns>What the channels are to notify of; null where there is nothing.</returns>
    static async Task<AlertEvent?> ApplyAsync(
        StateTransaction transaction, IncidentView view, Decision decision, DateTimeOffset now, CancellationToken cancellation)
    {
        switch (decision)
        {
            case Decision.Page page:
                return new AlertEvent.Paged(view, page);
            case Decision.Resolve resolve:
                return new AlertEvent.PageResolved(view.Incident, resolve.Number);
            case Decision.Announce announce:
                return new AlertEvent.IncidentClosed(view.Incident, announce.Pages, announce.Text);
            case Decision.Change change:
                return new AlertEvent.Changed(view, change.Repair);
            case Decision.OpenTicket open:
                var (ticket, entry) = await TicketStore.OpenAsync(transaction, view.Incident, open.Repair, now, cancellation);
                return new AlertEvent.TicketUpdated(ticket, entry);
            case Decision.ResolveTicket:
                var resolved = await TicketStore.ResolveAsync(transaction, view.Incident.Id, now, cancellation);
                return resolved is { } update ? new AlertEvent.TicketUpdated(update.Ticket, update.Entry) : null;
            case Decision.Digest digest:
                await AlertingStore.AddDigestLineAsync(transaction, view.Incident.Id, digest.Text, now, cancellation);
                return null;
            case Decision.Hold or Decision.Unpaged:
                return null;
            default:
                throw new InvalidOperationException($"{decision} is no decision.");
        }
    }

    async Task PublishAsync(StateTransaction transaction, AlertEvent alert, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_senders is [])
            return;
        var context = new ComposeContext(now, (await Lineage.ReadAsync(transaction.Connection, cancellation)).Suffix);
        foreach (var channel in _senders.Select(s => s.Channel))
        {
            foreach (var message in channel.Compose(alert, context))
                await OutboxStore.AddAsync(transaction, channel.Name, message, now, cancellation);
        }
    }
}
