using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;

namespace Whistle.Benchmarks.Doors;

/// <summary>The server as whoever calls it sees it.</summary>
sealed record Target(Uri Address)
{
    /// <summary>A client with one connection of its own, from that address of the loopback.</summary>
    public HttpClient Client(IPAddress? from = null) => new(new SocketsHttpHandler
    {
#pragma warning disable CA5359 // Its certificate is its own, and it is this machine's.
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
#pragma warning restore CA5359
        MaxConnectionsPerServer = 1,
        ConnectCallback = async (context, cancellation) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (from is not null)
                socket.Bind(new IPEndPoint(from, 0));
            await socket.ConnectAsync(context.DnsEndPoint, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(2) };

    public HttpClient WithToken(string token)
    {
        var client = Client();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }
}
