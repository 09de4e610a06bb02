using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.RegularExpressions;

using Microsoft.Win32.SafeHandles;

using Whistle.Actions.Files;

namespace Whistle.Actions.Certificates;

/// <summary>One certificate in a file. Of a chain each is one.</summary>
sealed record FoundCertificate(string Path, string Subject, string Issuer, DateTimeOffset NotBefore, DateTimeOffset NotAfter)
{
    /// <summary>Null where nothing may be said by the node's clock.</summary>
    public double? DaysLeft { get; init; }
}

/// <summary>Certificates of PEM files, and those that kubeconfig files carry. Private keys in the same file are passed over.</summary>
static partial class PemFile
{
    const int Largest = 1 << 20;
    const int MostCertificates = 50;
    const int LongestName = 300;

    /// <summary>Empty, with the reason, where there is none in it.</summary>
    public static IReadOnlyList<FoundCertificate> Read(string path, out string? refusal)
    {
        if (Text(path, out refusal) is not { } text)
            return [];
        try
        {
            var found = new List<FoundCertificate>();
            foreach (var pem in Pems(text).Take(MostCertificates))
                found.AddRange(Parse(path, pem));
            refusal = found.Count == 0 ? $"{path} has no certificate in it." : null;
            return found;
        }
        catch (Exception e) when (e is CryptographicException or FormatException or ArgumentException)
        {
            refusal = $"{path} has a certificate that cannot be read: {e.Message}";
            return [];
        }
    }

    static IEnumerable<string> Pems(string text) => Block().Matches(text).Select(m => m.Value)
        .Concat(ClientData().Matches(text).Select(m => Encoding.ASCII.GetString(Convert.FromBase64String(m.Groups[1].Value))));

    static IEnumerable<FoundCertificate> Parse(string path, string pem)
    {
        var certificates = new X509Certificate2Collection();
        certificates.ImportFromPem(pem);
        foreach (var certificate in certificates)
        {
            using (certificate)
            {
                yield return new FoundCertificate(
                    path, Short(certificate.Subject), Short(certificate.Issuer),
                    certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime());
            }
        }
    }

    static string Short(string name) => name.Length > LongestName ? name[..LongestName] + "…" : name;

    // Of root's own files only links are followed: the kubelet's current certificate is one.
    static string? Text(string path, out string? refusal)
    {
        try
        {
            using var file = File.OpenHandle(path);
            Native.Stat((int)file.DangerousGetHandle(), out var stat);
            refusal =
                !stat.IsFile ? $"{path} is not a file." : stat.Length > Largest ? $"{path} is larger than {Largest >> 20} MiB." : null;
            return refusal is null ? ReadAll(file, (int)stat.Length) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refusal = $"{path} cannot be read: {e.Message}";
            return null;
        }
    }

    static string ReadAll(SafeFileHandle file, int length)
    {
        var bytes = new byte[length];
        return Encoding.UTF8.GetString(bytes, 0, RandomAccess.Read(file, bytes, 0));
    }

    [GeneratedRegex("-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----")]
    private static partial Regex Block();

    [GeneratedRegex(@"^\s*client-certificate-data:\s*([A-Za-z0-9+/=]+)\s*$", RegexOptions.Multiline)]
    private static partial Regex ClientData();
}
