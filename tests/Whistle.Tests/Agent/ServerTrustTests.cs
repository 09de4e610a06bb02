using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

using Whistle.Agent.Settings;
using Whistle.Fixtures;

using Xunit;

namespace Whistle.Tests.Agent;

/// <summary>Which servers an agent or a verb of the command line takes for the one that was meant.</summary>
public sealed class ServerTrustTests : IDisposable
{
    readonly HostFixture _folder = new();
    readonly TestAuthority _authority = new("real");
    readonly TestAuthority _other = new("another");

    public void Dispose()
    {
        _authority.Dispose();
        _other.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void The_fingerprint_of_the_authority_proves_what_it_has_signed_for_the_name()
    {
        var leaf = _authority.Sign("node-1");

        Assert.True(Proves(new() { Fingerprint = _authority.Fingerprint }, leaf, shown: _authority.Certificate));
        Assert.True(Proves(new() { Fingerprint = Colons(_authority.Fingerprint) }, leaf, shown: _authority.Certificate));
        Assert.Contains(
            "is not for the name", Refusal(new() { Fingerprint = _authority.Fingerprint }, leaf, Mismatch, _authority.Certificate),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_authorities_proves_only_what_is_for_the_name() => Assert.Contains(
        "is not for the name", Refusal(new() { AuthorityFile = FileOf(_authority) }, _authority.Sign("elsewhere"), Mismatch),
        StringComparison.Ordinal);

    [Fact]
    public void Who_knows_the_certificate_itself_takes_no_other_one()
    {
        var own = _authority.Sign("node-1");
        var trust = new ServerTrust { IsOwn = c => c.Thumbprint == own.Thumbprint };

        Assert.True(Proves(trust, own, Mismatch));
        Assert.Contains("is not this server", Refusal(trust, _authority.Sign("node-1"), default), StringComparison.Ordinal);
    }

    [Fact]
    public void The_fingerprint_of_a_certificate_that_counts_later_proves_nothing_yet()
    {
        var later = _other.Sign("elsewhere", from: 1);

        Assert.Contains(
            "and it is", Refusal(new() { Fingerprint = ServerTrust.FingerprintOf(later) }, later, default), StringComparison.Ordinal);
    }

    [Fact]
    public void One_between_that_the_server_shows_leads_to_the_authority()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=between", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var (from, until) = (TimeProvider.System.GetUtcNow().AddDays(-2), TimeProvider.System.GetUtcNow().AddDays(20));
        using var signed = request.Create(_authority.Certificate, from, until, [1]);
        using var between = signed.CopyWithPrivateKey(key);
        var leafRequest = new CertificateRequest("CN=node-1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var leaf = leafRequest.Create(between, from, until, [2]);

        Assert.True(Proves(new() { AuthorityFile = FileOf(_authority) }, leaf, shown: between));
        Refusal(new() { AuthorityFile = FileOf(_other) }, leaf, default, between);
    }

    [Fact]
    public void A_man_in_the_middle_who_shows_the_real_authority_beside_his_own_certificate_is_refused()
    {
        var his = _other.Sign("node-1");

        Assert.Contains(
            "is not proven by the authority", Refusal(new() { Fingerprint = _authority.Fingerprint }, his, default, _authority.Certificate),
            StringComparison.Ordinal);
        Assert.Contains(
            "stands in between", Refusal(new() { Fingerprint = _authority.Fingerprint }, his, default, _other.Certificate),
            StringComparison.Ordinal);
        Assert.Contains(
            "is not proven by the authority", Refusal(new() { AuthorityFile = FileOf(_authority) }, his, default, _other.Certificate),
            StringComparison.Ordinal);
    }

    [Fact]
    public void The_fingerprint_of_the_certificate_itself_needs_no_name_but_its_time()
    {
        var leaf = _other.Sign("elsewhere");
        var over = _other.Sign("elsewhere", from: -20, until: -10);

        Assert.True(Proves(new() { Fingerprint = ServerTrust.FingerprintOf(leaf) }, leaf, Mismatch));
        Assert.Contains(
            "and it is", Refusal(new() { Fingerprint = ServerTrust.FingerprintOf(over) }, over, default), StringComparison.Ordinal);
    }

    [Fact]
    public void A_certificate_that_is_over_or_for_clients_proves_nothing()
    {
        var trust = new ServerTrust { AuthorityFile = FileOf(_authority) };

        Assert.True(Proves(trust, _authority.Sign("node-1")));
        Refusal(trust, _authority.Sign("node-1", from: -20, until: -10), default);
        Refusal(trust, _authority.Sign("node-1", usage: "1.3.6.1.5.5.7.3.2"), default);
    }

    [Fact]
    public void A_new_file_of_authorities_counts_at_once()
    {
        var trust = new ServerTrust { AuthorityFile = FileOf(_authority) };
        var leaf = _other.Sign("node-1");
        Refusal(trust, leaf, default);

        _folder.Write("authority.pem", _other.Certificate.ExportCertificatePem());
        Assert.True(Proves(trust, leaf));
    }

    [Theory]
    [InlineData("ab", null, "https://a", "\"ab\" is not a SHA-256 fingerprint. Give the 64 hexadecimal digits that the server prints.")]
    [InlineData(null, "/nowhere/authority.pem", "https://a", "The file of authorities /nowhere/authority.pem cannot be read: ")]
    [InlineData(Digits, null, "http://a", "http://a/ has no certificate that could be proven. Write the address with https.")]
    [InlineData(Digits, "/nowhere/authority.pem", "https://a", "A file of authorities and a fingerprint are given. Give one of them.")]
    public void What_cannot_prove_anything_is_refused(string? fingerprint, string? file, string server, string says) => Assert.StartsWith(
        says, new ServerTrust { Fingerprint = fingerprint, AuthorityFile = file }.Errors(new(server)).First(), StringComparison.Ordinal);

    [Theory]
    [InlineData("https", "Cannot determine the frame size or a corrupted frame was received.", "did you mean http://node-1:9443?")]
    [InlineData("https", "The remote certificate is invalid: RemoteCertificateNameMismatch", "is not for the name node-1: use a name")]
    [InlineData("https", "The remote certificate is invalid because of errors: NotTimeValid", "has expired or is not valid yet")]
    [InlineData("https", "The remote certificate is invalid because of errors: PartialChain", "name its fingerprint with --ca-fingerprint")]
    public void What_is_wrong_on_the_way_is_said_with_what_to_do_about_it(string scheme, string raw, string says)
    {
        var words = ServerTrust.Words(
            new($"{scheme}://node-1:9443/agent"), new HttpRequestException("raw", new AuthenticationException(raw)));

        Assert.StartsWith("https://node-1:9443 ", words, StringComparison.Ordinal);
        Assert.Contains(says, words, StringComparison.Ordinal);
        Assert.DoesNotContain("raw", words, StringComparison.Ordinal);
        Assert.DoesNotContain(raw, words, StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_closes_a_plain_connection_may_speak_TLS() => Assert.Equal(
        "http://node-1:9443 closed the connection without an answer. If the server listens there with TLS, did you mean "
        + "https://node-1:9443?",
        ServerTrust.Words(new("http://node-1:9443/agent"), new HttpRequestException("raw", new IOException("ended"))));

    const string Digits = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF";

    const SslPolicyErrors Mismatch = SslPolicyErrors.RemoteCertificateNameMismatch | SslPolicyErrors.RemoteCertificateChainErrors;

    string FileOf(TestAuthority authority)
    {
        _folder.Write("authority.pem", authority.Certificate.ExportCertificatePem());
        return Path.Combine(_folder.Folder, "authority.pem");
    }

    static string Colons(string digits) => string.Join(':', digits.ToLowerInvariant().Chunk(2).Select(c => new string(c)));

    static string Refusal(ServerTrust trust, X509Certificate2 leaf, SslPolicyErrors errors, params X509Certificate2[] shown) =>
        Assert.Throws<UnprovenException>(() => Proves(trust, leaf, errors, shown)).Message;

    // As a connection asks.
    static bool Proves(
        ServerTrust trust, X509Certificate2 leaf, SslPolicyErrors errors = SslPolicyErrors.RemoteCertificateChainErrors,
        params X509Certificate2[] shown)
    {
        using var handler = new SocketsHttpHandler();
        trust.Apply(handler);
        using var chain = new X509Chain();
        chain.ChainPolicy.ExtraStore.AddRange(shown);
        return handler.SslOptions.RemoteCertificateValidationCallback!(handler, leaf, chain, errors);
    }

    static bool Proves(ServerTrust trust, X509Certificate2 leaf, X509Certificate2 shown) =>
        Proves(trust, leaf, SslPolicyErrors.RemoteCertificateChainErrors, shown);
}
