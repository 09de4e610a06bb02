using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;

using Microsoft.AspNetCore.Connections;

namespace Whistle.Hosting;

/// <summary>
/// How long a connection may take until its TLS stands. Each has a limit of its own, drawn at random, so that thousands that were opened at
/// once do not end at once. Nothing is spent on TLS before its first record is whole, and what a hello costs is spent on few at a time.
/// </summary>
static class HandshakeLimits
{
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(20);

    // Of a record: its type, the version, and the length of what follows.
    const int HeaderLength = 5;
    const byte Handshake = 22;
    const int LongestRecord = 1 << 14;

    // Whoever is answered already shares the processors with half as many handshakes, not with all that came at once.
    static readonly SemaphoreSlim Places = new(Math.Max(1, Environment.ProcessorCount / 2));

    static readonly object Key = new();

    /// <summary>What comes before TLS.</summary>
    /// <param name="places">Other than the process has; a test's own.</param>
    public static ConnectionDelegate Begin(ConnectionDelegate next, TimeProvider time, SemaphoreSlim? places = null) => async connection =>
    {
        var limit = Shortest + TimeSpan.FromMilliseconds(
            RandomNumberGenerator.GetInt32((int)(Longest - Shortest).TotalMilliseconds + 1));
        await using var pending = new Pending(connection);
        connection.Items[Key] = pending;
        pending.Limit(time, limit);
        if (await pending.HasRecordAsync() && await BeginAsync(next, connection, places ?? Places) is { } handshake)
            await handshake;
    };

    // Its first record is there, so what TLS computes for a hello of one record is done when the call returns; then it waits for the other
    // side. A hello in parts computes outside, as all did without this.
    static async Task<Task?> BeginAsync(ConnectionDelegate next, ConnectionContext connection, SemaphoreSlim places)
    {
        try
        {
            await places.WaitAsync(connection.ConnectionClosed);
        }
        catch (OperationCanceledException)
        {
            // Whoever has gone, or has waited too long, is told nothing.
            return null;
        }

        try
        {
            return next(connection);
        }
        finally
        {
            places.Release();
        }
    }

    /// <summary>What comes after it.</summary>
    public static ConnectionDelegate End(ConnectionDelegate next) => async connection =>
    {
        if (connection.Items[Key] is Pending pending)
            await pending.DisposeAsync();
        await next(connection);
    };

    /// <summary>Whether TLS is to look at what has come: its first record, or what is none.</summary>
    internal static bool IsForTls(ReadOnlySequence<byte> received)
    {
        if (received.IsEmpty)
            return false;
        if (received.FirstSpan[0] != Handshake)
            return true;
        if (received.Length < HeaderLength)
            return false;
        Span<byte> header = stackalloc byte[HeaderLength];
        received.Slice(0, HeaderLength).CopyTo(header);
        var length = header[3] << 8 | header[4];
        return length > LongestRecord || received.Length >= HeaderLength + length;
    }

    sealed class Pending(ConnectionContext connection) : IAsyncDisposable
    {
        ITimer? _timer;
        int _isInTls;

        public void Limit(TimeProvider time, TimeSpan limit) =>
            _timer = time.CreateTimer(static state => ((Pending)state!).GiveUp(), this, limit, Timeout.InfiniteTimeSpan);

        public async ValueTask<bool> HasRecordAsync()
        {
            try
            {
                return await ReadRecordAsync(connection.Transport.Input);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // The other side, or the server's own end, ended the connection.
                return false;
            }
        }

        public ValueTask DisposeAsync() => _timer?.DisposeAsync() ?? ValueTask.CompletedTask;

        async ValueTask<bool> ReadRecordAsync(PipeReader input)
        {
            while (true)
            {
                var read = await input.ReadAsync();
                if (read.IsCanceled)
                    return false;
                var isForTls = IsForTls(read.Buffer);
                // Looked at, not taken: it is TLS that reads it.
                input.AdvanceTo(read.Buffer.Start, isForTls ? read.Buffer.Start : read.Buffer.End);
                if (isForTls)
                {
                    Volatile.Write(ref _isInTls, 1);
                    return true;
                }

                if (read.IsCompleted)
                    return false;
            }
        }

        // A read that is cancelled costs a fraction of one that fails.
        void GiveUp()
        {
            if (Volatile.Read(ref _isInTls) == 0)
                connection.Transport.Input.CancelPendingRead();
            else
                connection.Abort(new ConnectionAbortedException("The TLS handshake took too long."));
        }
    }
}
