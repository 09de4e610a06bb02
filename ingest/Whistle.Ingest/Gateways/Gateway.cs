using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.Inventory.Callers;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Gateways;

public sealed record GatewayOptions
{
    /// <summary>Bytes of a body as it comes over the wire.</summary>
    public int MaxBodyBytes { get; init; } = 16 << 20;

    /// <summary>Bytes of a body once it is decompressed.</summary>
    public int MaxDecompressedBytes { get; init; } = 64 << 20;

    /// <summary>Samples a second that one tenant may send, over ten seconds.</summary>
    public double MaxSamplesPerSecond { get; init; } = 500_000;

    /// <summary>Requests of one sender that are processed at a time; more are asked to retry.</summary>
    public int MaxConcurrentRequests { get; init; } = 32;
}

/// <summary>
/// Takes remote-write 1.0 and 2.0. Answers 2xx only when the samples are durable; 503 with Retry-After when it cannot keep up; 429
/// for a tenant over its own limit; other 4xx with the reason for what can never succeed.
/// </summary>
public sealed class Gateway(
    GatewayOptions options, MemoryOptions memory, Credentials credentials, ITelemetryLog log, RefusedSenders refused, ProcessWatch process,
    IngestMetrics metrics, TimeProvider time, ILogger<Gateway> logger)
{
    // A sender that declares much and sends little must not hold what it declares.
    const int FirstBuffer = 64 << 10;

    readonly FairBudgets _bodies = new(memory.WriteBodies, "The bodies of requests being processed", "tenant");
    readonly TenantRates _rates = new(
        tenant => credentials.Register.Latest.LimitsOf(tenant).SamplesPerSecond ?? options.MaxSamplesPerSecond, time);

    readonly TenantRates _bytes = new(tenant => credentials.Register.Latest.LimitsOf(tenant).BytesPerSecond, time);
    readonly ConcurrentDictionary<Sender, int> _inWork = new();

    // New series cost much to decode; a tenant that brings many, by however many senders, leaves processors to the others.
    readonly TenantTurns _decoding =
        new(perTenant: Math.Max(1, Environment.ProcessorCount / 2), inAll: int.MaxValue, mostWaiting: int.MaxValue);

    public void Map(IEndpointRouteBuilder routes) => routes.MapPost("/api/v1/write", WriteAsync)
        .NeedsNobody("A sender shows its credential, which the gateway itself looks at.");

    async Task WriteAsync(HttpContext context)
    {
        var answer = await HandleAsync(context);
        metrics.Requests.WithLabels(answer.Status.ToString(CultureInfo.InvariantCulture)).Inc();
        await answer.WriteAsync(context.Response);
    }

    async Task<WriteAnswer> HandleAsync(HttpContext context)
    {
        var check = await credentials.CheckAsync(Bearer.TokenOf(context.Request) ?? "", context.RequestAborted);
        if (check.Sender is not { } sender)
            return Reject(check.IsKnown ? "archived" : "unauthorized", new WriteAnswer(check.IsKnown ? 403 : 401, check.Refusal));
        credentials.Hear(check, context);
        if (!RemoteWriteBody.TryGetVersion(
            context.Request.ContentType, context.Request.Headers[RemoteWriteBody.VersionHeader], out var version))
            return Reject("content_type", new WriteAnswer(415, $"This is not a remote-write content type. {RemoteWriteBody.Accepted}"));
        if (context.Request.Headers.ContentEncoding != "snappy")
            return Reject(
                "content_encoding", new WriteAnswer(415, "Send the body in snappy's block format, with Content-Encoding: snappy."));
        try
        {
            if (_inWork.AddOrUpdate(sender, 1, (_, count) => count + 1) > options.MaxConcurrentRequests)
                return Refuse(sender, "busy", "Too many requests are being processed.");
            if (process.Shortage is { } shortage)
                return Refuse(sender, "short", shortage);
            return await AppendAsync(context, sender, version);
        }
        catch (RemoteWriteException e)
        {
            logger.WriteRefused(sender.ClusterId, sender.Node, e.Message);
            return Reject(e.Reason.ToMetricLabel(), new WriteAnswer(e.Reason == RemoteWriteErrorReason.TooLarge ? 413 : 400, e.Message));
        }
        catch (BadHttpRequestException e)
        {
            return Reject("http", new WriteAnswer(e.StatusCode, e.Message));
        }
        catch (StoreException e)
        {
            return Refuse(sender, "store", e.Message);
        }
        catch (BusyException e)
        {
            return Refuse(sender, "memory", e.Message);
        }
        catch (OutOfMemoryException)
        {
            return Refuse(sender, "memory", "The server has no memory left for it.");
        }
        finally
        {
            _inWork.AddOrUpdate(sender, 0, (_, count) => count - 1);
        }
    }

    async Task<WriteAnswer> AppendAsync(HttpContext context, Sender sender, RemoteWriteVersion version)
    {
        var own = credentials.Register.Latest.LimitsOf(sender.Tenant);
        if (_rates.MustWait(sender.Tenant) is { } wait)
        {
            var most = own.SamplesPerSecond ?? options.MaxSamplesPerSecond;
            return TooFast(sender, $"{most:0} samples", own.SamplesPerSecond is not null, wait);
        }

        if (_bytes.MustWait(sender.Tenant) is { } delay)
            return TooFast(sender, $"{own.BytesPerSecond} bytes", true, delay);
        var append = await ReadAndAppendAsync(context, sender, version);
        var result = await append;
        _rates.Count(sender.Tenant, result.Stored + result.Refused + result.OverLimit);
        if (result is { Refused: 0, OverLimit: 0 })
            return new WriteAnswer(204, null) { Stored = result.Stored };
        logger.WriteRefused(sender.ClusterId, sender.Node, result.Reason!);
        var summary = $"{result.Stored} samples stored, {result.Refused + result.OverLimit} not. {result.Reason}";
        return new WriteAnswer(result.Refused > 0 ? 400 : 429, summary) { Stored = result.Stored };
    }

    WriteAnswer TooFast(Sender sender, string most, bool isOwn, TimeSpan wait) => Reject("rate", new WriteAnswer(
        429,
        $"The tenant {sender.Tenant} sends more than {most} a second{(isOwn ? ", which is its own limit" : "")}.")
    { RetryAfter = wait });

    // Holds the body no longer than until it is decoded.
    async Task<Task<AppendResult>> ReadAndAppendAsync(HttpContext context, Sender sender, RemoteWriteVersion version)
    {
        using var share = _bodies.Open(sender.Tenant);
        var body = await ReadBodyAsync(context, share);
        _bytes.Count(sender.Tenant, body.Length);
        try
        {
            using var turn = await _decoding.TryEnterAsync(sender.Tenant, context.RequestAborted);
            share.Take(RemoteWriteBody.DeclaredLength(body.Buffer.AsSpan(0, body.Length), options.MaxDecompressedBytes));
            using var decompressed = RemoteWriteBody.Decompress(body.Buffer.AsSpan(0, body.Length), options.MaxDecompressedBytes);
            return log.AppendAsync(sender, new ReceivedWrite(version, body.Buffer.AsSpan(0, body.Length), decompressed.Span));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(body.Buffer);
        }
    }

    WriteAnswer Reject(string reason, WriteAnswer answer)
    {
        metrics.Rejected.WithLabels(reason).Inc();
        return answer;
    }

    // The server's own trouble: the sender tries again, and that it does is known.
    WriteAnswer Refuse(Sender sender, string reason, string why)
    {
        refused.Note(sender);
        return Reject(reason, WriteAnswer.Busy(why));
    }

    async Task<(byte[] Buffer, int Length)> ReadBodyAsync(HttpContext context, ByteShare share)
    {
        // The limit is our own, so that its answer is too; the server's would close the connection.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        if (context.Request.ContentLength > options.MaxBodyBytes)
            throw TooLarge();
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(context.Request.ContentLength ?? FirstBuffer, FirstBuffer) + 1);
        var length = 0;
        try
        {
            share.Take(buffer.Length);
            while (await context.Request.Body.ReadAsync(buffer.AsMemory(length), context.RequestAborted) is > 0 and var read)
            {
                length += read;
                if (length > options.MaxBodyBytes)
                    throw TooLarge();
                if (length < buffer.Length)
                    continue;
                share.Take(buffer.Length);
                buffer = Grow(buffer);
            }

            return (buffer, length);
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    RemoteWriteException TooLarge() => new(
        RemoteWriteErrorReason.TooLarge, $"The body is larger than {options.MaxBodyBytes >> 20} MiB; send fewer samples at a time.");

    static byte[] Grow(byte[] buffer)
    {
        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}

/// <summary>What a sender of remote-write hears.</summary>
sealed record WriteAnswer(int Status, string? Message)
{
    public TimeSpan? RetryAfter { get; init; }

    public int? Stored { get; init; }

    public static WriteAnswer Busy(string why) => new(503, $"{why} Send again later.") { RetryAfter = TimeSpan.FromSeconds(5) };

    public async Task WriteAsync(HttpResponse response)
    {
        response.StatusCode = Status;
        if (Status == 401)
            response.Headers.WWWAuthenticate = "Bearer";
        if (RetryAfter is { } wait)
            response.Headers.RetryAfter = Math.Max(1, Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        // Remote-write 2.0 has senders check these.
        response.Headers["X-Prometheus-Remote-Write-Samples-Written"] = (Stored ?? 0).ToString(CultureInfo.InvariantCulture);
        response.Headers["X-Prometheus-Remote-Write-Histograms-Written"] = "0";
        response.Headers["X-Prometheus-Remote-Write-Exemplars-Written"] = "0";
        if (Message is null)
            return;
        response.ContentType = "text/plain; charset=utf-8";
        await response.WriteAsync(Message + "\n");
    }
}
