using System.Net;
using System.Net.Security;
using System.Security.Authentication;

using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

using Whistle.Access;
using Whistle.Health;
using Whistle.Tls;

namespace Whistle.Hosting;

/// <summary>Who an address is for, so that a firewall can tell them apart.</summary>
enum Surface
{
    Everybody,

    /// <summary>What agents and collectors ask.</summary>
    Agents,

    /// <summary>The dashboard and the API.</summary>
    People,
}

/// <summary>The addresses that the server listens on.</summary>
static class Listeners
{
    const string SurfaceKey = "whistle.surface";

    // Whoever opens more than half of all connections takes them from the others. A proxy or a NAT may stand for many.
    static readonly ConnectionShares Shares = new((int)(ProcessLimits.MostConnections / 2));

    // As Kestrel's own; said here because a client that opens a connection and is silent holds it that long.
    static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

    // With forward secrecy and authenticated encryption only. TLS 1.3 has no others; of TLS 1.2 the usual ones have CBC too.
    static readonly CipherSuitesPolicy? Ciphers = OperatingSystem.IsWindows() ? null : new(
    [
        TlsCipherSuite.TLS_AES_256_GCM_SHA384, TlsCipherSuite.TLS_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_AES_128_GCM_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TlsCipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ]);

    public static void Listen(KestrelServerOptions kestrel, WhistleOptions options)
    {
        foreach (var (addresses, surface) in new[]
        {
            (options.Listen, Surface.Everybody), (options.ListenForAgents, Surface.Agents), (options.ListenForPeople, Surface.People),
        })
        {
            foreach (var address in addresses)
                Listen(kestrel, address, surface);
        }
    }

    /// <summary>Answers 404 for what the address is not for.</summary>
    public static void Use(WebApplication app) => app.Use(async (context, next) =>
    {
        var surface = (Surface)context.Features.GetRequiredFeature<IConnectionItemsFeature>().Items[SurfaceKey]!;
        var path = context.Request.Path;
        if (surface is Surface.Everybody || IsForAll(path) || IsForAgents(path) == surface is Surface.Agents)
        {
            await next(context);
            return;
        }

        await PlainRefusal.WriteAsync(context, StatusCodes.Status404NotFound, surface is Surface.Agents
            ? "This address is for agents. Ask for the one that is for people."
            : "This address is for people. Give the agent the one that is for agents.");
    });

    static void Listen(KestrelServerOptions kestrel, Uri address, Surface surface)
    {
        if (address.Host == "localhost")
            kestrel.ListenLocalhost(address.Port, Configure);
        else
            kestrel.Listen(IPAddress.Parse(address.Host.Trim('[', ']')), address.Port, Configure);

        void Configure(ListenOptions listen)
        {
            listen.Use(next => connection =>
            {
                connection.Items[SurfaceKey] = surface;
                return Shares.HoldAsync(connection, next);
            });
            if (address.Scheme == Uri.UriSchemeHttps)
                UseTls(listen);
        }
    }

    static void UseTls(ListenOptions listen)
    {
        var source = listen.ApplicationServices.GetRequiredService<CertificateSource>();
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = HandshakeTimeout,
            // For each connection, so that a certificate that is replaced counts from the next one on.
            OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = source.Current.Context,
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                CipherSuitesPolicy = Ciphers,
                ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            }),
        });
    }

    static bool IsForAll(PathString path) => path == "/-/healthy" || path == "/-/ready";

    static bool IsForAgents(PathString path) => path.StartsWithSegments("/api/v1/write") || path.StartsWithSegments("/agent");
}
