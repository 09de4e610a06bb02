using Whistle.Telemetry;

namespace Whistle.Agent.Reporting;

/// <summary>
/// One source from report to report. A read that hangs (a driver that does not answer, a dead server) leaves its thread and its series to
/// the source, which is not read again before it has returned. Not thread-safe.
/// </summary>
sealed class SourceState(IReportSource source, string instance, TimeProvider time)
{
    const int StackSize = 256 << 10;

    readonly long _interval = (long)(source.Description.Interval?.TotalMilliseconds ?? 0);
    Task? _hanging;
    long? _readAt;

    public SourceDescription Description { get; } = source.Description;

    public SeriesSet Series { get; } = new(
        new Label("job", source.Description.Job), new Label("instance", source.Description.Instance ?? instance));

    /// <summary>Identify what is said of the source.</summary>
    public Label[] Labels { get; } =
    [
        new("collector", source.Description.Name), new("instance", source.Description.Instance ?? instance),
        new("job", source.Description.Job),
    ];

    /// <summary>Its thread may still write into <see cref="Series"/>.</summary>
    public bool Hangs => _hanging is not null;

    public string? LastComplaint { get; set; }

    public DateTimeOffset ComplainedAt { get; set; }

    /// <summary>Once in each of its intervals, counted from 1970, so that nothing drifts.</summary>
    public bool IsDue(long now) => _interval == 0 || _readAt is not { } read || read / _interval != now / _interval;

    /// <exception cref="Exception">The source knows nothing; nothing is appended.</exception>
    public void Read(long now, List<TimeSeries> report)
    {
        _readAt = now;
        ForgetHanging();
        Series.Begin();
        try
        {
            Collect();
        }
        catch
        {
            if (!Hangs)
                Series.Abandon();
            throw;
        }

        Series.Commit(now, report);
    }

    void ForgetHanging()
    {
        if (_hanging is { IsCompleted: false })
            throw new TimeoutException("An earlier read has not returned yet.");
        if (_hanging is not null)
            Series.Abandon();
        _hanging = null;
    }

    void Collect()
    {
        if (Description.Timeout == Timeout.InfiniteTimeSpan)
        {
            source.Collect(Series);
            return;
        }

        var read = StartThread();
        try
        {
            read.WaitAsync(Description.Timeout, time).GetAwaiter().GetResult();
        }
        catch (TimeoutException) when (!read.IsCompleted)
        {
            _hanging = read;
            throw new TimeoutException($"It did not return within {Description.Timeout.TotalSeconds} s.");
        }
    }

    Task StartThread()
    {
        var read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(Run, StackSize) { IsBackground = true, Name = Description.Name }.Start();
        return read.Task;

        void Run()
        {
            try
            {
                source.Collect(Series);
                read.SetResult();
            }
            catch (Exception e)
            {
                read.SetException(e);
            }
        }
    }
}
