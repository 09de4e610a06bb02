using System.Net;

using Whistle.Tls;

namespace Whistle.Access;

/// <summary>
/// The names that the server is known by. A page elsewhere must not reach it under a name of its own that leads here; an address in digits
/// is no such name.
/// </summary>
/// <param name="certificate">Null where the server listens on the loopback alone.</param>
sealed class KnownHosts(WhistleOptions options, CertificateSource? certificate)
{
    public bool Has(string host) => host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || options.Names.Contains(host, StringComparer.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) ? IPAddress.IsLoopback(address) || certificate is not null
            : certificate?.Current.IsFor(host) is true);
}
