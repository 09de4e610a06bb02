using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

using Whistle.Benchmarks.Ingest;

namespace Whistle.Benchmarks.Doors;

/// <summary>What comes to a server that is open to a network. Each ends when it has done all, and says what it was answered.</summary>
static class Attacks
{
    /// <summary>Wrong passwords, from so many addresses that none of them is stopped for itself.</summary>
    public static async Task<string> GuessAsync(Target target, int attempts, int atOnce)
    {
        // 30 failures from one address are too many.
        const int fromEach = 25;
        var (answers, left) = (new ConcurrentDictionary<int, int>(), attempts);
        await Task.WhenAll(Enumerable.Range(0, atOnce).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) is >= 0 and var number)
            {
                using var client = target.Client(Loopback(number / fromEach));
                client.DefaultRequestHeaders.Add("Origin", target.Address.GetLeftPart(UriPartial.Authority));
                using var form = new FormUrlEncodedContent(
                [
                    new("name", string.Create(CultureInfo.InvariantCulture, $"somebody-{number % 100}")),
                    new("password", string.Create(CultureInfo.InvariantCulture, $"a wrong password {number}")),
                ]);
                using var answer = await client.PostAsync(new Uri("login", UriKind.Relative), form);
                answers.AddOrUpdate((int)answer.StatusCode, 1, (_, count) => count + 1);
            }
        }));
        return Counts(answers);
    }

    /// <summary>Connections that begin a handshake and say nothing more; whichever the server ends is made again.</summary>
    /// <param name="begun">What each of them says.</param>
    public static async Task<string> HoldAsync(Target target, int connections, byte[] begun, CancellationToken over)
    {
        var (made, held, most) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, connections).Select(async i =>
        {
            var nothing = new byte[64];
            while (!over.IsCancellationRequested)
            {
                using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                var isHeld = false;
                try
                {
                    socket.Bind(new IPEndPoint(Loopback(i % 50), 0));
                    await socket.ConnectAsync(IPAddress.Loopback, target.Address.Port, over);
                    isHeld = true;
                    Interlocked.Increment(ref made);
                    InterlockedMax(ref most, Interlocked.Increment(ref held));
                    await socket.SendAsync(begun, over);
                    while (await socket.ReceiveAsync(nothing, over) > 0)
                    {
                    }
                }
                catch (Exception e) when (e is SocketException or OperationCanceledException)
                {
                }

                if (isHeld)
                    Interlocked.Decrement(ref held);
            }
        }));
        return string.Create(CultureInfo.InvariantCulture, $"{most} held at once, {made} made");
    }

    /// <summary>The beginning of a record of 512 bytes that never comes.</summary>
    public static byte[] PartOfRecord() => [22, 3, 1, 2, 0];

    /// <summary>All that a client says before the server answers.</summary>
    public static async Task<byte[]> HelloAsync()
    {
        var (client, server) = Pair();
        await using (client)
        await using (server)
        {
            await using var tls = new SslStream(client);
            var never = tls.AuthenticateAsClientAsync("localhost");
            var hello = new byte[16 << 10];
            var length = await server.ReadAsync(hello);
            await server.DisposeAsync();
            await never.ContinueWith(static _ => { }, TaskScheduler.Default);
            return hello[..length];
        }
    }

    static (NetworkStream Client, NetworkStream Server) Pair()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new TcpClient();
        client.Connect((IPEndPoint)listener.LocalEndpoint);
        return (client.GetStream(), new(listener.AcceptSocket(), ownsSocket: true));
    }

    /// <summary>Agents whose credential was revoked, each with a connection of its own, that report every second.</summary>
    public static async Task<string> RetryAsync(Target target, IReadOnlyList<string> tokens, CancellationToken over)
    {
        var answers = new ConcurrentDictionary<int, int>();
        var body = new RequestTemplate([.. NodeProfile.Series(9999, 1)]).Next(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds());
        await Task.WhenAll(tokens.Select(async (token, i) =>
        {
            using var client = target.WithToken(token);
            var begun = Stopwatch.GetTimestamp();
            for (var due = TimeSpan.FromSeconds((double)i / tokens.Count); !over.IsCancellationRequested; due += TimeSpan.FromSeconds(1))
            {
                if (due - Stopwatch.GetElapsedTime(begun) is var early && early > TimeSpan.Zero)
                    await Task.Delay(early, TimeProvider.System, CancellationToken.None);
                try
                {
                    using var answer = await Callers.PostAsync(client, body);
                    answers.AddOrUpdate((int)answer.StatusCode, 1, (_, count) => count + 1);
                }
                catch (HttpRequestException)
                {
                    answers.AddOrUpdate(0, 1, (_, count) => count + 1);
                }
            }
        }));
        return Counts(answers);
    }

    static void InterlockedMax(ref int most, int value)
    {
        for (var seen = Volatile.Read(ref most); seen < value;)
            seen = Interlocked.CompareExchange(ref most, value, seen) is var was && was == seen ? value : was;
    }

    static string Counts(IEnumerable<KeyValuePair<int, int>> answers) =>
        string.Join(", ", answers.OrderBy(a => a.Key).Select(a => $"{a.Value} times {(a.Key == 0 ? "no answer" : a.Key)}"));

    static IPAddress Loopback(int number) => new([127, 1, (byte)(number / 200), (byte)(number % 200 + 1)]);
}
