using System.Collections.Concurrent;

using Prometheus;

namespace Whistle.State.Health;

/// <summary>
/// Watches the passes that a process makes again and again (over rules, incidents, runs, pages) from outside of them: a timer of its own
/// looks at when each last succeeded, and reports what is overdue, for a pass that is stuck can tell nobody.
/// </summary>
public sealed class PassWatch(HealthBoard board, IMetricFactory metrics, TimeProvider time) : IDisposable
{
    /// <summary>Exposed, and recorded as a series that rules can read.</summary>
    public const string OverdueMetric = "whistle_pass_overdue_seconds";

    const string Subject = "pass";
    static readonly TimeSpan Look = TimeSpan.FromSeconds(5);

    readonly ConcurrentDictionary<string, WatchedPass> _passes = new();
    readonly Gauge _overdue = metrics.CreateGauge(OverdueMetric, "How long a pass has been overdue; 0 while it is not.", ["stage"]);
    readonly Gauge _succeeded =
        metrics.CreateGauge("whistle_pass_last_success_timestamp_seconds", "When the latest pass succeeded.", ["stage"]);
    readonly Lock _lock = new();
    System.Threading.ITimer? _timer;

    /// <summary>
    /// Begins to watch a stage, which is also the component that is reported. It is overdue after ten intervals or a minute, whichever is
    /// longer.
    /// </summary>
    public WatchedPass Watch(string stage, TimeSpan interval)
    {
        var bound = TimeSpan.FromSeconds(Math.Max(60, 10 * interval.TotalSeconds));
        var pass = _passes[stage] = new WatchedPass(
            bound, time, at => _succeeded.WithLabels(stage).Set(at.ToUnixTimeMilliseconds() / 1000.0));
        lock (_lock)
            _timer ??= time.CreateTimer(_ => Judge(), null, Look, Look);
        return pass;
    }

    /// <summary>How long each stage has been overdue, zero where it is not.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Overdue() => _passes.ToDictionary(p => p.Key, p => p.Value.Overdue());

    public void Dispose()
    {
        lock (_lock)
            _timer?.Dispose();
    }

    void Judge()
    {
        foreach (var (stage, pass) in _passes)
        {
            var overdue = pass.Overdue();
            _overdue.WithLabels(stage).Set(overdue.TotalSeconds);
            if (overdue > TimeSpan.Zero)
                board.Report(stage, Subject, HealthState.Failed, $"The pass over {stage} has not succeeded {pass.Words()}. "
                    + "The log says what happened before; if the pass is stuck, restart the server.");
            else if (pass.Failure is { } failure)
                board.Report(
                    stage, Subject, HealthState.Degraded,
                    $"The latest pass over {stage} failed: {failure} It is retried; the server's log says more.");
            else
                board.Clear(stage, Subject);
        }
    }
}

/// <summary>One stage's passes. Time is by the clock that only goes forward.</summary>
public sealed class WatchedPass
{
    readonly TimeSpan _bound;
    readonly TimeProvider _time;
    readonly Action<DateTimeOffset> _onSuccess;
    long _succeeded;
    long _begun;
    string? _failure;

    internal WatchedPass(TimeSpan bound, TimeProvider time, Action<DateTimeOffset> onSuccess)
    {
        (_bound, _time, _onSuccess) = (bound, time, onSuccess);
        _succeeded = time.GetTimestamp();
    }

    public void Begin() => Volatile.Write(ref _begun, _time.GetTimestamp());

    public void Succeed()
    {
        Volatile.Write(ref _begun, 0);
        Volatile.Write(ref _failure, null);
        Volatile.Write(ref _succeeded, _time.GetTimestamp());
        _onSuccess(_time.GetUtcNow());
    }

    public void Fail(Exception exception)
    {
        Volatile.Write(ref _failure, exception.Message);
        Volatile.Write(ref _begun, 0);
    }

    internal string? Failure => Volatile.Read(ref _failure);

    internal TimeSpan Overdue() =>
        _time.GetElapsedTime(Volatile.Read(ref _succeeded)) - _bound is { Ticks: > 0 } late ? late : TimeSpan.Zero;

    internal string Words()
    {
        var age = $"for {_time.GetElapsedTime(Volatile.Read(ref _succeeded)).TotalSeconds:0} s";
        return (Volatile.Read(ref _begun), Volatile.Read(ref _failure)) switch
        {
            (not 0 and var begun, _) => $"{age}: one has been running for {_time.GetElapsedTime(begun).TotalSeconds:0} s",
            (_, { } failure) => $"{age}: the latest failed ({failure})",
            _ => $"{age}: none has begun",
        };
    }
}
