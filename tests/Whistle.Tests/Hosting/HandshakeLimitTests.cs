using System.Buffers;
using System.IO.Pipelines;

using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Time.Testing;

using Whistle.Hosting;

using Xunit;

namespace Whistle.Tests.Hosting;

public sealed class HandshakeLimitTests : IAsyncDisposable
{
    static readonly byte[] Record = [22, 3, 1, 0, 2, 7, 8];

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    readonly FakeTimeProvider _time = new();
    readonly DefaultConnectionContext _connection = new();
    readonly Pipe _fromClient = new();
    readonly TaskCompletionSource _tls = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HandshakeLimitTests() => _connection.Transport = new Duplex(_fromClient.Reader, new Pipe().Writer);

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    [Theory]
    [InlineData(new byte[0], false)]
    [InlineData(new byte[] { 22 }, false)]
    [InlineData(new byte[] { 22, 3, 1, 0 }, false)]
    [InlineData(new byte[] { 22, 3, 1, 0, 2, 7 }, false)]
    [InlineData(new byte[] { 22, 3, 1, 0, 2, 7, 8 }, true)]
    [InlineData(new byte[] { 22, 3, 1, 0, 0 }, true)]
    // More than a record may have, and what is no handshake: TLS says so.
    [InlineData(new byte[] { 22, 3, 1, 0x40, 1 }, true)]
    [InlineData(new byte[] { (byte)'G' }, true)]
    public void Tls_looks_at_a_whole_record_or_at_what_is_none(byte[] received, bool isForTls) =>
        Assert.Equal(isForTls, HandshakeLimits.IsForTls(new ReadOnlySequence<byte>(received)));

    [Fact]
    public async Task A_record_that_comes_in_parts_is_given_to_tls_whole()
    {
        var held = BeginAsync();
        foreach (var part in Record)
        {
            Assert.False(_begun.Task.IsCompleted);
            await _fromClient.Writer.WriteAsync(new[] { part }, TestContext.Current.CancellationToken);
        }

        await _begun.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.True(_connection.Transport.Input.TryRead(out var read));
        Assert.Equal(Record, read.Buffer.ToArray());
        _tls.SetResult();
        await held;
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(6)]
    public async Task Whoever_does_not_finish_the_first_record_is_ended_without_tls(int sent)
    {
        var held = BeginAsync();
        await _fromClient.Writer.WriteAsync(Record.AsMemory(0, sent), TestContext.Current.CancellationToken);
        _time.Advance(HandshakeLimits.Shortest - TimeSpan.FromMilliseconds(1));
        Assert.False(held.IsCompleted);
        _time.Advance(HandshakeLimits.Longest - HandshakeLimits.Shortest + TimeSpan.FromMilliseconds(1));
        await held;
        Assert.False(_begun.Task.IsCompleted);
    }

    [Fact]
    public async Task Whoever_does_not_finish_the_handshake_is_ended()
    {
        var held = BeginAsync();
        await _fromClient.Writer.WriteAsync(Record, TestContext.Current.CancellationToken);
        await _begun.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);
        _time.Advance(HandshakeLimits.Longest);
        Assert.True(_connection.ConnectionClosed.WaitHandle.WaitOne(Patience));
        _tls.SetResult();
        await held;
    }

    [Fact]
    public async Task A_connection_whose_handshake_is_done_has_no_limit_any_more()
    {
        var held = HandshakeLimits.Begin(
            HandshakeLimits.End(_ =>
            {
                _begun.SetResult();
                return _tls.Task;
            }), _time)(_connection);
        await _fromClient.Writer.WriteAsync(Record, TestContext.Current.CancellationToken);
        await _begun.Task.WaitAsync(Patience, TestContext.Current.CancellationToken);
        _time.Advance(10 * HandshakeLimits.Longest);
        Assert.False(_connection.ConnectionClosed.IsCancellationRequested);
        _tls.SetResult();
        await held;
    }

    [Fact]
    public async Task Few_handshakes_are_computed_at_once_and_whoever_leaves_while_it_waits_is_no_failure()
    {
        using var none = new SemaphoreSlim(0);
        var held = HandshakeLimits.Begin(
            _ =>
            {
                _begun.SetResult();
                return Task.CompletedTask;
            }, _time, none)(_connection);
        await _fromClient.Writer.WriteAsync(Record, TestContext.Current.CancellationToken);
        _connection.Abort();
        await held.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.False(_begun.Task.IsCompleted);
    }

    [Fact]
    public async Task Connections_that_were_opened_at_once_do_not_end_at_once()
    {
        var held = Enumerable.Range(0, 200).Select(_ => HandshakeLimits.Begin(
            _ => Task.CompletedTask, _time)(new DefaultConnectionContext
            {
                Transport = new Duplex(new Pipe().Reader, new Pipe().Writer),
            })).ToList();
        _time.Advance(HandshakeLimits.Shortest);
        for (var passed = HandshakeLimits.Shortest; passed < HandshakeLimits.Longest; passed += TimeSpan.FromSeconds(1))
        {
            var before = held.Count(h => h.IsCompleted);
            _time.Advance(TimeSpan.FromSeconds(1));
            Assert.InRange(held.Count(h => h.IsCompleted) - before, 0, 60);
        }

        await Task.WhenAll(held);
    }

    [Fact]
    public async Task A_client_that_goes_before_its_record_is_whole_is_no_failure()
    {
        var held = BeginAsync();
        await _fromClient.Writer.WriteAsync(Record.AsMemory(0, 3), TestContext.Current.CancellationToken);
        await _fromClient.Writer.CompleteAsync(new ConnectionResetException("gone"));
        await held;
        Assert.False(_begun.Task.IsCompleted);
    }

    Task BeginAsync() => HandshakeLimits.Begin(
        _ =>
        {
            _begun.SetResult();
            return _tls.Task;
        }, _time)(_connection);

    sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
