using System.Buffers;

using Microsoft.Extensions.Logging;

using Whistle.Agent.Buffering;
using Whistle.Agent.Reporting;
using Whistle.Agent.Running;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

namespace Whistle.Agent;

/// <summary>
/// Reads this host at a steady pace, keeps each report on disk, and sends it to the server. A host process runs it with
/// <see cref="RunAsync"/>; a test steps <see cref="ReportAsync"/> and <see cref="SendPendingAsync"/> by hand.
/// </summary>
public sealed class WhistleAgent : IDisposable
{
    readonly AgentOptions _options;
    readonly ILogger _log;
    readonly HostReport _report;
    readonly ReportBuffer _buffer;
    readonly KnownSeries _known;
    readonly ReportSender _sender;
    readonly CommandRunner? _commands;
    readonly ArrayBufferWriter<byte> _encoded = new();
    readonly SemaphoreSlim _reporting = new(1);
    readonly SemaphoreSlim _sending = new(1);
    readonly SemaphoreSlim _reported = new(0);

    /// <exception cref="ArgumentException">The options will not do; the message has all that is wrong.</exception>
    /// <exception cref="InvalidOperationException">Another agent uses the buffer's folder.</exception>
    public WhistleAgent(AgentOptions options, ILogger log)
        : this(options, log, HostSources.Of(options))
    {
    }

    internal WhistleAgent(AgentOptions options, ILogger log, IEnumerable<IReportSource> sources)
    {
        var errors = options.Server is null
            ? [.. options.Errors(), "The server is missing. Give its address with --server."]
            : options.Errors();
        if (errors.Count > 0)
            throw new ArgumentException(string.Join(Environment.NewLine, errors), nameof(options));
        _options = options;
        _log = log;
        _report = new HostReport(sources, options.Instance, options.Time, log);
        _buffer = new ReportBuffer(options.Buffer, options.Time, log);
        _known = new KnownSeries(options.Buffer.Folder, _report);
        _known.Load();
        _sender = new ReportSender(options, log);
        _commands = options.CommandsEnabled ? new CommandRunner(options, log) : null;
    }

    /// <summary>Reports that the server has not acknowledged.</summary>
    public int Pending => _buffer.Count;

    /// <summary>Makes one report now and returns when it is in the buffer.</summary>
    public async Task ReportAsync(CancellationToken cancellation)
    {
        await _reporting.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            // The reads block, the file system's for seconds in the worst case; the caller's thread shall not.
            await Task.Run(Report, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _reporting.Release();
        }
    }

    /// <summary>Sends what is buffered, oldest first, until the buffer is empty or the server must be tried again later.</summary>
    /// <returns>True when the buffer is empty.</returns>
    public async Task<bool> SendPendingAsync(CancellationToken cancellation) =>
        await SendAllAsync(cancellation).ConfigureAwait(false) is null;

    /// <summary>
    /// Reports results that wait, then leases once and runs what it is given. False where the server must be tried again later, or commands
    /// are not enabled.
    /// </summary>
    public async Task<bool> LeaseAndRunOnceAsync(CancellationToken cancellation) =>
        _commands is not null && await _commands.LeaseAndRunOnceAsync(cancellation).ConfigureAwait(false) is null;

    /// <summary>Reports and sends until it is cancelled. The first report is made at once. Returns without an exception.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        _log.AgentRuns(_options.Server!, _options.Interval.TotalSeconds, _options.Instance, _options.Buffer.Folder);
        try
        {
            await Task.WhenAll(
                ReportLoopAsync(cancellation), SendLoopAsync(cancellation),
                _commands?.RunAsync(cancellation) ?? Task.CompletedTask).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Nothing is lost: what was not sent is in the buffer.
        }
    }

    public void Dispose()
    {
        _sender.Dispose();
        _commands?.Dispose();
        _buffer.Dispose();
        _reporting.Dispose();
        _sending.Dispose();
        _reported.Dispose();
    }

    async Task ReportLoopAsync(CancellationToken cancellation)
    {
        var grid = new ReportGrid(_options.Interval, _options.Instance);
        while (true)
        {
            try
            {
                await ReportAsync(cancellation).ConfigureAwait(false);
            }
            catch (Exception e) when (!cancellation.IsCancellationRequested)
            {
                _log.ReportFailed(e);
            }

            if (_reported.CurrentCount == 0)
                _reported.Release();
            await Task.Delay(grid.UntilNext(_options.Time.GetUtcNow()), _options.Time, cancellation).ConfigureAwait(false);
        }
    }

    async Task SendLoopAsync(CancellationToken cancellation)
    {
        var backoff = new Backoff(_options.Seed, _options.LongestWait);
        var waited = false;
        while (true)
        {
            if (await TrySendAllAsync(cancellation).ConfigureAwait(false) is { } retry)
            {
                var wait = backoff.Next(retry.After);
                _log.SendingWaits(_buffer.Count, wait.TotalSeconds, retry.Reason);
                waited = true;
                await Task.Delay(wait, _options.Time, cancellation).ConfigureAwait(false);
                continue;
            }

            if (waited)
                _log.SendingRecovered();
            waited = false;
            backoff.Reset();
            await _reported.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    // Whatever goes wrong, the loop has to go on: an agent that only collects looks dead to the server.
    async Task<SendOutcome.Retryable?> TrySendAllAsync(CancellationToken cancellation)
    {
        try
        {
            return await SendAllAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return new SendOutcome.Retryable($"{e.GetType().Name}: {e.Message}");
        }
    }

    async Task<SendOutcome.Retryable?> SendAllAsync(CancellationToken cancellation)
    {
        await _sending.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            while (_buffer.Peek() is { } report)
            {
                switch (await _sender.SendAsync(report.Payload, cancellation).ConfigureAwait(false))
                {
                    case SendOutcome.Accepted:
                        _buffer.Remove(report);
                        break;
                    case SendOutcome.Final final:
                        _log.ReportRefused(final.Reason);
                        _buffer.Refuse(report);
                        break;
                    case SendOutcome.Retryable retry:
                        return retry;
                    case var other:
                        throw new InvalidOperationException($"Unknown outcome {other}.");
                }
            }

            return null;
        }
        finally
        {
            _sending.Release();
        }
    }

    void Report()
    {
        var time = _options.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var series = _report.Collect(time, WriteOwn);
        _encoded.ResetWrittenCount();
        RemoteWriteEncoder.EncodeV2(series, _encoded);
        using var body = RemoteWriteBody.Compress(_encoded.WrittenSpan);
        _buffer.Append(time, series.Count, body.Span.ToArray());
        _known.Save();
    }

    void WriteOwn(SeriesSet series)
    {
        AgentReport.WriteIdentity(series, _options);
        series.Add("whistle_agent_buffer_bytes", _buffer.Bytes);
        series.Add("whistle_agent_buffered_reports", _buffer.Count);
        if (_sender.ClockSkew is { } skew)
            series.Add("whistle_agent_clock_skew_seconds", skew.TotalSeconds);
        foreach (var reason in Enum.GetValues<DropReason>())
            series.Add("whistle_agent_dropped_samples_total", _buffer.Dropped(reason), "reason", Label(reason));
    }

    static string Label(DropReason reason) => reason switch
    {
        DropReason.TooOld => "too_old",
        DropReason.BufferFull => "buffer_full",
        DropReason.MemoryFull => "memory_full",
        DropReason.Corrupt => "corrupt",
        DropReason.Refused => "refused",
        _ => throw new InvalidOperationException($"Unknown reason {reason}."),
    };
}
