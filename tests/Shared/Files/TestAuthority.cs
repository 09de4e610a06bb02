using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Whistle.Fixtures;

/// <summary>An authority in the test's hand, with RSA keys, as a company's own would have.</summary>
sealed class TestAuthority : IDisposable
{
    readonly RSA _key = RSA.Create(2048);

    public TestAuthority(string name)
    {
        var request = new CertificateRequest($"CN={name} authority", _key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Certificate = request.CreateSelfSigned(Day(-30), Day(30));
    }

    public X509Certificate2 Certificate { get; }

    /// <summary>PEM.</summary>
    public string Key => _key.ExportPkcs8PrivateKeyPem();

    public string Fingerprint => Convert.ToHexString(SHA256.HashData(Certificate.RawData));

    /// <summary>A certificate with its key.</summary>
    /// <param name="from">Days from now.</param>
    /// <param name="until">Days from now.</param>
    public X509Certificate2 Sign(string name, int from = -1, int until = 25, string usage = "1.3.6.1.5.5.7.3.1")
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        using var signed = request.Create(Certificate, Day(from), Day(until), RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }

    public static string KeyOf(X509Certificate2 certificate) => certificate.GetRSAPrivateKey()!.ExportPkcs8PrivateKeyPem();

    public void Dispose()
    {
        _key.Dispose();
        Certificate.Dispose();
    }

    static DateTimeOffset Day(int day) => TimeProvider.System.GetUtcNow().AddDays(day);
}
