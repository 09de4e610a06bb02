using System.Buffers;

using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent.Reporting;
using Whistle.Agent.Running;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

namespace Whistle.Demo;

/// <summary>
/// A node that is not there, with the agent's own report, encoder, sender and command runner: only what the collectors read and what the
/// actions change is a model. Reports wait on no disk; one that is not taken at once is lost. Not thread-safe.
/// </summary>
sealed class SimulatedNode : IDisposable
{
    const int Tries = 3;

    // Of the real clock: the demo's stands still while it is waited for.
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    readonly AgentOptions _options;
    readonly NodeModel _model;
    readonly HostReport _report;
    readonly ReportSender _sender;
    CommandRunner? _commands;
    Task? _poll;

    /// <param name="options">The server, the token, the network and the clock; the folder of the buffer is where commands are
    /// remembered.</param>
    public SimulatedNode(NodeSpec spec, AgentOptions options)
    {
        Spec = spec;
        _options = options;
        _model = new NodeModel(spec);
        _report = new HostReport(_model.Collectors, spec.Name, options.Time, NullLogger.Instance);
        _sender = new ReportSender(options);
    }

    public NodeSpec Spec { get; }

    /// <summary>Sends what the collectors see at the instant. False where the server did not take it.</summary>
    public Task<bool> ReportAsync(DateTimeOffset at, CancellationToken cancellation) => SendAsync(Collect(at), cancellation);

    /// <summary>Sends what the collectors would have seen, in one request: both ends are included.</summary>
    /// <param name="whole">Before this instant, only file systems.</param>
    public Task<bool> BackfillAsync(
        DateTimeOffset from, DateTimeOffset until, TimeSpan step, DateTimeOffset whole, CancellationToken cancellation)
    {
        var series = new Dictionary<Labels, List<Sample>>(ReferenceEqualityComparer.Instance);
        for (var at = from; at <= until; at += step)
        {
            foreach (var (labels, samples) in Collect(at))
            {
                if (at < whole && !labels.Name.StartsWith("node_filesystem_", StringComparison.Ordinal))
                    continue;
                if (!series.TryGetValue(labels, out var known))
                    series[labels] = known = [];
                known.Add(samples[0]);
            }
        }

        return SendAsync([.. series.Select(s => new TimeSeries(s.Key, s.Value))], cancellation);
    }

    /// <summary>Leases what waits for the node, does it and reports it.</summary>
    public async Task ObeyAsync(CancellationToken cancellation)
    {
        _commands ??= new CommandRunner(_options, NullLogger.Instance, SimulatedActions.For(Spec));
        if (_poll is null or { IsCompleted: true })
            _poll = _commands.LeaseAndRunOnceAsync(cancellation);
        try
        {
            await _poll.WaitAsync(Patience, TimeProvider.System, cancellation);
        }
        catch (TimeoutException)
        {
            // There was nothing after all; the poll ends when the clock has gone on.
        }
    }

    public void Dispose()
    {
        _sender.Dispose();
        _commands?.Dispose();
    }

    IReadOnlyList<TimeSeries> Collect(DateTimeOffset at)
    {
        _model.Now = at;
        return _report.Collect(at.ToUnixTimeMilliseconds(), WriteOwn);
    }

    void WriteOwn(SeriesSet series)
    {
        AgentReport.WriteIdentity(series, _options);
        series.Add("whistle_agent_buffer_bytes", 0);
        series.Add("whistle_agent_buffered_reports", 0);
    }

    async Task<bool> SendAsync(IReadOnlyList<TimeSeries> series, CancellationToken cancellation)
    {
        var encoded = new ArrayBufferWriter<byte>(16 << 10);
        RemoteWriteEncoder.EncodeV2(series, encoded);
        using var body = RemoteWriteBody.Compress(encoded.WrittenSpan);
        for (var i = 0; i < Tries; i++)
        {
            if (await _sender.SendAsync(body.Memory, cancellation) is not SendOutcome.Retryable)
                return true;
            await Task.Delay(Pause, TimeProvider.System, cancellation);
        }

        return false;
    }
}
