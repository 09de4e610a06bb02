using System.Net;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

using Whistle.Actions.Files;
using Whistle.Agent.Settings;
using Whistle.Data;

namespace Whistle.Tls;

/// <summary>
/// The server as its own certificate authority, where nobody has given it a certificate. It is made once, in the data folder. Agents and
/// people pin its fingerprint, so the server's certificate can be renewed before it ends and when the machine gets another name.
/// </summary>
sealed class OwnAuthority
{
    const int LargestFile = 64 << 10;
    const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    // Clocks of others may be behind, and this one may have been ahead.
    static readonly TimeSpan Before = TimeSpan.FromDays(1);
    static readonly TimeSpan AuthorityBefore = TimeSpan.FromDays(3650);
    static readonly TimeSpan AuthorityLasts = TimeSpan.FromDays(7300);

    // As long as browsers take.
    static readonly TimeSpan Lasts = TimeSpan.FromDays(397);
    static readonly TimeSpan Renewed = TimeSpan.FromDays(30);

    // A new authority in silence would be one that no agent believes.
    static readonly SecretForm Form = new(
        "the server's own authority, from a backup (or delete the file: then a new authority is made, whose fingerprint all agents need)",
        LargestFile, Fault);

    static readonly SecretForm ServerForm = new("the server's own certificate", LargestFile, _ => null);

    readonly X509Certificate2 _authority;

    OwnAuthority(X509Certificate2 authority) => _authority = authority;

    public X509Certificate2 Certificate => _authority;

    /// <exception cref="SecretException">It can be neither read nor made.</exception>
    public static OwnAuthority In(string dataFolder, TimeProvider time)
    {
        Directory.CreateDirectory(Path.Combine(dataFolder, ServerFolder.Tls));
        var path = Path.Combine(dataFolder, ServerFolder.Authority);
        var file = new SecretFile(path, Form);
        var pem = Path.Exists(path) ? file.Read() : file.ReadOrMake(() => New(time.GetUtcNow()), time, _ => { });
        var authority = new OwnAuthority(X509Certificate2.CreateFromPem(pem, pem));
        authority.Publish(Path.Combine(dataFolder, ServerFolder.AuthorityForOthers));
        return authority;
    }

    /// <summary>The certificate that was signed before; null where there is none that would do.</summary>
    public ServerCertificate? Stored(string file)
    {
        try
        {
            var pem = Encoding.ASCII.GetBytes(new SecretFile(file, ServerForm).Read());
            var stored = ServerCertificate.Of(new(file, pem, pem, null));
            return IsSigned(stored.Leaf) ? stored : null;
        }
        catch (Exception e) when (e is SecretException or CertificateException)
        {
            return null;
        }
    }

    /// <summary>A certificate for these names, kept in the file where that takes it.</summary>
    public ServerCertificate Sign(IReadOnlyCollection<string> names, DateTimeOffset now, string file)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN=Whistle on {Environment.MachineName}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(ServerAuthentication)], false));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_authority, true, false));
        request.CertificateExtensions.Add(Alternatives(names));
        // TLS does not carry it; who has its fingerprint finds it here.
        request.CertificateExtensions.Add(new X509Extension(ServerTrust.AuthorityExtension, _authority.RawData, critical: false));
        using var certificate = request.Create(_authority, Later(now - Before, _authority.NotBefore), Until(now), Serial());
        var pem = Encoding.ASCII.GetBytes($"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");
        try
        {
            WholeFile.Replace(file, pem);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It does as well from memory; the next start makes another.
        }

        return ServerCertificate.Of(new(file, pem, pem, null));
    }

    /// <summary>Whether it is time to renew a certificate that it has signed.</summary>
    public bool IsDue(ServerCertificate certificate, IEnumerable<string> names, DateTimeOffset now) =>
        certificate.BeginsAt > now || !names.All(certificate.IsFor)
        // Not where that would make it no longer.
        || (certificate.EndsAt - now < Renewed && Until(now) - certificate.EndsAt > TimeSpan.FromDays(1));

    /// <summary>All that this machine is known by, and what people have named.</summary>
    public static IReadOnlyCollection<string> Names(IEnumerable<string> named)
    {
        var names = new SortedSet<string>(StringComparer.OrdinalIgnoreCase) { "localhost", "127.0.0.1", "::1" };
        var machine = Environment.MachineName.ToLowerInvariant();
        if (Uri.CheckHostName(machine) is UriHostNameType.Dns)
            names.Add(machine);
        try
        {
            var properties = IPGlobalProperties.GetIPGlobalProperties();
            if (properties.DomainName is { Length: > 0 } domain && Uri.CheckHostName($"{machine}.{domain}") is UriHostNameType.Dns)
                names.Add($"{machine}.{domain.ToLowerInvariant()}");
            names.UnionWith(NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses)
                .Select(a => a.Address).Where(a => !a.IsIPv6LinkLocal).Select(a => new IPAddress(a.GetAddressBytes()).ToString()));
        }
        catch (NetworkInformationException)
        {
            // A machine that does not tell: the names that people give remain.
        }

        names.UnionWith(named);
        return names;
    }

    // People need it; the server does not, so a disk that is full keeps nothing from starting.
    void Publish(string file)
    {
        var pem = _authority.ExportCertificatePem() + "\n";
        try
        {
            if (!File.Exists(file) || File.ReadAllText(file) != pem)
                WholeFile.Replace(file, Encoding.ASCII.GetBytes(pem));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start writes it.
        }
    }

    DateTimeOffset Until(DateTimeOffset now) => now + Lasts < _authority.NotAfter ? now + Lasts : _authority.NotAfter.ToUniversalTime();

    static DateTimeOffset Later(DateTimeOffset one, DateTime other) => one > other ? one : other.ToUniversalTime();

    bool IsSigned(X509Certificate2 leaf)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.IgnoreNotTimeValid;
        chain.ChainPolicy.CustomTrustStore.Add(_authority);
        return chain.Build(leaf);
    }

    static X509Extension Alternatives(IEnumerable<string> names)
    {
        var builder = new SubjectAlternativeNameBuilder();
        foreach (var name in names)
        {
            if (IPAddress.TryParse(name, out var address))
                builder.AddIpAddress(address);
            else
                builder.AddDnsName(name);
        }

        return builder.Build();
    }

    static string New(DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var name = $"CN=Whistle's authority on {Environment.MachineName}";
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using var certificate = request.CreateSelfSigned(now - AuthorityBefore, now + AuthorityLasts);
        return $"{certificate.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}";
    }

    static byte[] Serial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        // Positive, and of full length.
        serial[0] = (byte)((serial[0] & 0x7F) | 0x40);
        return serial;
    }

    static string? Fault(string pem)
    {
        try
        {
            using var authority = X509Certificate2.CreateFromPem(pem, pem);
            return authority.Extensions.OfType<X509BasicConstraintsExtension>().Any(e => e.CertificateAuthority)
                ? null : "holds a certificate that is no authority's.";
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            return "holds no authority with its key.";
        }
    }
}
