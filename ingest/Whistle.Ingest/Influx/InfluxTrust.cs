using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

using Whistle.State.Files;

namespace Whistle.Ingest.Influx;

/// <summary>Which server's certificate is believed.</summary>
static class InfluxTrust
{
    /// <param name="caFile">Certificates in PEM; null for those of the system.</param>
    /// <exception cref="StoreException">The file cannot be read.</exception>
    public static SocketsHttpHandler Handler(string? caFile)
    {
        var handler = new SocketsHttpHandler
        {
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            // An answer that is left is not read to its end: the connection is closed.
            MaxResponseDrainSize = 0,
            AllowAutoRedirect = false,
            UseCookies = false,
        };
        if (caFile is null)
            return handler;
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            },
        };
        try
        {
            handler.SslOptions.CertificateChainPolicy.CustomTrustStore.ImportFromPemFile(caFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            handler.Dispose();
            throw new StoreException($"The certificates in {caFile} cannot be read: {e.Message}", e);
        }

        return handler;
    }
}
