using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Whistle.Agent.Settings;

/// <summary>
/// What proves the server, where the machine's own authorities are not asked: a file of authorities, or the fingerprint of the server's
/// certificate or of the authority that a Whistle server is for itself. Without either the machine's authorities count.
/// </summary>
public sealed record ServerTrust
{
    /// <summary>The authority of a Whistle server's own certificate, whole. The number is made of a UUID (ITU-T X.667).</summary>
    internal const string AuthorityExtension = "2.25.214286930721405306571893241890012474553";

    const int FingerprintDigits = 64;

    /// <summary>A PEM file of authorities; read again for each connection, so that a new one counts at once.</summary>
    public string? AuthorityFile { get; init; }

    /// <summary>SHA-256 in hexadecimal digits, with or without colons, as the server prints it.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>Whether a certificate is the server's own, for whoever lives in the server's process.</summary>
    internal Func<X509Certificate2, bool>? IsOwn { get; init; }

    /// <summary>What is wrong, with how to fix it.</summary>
    public IEnumerable<string> Errors(Uri? server)
    {
        if (Fingerprint is not null && Digits(Fingerprint) is null)
            yield return $"\"{Fingerprint}\" is not a SHA-256 fingerprint. Give the 64 hexadecimal digits that the server prints.";
        if (Fingerprint is not null && AuthorityFile is not null)
            yield return "A file of authorities and a fingerprint are given. Give one of them.";
        if (AuthorityFile is not null && Authorities(out var reason) is null)
            yield return reason;
        if ((Fingerprint ?? AuthorityFile) is not null && server is { IsAbsoluteUri: true, Scheme: "http" })
            yield return $"{server} has no certificate that could be proven. Write the address with https.";
    }

    /// <summary>Has connections proven so.</summary>
    public void Apply(SocketsHttpHandler handler)
    {
        if (IsOwn is not null || Fingerprint is not null || AuthorityFile is not null)
            handler.SslOptions.RemoteCertificateValidationCallback = Proves;
    }

    /// <summary>Why no connection to the address could be made, and what to do where that is known.</summary>
    public static string Words(Uri address, HttpRequestException e) => Explanation(address, e)
        ?? $"{address} cannot be reached: {e.Message}"
            + (e.InnerException is { } inner && inner.Message != e.Message ? $" ({inner.Message.TrimEnd('.')}.)" : "");

    /// <summary>Of a connection that was made and is not what was meant; null of any other.</summary>
    public static string? Explanation(Uri address, HttpRequestException e)
    {
        var (where, port) = (address.GetLeftPart(UriPartial.Authority), address.Authority);
        return e.InnerException switch
        {
            UnprovenException unproven => $"{where} is not proven. {unproven.Message}",
            // What is no certificate's fault has other words, which no type tells apart.
            AuthenticationException tls when tls.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase) =>
                $"{where} is not proven. {Fault(tls.Message, address.Host)} If the server has an authority of its own, name its "
                + "fingerprint with --ca-fingerprint or its file with --ca.",
            AuthenticationException =>
                $"{where} does not speak TLS, or was cut off. Look at the port; if the server listens there without TLS, did you mean "
                + $"http://{port}?",
            IOException when address.Scheme == Uri.UriSchemeHttp =>
                $"{where} closed the connection without an answer. If the server listens there with TLS, did you mean https://{port}?",
            _ => null,
        };
    }

    // As SslStream names the faults.
    static string Fault(string message, string host) =>
        message.Contains(nameof(SslPolicyErrors.RemoteCertificateNameMismatch), StringComparison.Ordinal)
            ? $"Its certificate is not for the name {host}: use a name that it has."
        : message.Contains(nameof(X509ChainStatusFlags.NotTimeValid), StringComparison.Ordinal)
            ? "Its certificate, or an authority's above it, has expired or is not valid yet: renew it, or set this machine's clock right."
        : "No authority that this machine knows has signed its certificate.";

    /// <summary>As the server prints it.</summary>
    public static string FingerprintOf(X509Certificate2 certificate) => certificate.GetCertHashString(HashAlgorithmName.SHA256);

    bool Proves(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 leaf || chain is null)
            throw new UnprovenException("The server shows no certificate.");
        if (IsOwn is not null)
            return IsOwn(leaf) ? true : throw new UnprovenException("What answers is not this server.");
        var pinned = Digits(Fingerprint);
        if (pinned is not null && FingerprintOf(leaf) == pinned)
            return InTime(leaf);
        // What the server has shown beside its own certificate.
        var shown = chain.ChainPolicy.ExtraStore;
        var roots = pinned is null ? Authorities(out var reason) ?? throw new UnprovenException(reason) : Pinned(shown, leaf, pinned);
        if (roots.Count == 0)
        {
            throw new UnprovenException(
                $"The server's certificate has the fingerprint {FingerprintOf(leaf)}, and neither it nor its authority has the one that "
                + $"was given, {pinned}. If the server was given another certificate on purpose, name the new fingerprint; else somebody "
                + "stands in between.");
        }

        return IsSignedBy(roots, leaf, shown) && HasName(errors, leaf);
    }

    // TLS does not carry a root, so a Whistle server's own certificate has it within. Whoever copies it there proves nothing: the
    // certificate must be signed by it.
    static X509Certificate2Collection Pinned(X509Certificate2Collection shown, X509Certificate2 leaf, string pinned)
    {
        X509Certificate2Collection found = [];
        found.AddRange(shown.Where(c => FingerprintOf(c) == pinned).ToArray());
        if (leaf.Extensions[AuthorityExtension] is { } within
            && Convert.ToHexString(SHA256.HashData(within.RawData)) == pinned)
            found.Add(X509CertificateLoader.LoadCertificate(within.RawData));
        return found;
    }

    static bool IsSignedBy(X509Certificate2Collection roots, X509Certificate2 leaf, X509Certificate2Collection shown)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(ServerAuthentication);
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        chain.ChainPolicy.ExtraStore.AddRange(shown);
        return chain.Build(leaf) ? true : throw new UnprovenException(
            $"The server's certificate ({leaf.Subject}) is not proven by the authority that was given: "
            + $"{string.Join(" ", chain.ChainStatus.Select(s => s.StatusInformation.Trim()).Where(s => s.Length > 0).Distinct())}");
    }

    static bool HasName(SslPolicyErrors errors, X509Certificate2 leaf) =>
        !errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) ? true : throw new UnprovenException(
            $"The server's certificate ({leaf.Subject}) is not for the name in its address. Use a name that it has, or add this one to "
            + "the server's setting Names.");

    static bool InTime(X509Certificate2 leaf)
    {
        var now = TimeProvider.System.GetUtcNow();
        return leaf.NotBefore.ToUniversalTime() <= now && now < leaf.NotAfter.ToUniversalTime() ? true : throw new UnprovenException(
            $"The server's certificate counts from {leaf.NotBefore.ToUniversalTime():u} to {leaf.NotAfter.ToUniversalTime():u}, and it is "
            + $"{now:u} here. "
            + "Renew it, or set this machine's clock right.");
    }

    X509Certificate2Collection? Authorities(out string reason)
    {
        try
        {
            var found = new X509Certificate2Collection();
            found.ImportFromPemFile(AuthorityFile!);
            reason = $"{AuthorityFile} has no certificate in it. Name a PEM file.";
            return found.Count > 0 ? found : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            reason = $"The file of authorities {AuthorityFile} cannot be read: {e.Message}";
            return null;
        }
    }

    [return: NotNullIfNotNull(nameof(fingerprint))]
    static string? Upper(string? fingerprint) => fingerprint?.Replace(":", "", StringComparison.Ordinal).ToUpperInvariant();

    // Null where it is no fingerprint.
    static string? Digits(string? fingerprint) =>
        Upper(fingerprint) is { Length: FingerprintDigits } digits && digits.All(char.IsAsciiHexDigit) ? digits : null;

    static readonly Oid ServerAuthentication = new("1.3.6.1.5.5.7.3.1");
}

/// <summary>The server did not prove itself; the message says why and what to do.</summary>
public sealed class UnprovenException(string reason) : AuthenticationException(reason);
