using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

using Whistle.Detectors.Signals;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Detectors;

/// <summary>The signals that other processes have found out, from the database: a second late at most.</summary>
sealed class StoredSignals(
    StateDatabase database, RulesHost rules, HealthBoard health, PassWatch watch, TimeProvider time, ILogger<StoredSignals> logger)
    : BackgroundService, ISignals
{
    const string Component = "rules";

    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    // Another process takes a share over within half of it.
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    readonly SignalStore _store = new(database);
    readonly Guid _source = Guid.NewGuid();
    readonly HashSet<string> _silent = [];
    SignalList? _signals;
    IReadOnlyList<ShareState> _shares = [];
    IReadOnlyList<(Signal Signal, string Share)> _rows = [];
    DateTimeOffset _since;
    long _number;

    public SignalList Signals => Volatile.Read(ref _signals) ?? [];

    public SignalList? ActiveSignals => Volatile.Read(ref _signals);

    public async Task<IReadOnlyList<Signal>> EndedSignalsAsync(DateTimeOffset since, CancellationToken cancellation) =>
        await _store.EndedAsync(since, cancellation);

    /// <summary>Reads what has changed.</summary>
    public async Task ReadAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var shares = await RuleShares.AllAsync(database, cancellation);
        if (shares.Count == 0)
        {
            health.Failing(Component, "shares", "No process evaluates rules: none of the role detect has started yet.");
            return;
        }

        health.Clear(Component, "shares");
        Judge(shares, now);
        if (_signals is not null && shares.ToHashSet().SetEquals(_shares))
            return;
        if (_signals is null || !Changes(shares).SetEquals(Changes(_shares)))
            _rows = await _store.LoadSharedAsync(cancellation);
        var signals = Inhibition.Apply(rules.Rules.InhibitRules, await _store.SeenAsync(_rows, cancellation));
        _shares = shares;
        Volatile.Write(ref _signals, new SignalList(new(_source, Interlocked.Increment(ref _number)), signals));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        _since = time.GetUtcNow();
        var pass = watch.Watch("signals", Step);
        using var timer = new PeriodicTimer(Step, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                pass.Begin();
                await ReadAsync(time.GetUtcNow(), stoppingToken);
                pass.Succeed();
            }
            catch (StateException)
            {
                // The database has said it, once; it is read again.
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                pass.Fail(e);
                logger.PassFailed(e);
            }
        }
    }

    // Without the times: those say only that evaluation goes on.
    static HashSet<(string, string, long)> Changes(IEnumerable<ShareState> shares) =>
        [.. shares.Select(s => (s.Share, s.Owner, s.Changes))];

    // A share that nobody evaluates is one where nothing is found out any more.
    void Judge(IReadOnlyList<ShareState> shares, DateTimeOffset now)
    {
        foreach (var share in shares)
        {
            var subject = $"share {share.Share}";
            if (now - share.EvaluatedAt < Patience || now - _since < Patience)
            {
                if (_silent.Remove(subject))
                    health.Clear(Component, subject);
                continue;
            }

            _silent.Add(subject);
            health.Failing(
                Component, subject,
                $"The clusters of partition {share.Share} have not been evaluated since {share.EvaluatedAt:u}: nothing new is found out "
                + "about them. Start a process of the role detect, or see why none reads the log.");
        }
    }
}
