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
                Listen(kestrel, address, surface, options.Time);
        }
    }

    /// <summary>Answers 404 for what the address, or this process, is not for.</summary>
    public static void Use(WebApplication app)
    {
        var roles = app.Services.GetRequiredService<WhistleOptions>().Roles;
        app.Use(async (context, next) =>
        {
            var surface = (Surface)context.Features.GetRequiredFeature<IConnectionItemsFeature>().Items[SurfaceKey]!;
            if (Refusal(surface, roles, context.Request.Path) is { } refusal)
                await PlainRefusal.WriteAsync(context, StatusCodes.Status404NotFound, refusal);
            else
                await next(context);
        });
    }

    static string? Refusal(Surface surface, ServerRoles roles, PathString path)
    {
        if (IsForAll(path))
            return null;
        var isForAgents = IsForAgents(path);
        if (surface is Surface.Agents && !isForAgents)
            return "This address is for agents. Ask for the one that is for people.";
        if (surface is Surface.People && isForAgents)
            return "This address is for people. Give the agent the one that is for agents.";
        if (isForAgents && !roles.HasFlag(ServerRoles.Gateway))
            return "This process does not have the role gateway. Give the agent the address of one that has.";
        if (!isForAgents && !IsForOperators(path) && !roles.HasFlag(ServerRoles.Web))
            return "This process does not have the role web. Ask for the address of one that has.";
        return null;
    }

    static void Listen(KestrelServerOptions kestrel, Uri address, Surface surface, TimeProvider time)
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
                UseTls(listen, time);
        }
    }

    static void UseTls(ListenOptions listen, TimeProvider time)
    {
        var source = listen.ApplicationServices.GetRequiredService<CertificateSource>();
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.Use(next => HandshakeLimits.Begin(next, time));
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            HandshakeTimeout = 2 * HandshakeLimits.Longest,
            // For each connection, so that a certificate that is replaced counts from the next one on.
            OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = source.Current.Context,
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                CipherSuitesPolicy = Ciphers,
                ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            }),
        });
        listen.Use(HandshakeLimits.End);
    }

    // What monitoring and operators ask of each process by itself.
    static bool IsForOperators(PathString path) =>
        path == "/metrics" || path == "/-/reload" || path.StartsWithSegments("/api/whistle/v1/health")
        || path.StartsWithSegments("/api/whistle/v1/jobs");

    static bool IsForAll(PathString path) => path == "/-/healthy" || path == "/-/ready";

    static bool IsForAgents(PathString path) => path.StartsWithSegments("/api/v1/write") || path.StartsWithSegments("/agent");
}
