using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

using Whistle.Actions.Files;

namespace Whistle.Tls;

/// <summary>A certificate as it is shown to those who connect, with its key and those that lie between it and its authority.</summary>
sealed class ServerCertificate
{
    const int LargestFile = 256 << 10;

    static readonly SecretForm Key = new("the certificate's key", LargestFile, _ => null) { IsPlaced = true };
    static readonly SecretForm Password = SecretForm.Line("the password of the certificate's key");

    ServerCertificate(X509Certificate2 leaf, X509Certificate2Collection others)
    {
        Leaf = leaf;
        Context = SslStreamCertificateContext.Create(leaf, others, offline: true);
    }

    public X509Certificate2 Leaf { get; }

    public SslStreamCertificateContext Context { get; }

    public DateTimeOffset BeginsAt => Leaf.NotBefore.ToUniversalTime();

    public DateTimeOffset EndsAt => Leaf.NotAfter.ToUniversalTime();

    public bool IsFor(string host) => Leaf.MatchesHostname(host, allowWildcards: true, allowCommonName: false);

    /// <summary>Why the files that are named will not do; null where they will.</summary>
    public static string? Fault(TlsOptions options)
    {
        try
        {
            Of(Contents(options));
            return null;
        }
        catch (CertificateException e)
        {
            return e.Message;
        }
    }

    /// <summary>What the files hold now.</summary>
    /// <exception cref="CertificateException">One cannot be read.</exception>
    public static CertificateFiles Contents(TlsOptions options)
    {
        try
        {
            var password = options.PasswordFile is { } file ? new SecretFile(file, Password).Read() : null;
            if (options.KeyFile is null)
            {
                if (HoldsNoKey(options.CertificateFile!))
                    throw new CertificateException($"{options.CertificateFile} has no key in it. Name the file of its key in KeyFile.");

                // With the key in it, it is a secret.
                var both = new SecretFile(options.CertificateFile!, Key).ReadBytes();
                return new(options.CertificateFile!, both, both, password);
            }

            var certificate = ReadPublic(options.CertificateFile!);
            var key = new SecretFile(options.KeyFile, Key).ReadBytes();
            return HasKey(key) ? new(options.CertificateFile!, certificate, key, password)
                : throw new CertificateException($"{options.KeyFile} has no key in it. Name a PEM file with the key in KeyFile.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CertificateException(e.Message);
        }
    }

    // A certificate alone is no secret, so that it is readable is not what is wrong with it.
    static bool HoldsNoKey(string path)
    {
        try
        {
            return ReadPublic(path) is var file && !HasKey(file);
        }
        catch (CertificateException)
        {
            return false;
        }
    }

    static bool HasKey(byte[] file) => file.AsSpan().IndexOf("PRIVATE KEY-----"u8) >= 0;

    static byte[] ReadPublic(string path)
    {
        if (Native.IsKnown && Native.StatFollowing(path, out var stat) == 0 && !stat.IsFile)
            throw new CertificateException($"{path} is not a plain file. Name a file of certificates.");
        if (new FileInfo(path).Length is > LargestFile and var length)
            throw new CertificateException($"{path} has {length} bytes, more than any certificate.");
        var certificate = File.ReadAllBytes(path);
        return IsPem(certificate) ? certificate
            : throw new CertificateException($"{path} is not PEM. A PFX file has its key within: leave out KeyFile.");
    }

    /// <exception cref="CertificateException">They hold no certificate with its key.</exception>
    public static ServerCertificate Of(CertificateFiles files)
    {
        try
        {
            return IsPem(files.Certificate) ? OfPem(files) : OfPfx(files);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or NotSupportedException)
        {
            // Which of them it is, .NET says in words that are made for programmers.
            throw new CertificateException(
                $"{files.Name} is damaged, or its key or password is another certificate's: {e.Message.Split(" (Parameter")[0]}");
        }
    }

    static ServerCertificate OfPem(CertificateFiles files)
    {
        var text = Encoding.UTF8.GetString(files.Certificate);
        var key = Encoding.UTF8.GetString(files.Key);
        var leaf = files.Password is { } password
            ? X509Certificate2.CreateFromEncryptedPem(text, key, password) : X509Certificate2.CreateFromPem(text, key);
        var all = new X509Certificate2Collection();
        all.ImportFromPem(text);
        return new(leaf, [.. all.Skip(1)]);
    }

    static ServerCertificate OfPfx(CertificateFiles files)
    {
        var all = X509CertificateLoader.LoadPkcs12Collection(files.Certificate, files.Password, X509KeyStorageFlags.EphemeralKeySet);
        var leaf = all.FirstOrDefault(c => c.HasPrivateKey)
            ?? throw new CertificateException($"{files.Name} has no key in it. Export the certificate with its key.");
        return new(leaf, [.. all.Where(c => c != leaf)]);
    }

    static bool IsPem(byte[] file) => file.AsSpan().IndexOf("-----BEGIN "u8) >= 0;
}

/// <summary>What the files of a certificate hold.</summary>
/// <param name="Name">Of the certificate's.</param>
sealed record CertificateFiles(string Name, byte[] Certificate, byte[] Key, string? Password)
{
    /// <summary>Whether nothing has changed.</summary>
    public bool HasSame(CertificateFiles? other) => other is not null && Certificate.AsSpan().SequenceEqual(other.Certificate)
        && Key.AsSpan().SequenceEqual(other.Key) && Password == other.Password;

    // A record would print the password.
    public override string ToString() => Name;
}

/// <summary>No certificate can be had; the message says why.</summary>
sealed class CertificateException(string reason) : Exception(reason);
