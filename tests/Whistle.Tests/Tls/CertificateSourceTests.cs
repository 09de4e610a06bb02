using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Settings;
using Whistle.Fixtures;
using Whistle.State.Health;
using Whistle.Tls;

using Xunit;

namespace Whistle.Tests.Tls;

/// <summary>Which certificate the server shows, when its files change, end, are damaged, or are not given at all.</summary>
public sealed class CertificateSourceTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-tls-").FullName;
    readonly TestAuthority _authority = new("real");
    readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    readonly HealthBoard _health;

    public CertificateSourceTests() => _health = new(_time);

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_certificate_whose_files_change_counts_without_a_restart()
    {
        var source = Source(Pem(_authority.Sign("a")));
        Assert.True(source.Current.IsFor("a"));

        Pem(_authority.Sign("b"));
        Assert.True(source.Current.IsFor("a"));
        source.Look();
        Assert.True(source.Current.IsFor("b"));
        Assert.Empty(_health.Problems());
    }

    [Theory]
    [InlineData("certificate", "")]
    [InlineData("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    [InlineData("key", "")]
    [InlineData("key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    [InlineData("key", null)]
    [InlineData("certificate", null)]
    public void A_broken_new_one_never_takes_the_place_of_the_old_and_is_on_the_board_until_it_is_right(string name, string? content)
    {
        var source = Source(Pem(_authority.Sign("a")));
        if (content is null)
            File.Delete(PathOf(name));
        else
            PrivateText.Write(PathOf(name), content);
        source.Look();
        source.Look();

        Assert.True(source.Current.IsFor("a"));
        var problem = Assert.Single(_health.Problems());
        Assert.Equal(("tls", HealthState.Degraded), (problem.Component, problem.State));
        Assert.EndsWith("The certificate from before stays in use.", problem.Reason, StringComparison.Ordinal);

        Pem(_authority.Sign("b"));
        source.Look();
        Assert.True(source.Current.IsFor("b"));
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void The_key_of_another_certificate_and_one_that_is_over_are_broken_too()
    {
        var source = Source(Pem(_authority.Sign("a")));
        PrivateText.Write(PathOf("key"), TestAuthority.KeyOf(_authority.Sign("b")));
        source.Look();
        Assert.Empty(_health.Problems());
        source.Look();
        Assert.Contains("key or password is another certificate's", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);

        Pem(_authority.Sign("b", from: -20, until: -10));
        source.Look();
        source.Look();
        Assert.True(source.Current.IsFor("a"));
        Assert.Contains(" ended at ", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_broken_and_is_as_before_again_is_well_again()
    {
        var first = _authority.Sign("a");
        var source = Source(Pem(first));
        PrivateText.Write(PathOf("key"), "");
        source.Look();
        source.Look();
        Assert.Single(_health.Problems());
        Pem(first);
        source.Look();

        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void A_broken_new_one_does_not_keep_quiet_that_the_old_one_ends()
    {
        var source = Source(Pem(_authority.Sign("a", until: 20)));
        PrivateText.Write(PathOf("key"), "");
        source.Look();
        source.Look();
        _time.Advance(TimeSpan.FromDays(7));
        source.Look();
        Assert.Contains("stays in use. It ends at ", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromDays(14));
        source.Look();
        Assert.Contains("agents and people cannot connect", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void People_are_warned_before_a_certificate_ends_and_when_it_has()
    {
        var source = Source(Pem(_authority.Sign("a", until: 20)));
        source.Look();
        Assert.Empty(_health.Problems());
        _time.Advance(TimeSpan.FromDays(7));
        source.Look();
        Assert.Equal(HealthState.Warning, Assert.Single(_health.Problems()).State);
        _time.Advance(TimeSpan.FromDays(14));
        source.Look();
        Assert.Equal(HealthState.Degraded, Assert.Single(_health.Problems()).State);
    }

    [Fact]
    public void A_chain_in_one_file_and_a_PFX_with_a_password_are_taken()
    {
        var leaf = _authority.Sign("a");
        PrivateText.Write(PathOf("chain"),
            $"{leaf.ExportCertificatePem()}\n{_authority.Certificate.ExportCertificatePem()}\n{TestAuthority.KeyOf(leaf)}\n");
        var chain = Source(new() { CertificateFile = PathOf("chain") });
        Assert.True(chain.Current.IsFor("a"));

        PrivateText.Write(PathOf("pfx"), "");
        X509Certificate2Collection both = [leaf, _authority.Certificate];
        File.WriteAllBytes(PathOf("pfx"), both.Export(X509ContentType.Pfx, "secret")!);
        PrivateText.Write(PathOf("password"), "secret");
        var pfx = Source(new() { CertificateFile = PathOf("pfx"), PasswordFile = PathOf("password") });
        Assert.Equal(leaf.Thumbprint, pfx.Current.Leaf.Thumbprint);

        PrivateText.Write(PathOf("password"), "wrong");
        Assert.NotEmpty(new TlsOptions { CertificateFile = PathOf("pfx"), PasswordFile = PathOf("password") }.Errors());
    }

    [Fact]
    public void Without_files_the_server_signs_itself_one_for_all_its_names_and_keeps_both()
    {
        var first = Source(new(), "whistle.example.com");
        Assert.All(
            ["localhost", "127.0.0.1", "::1", "whistle.example.com", Environment.MachineName.ToLowerInvariant()],
            name => Assert.True(first.Current.IsFor(name), name));
        Assert.False(first.Current.IsFor("elsewhere.example.com"));
        if (!OperatingSystem.IsWindows())
        {
            foreach (var name in new[] { "authority.pem", "server.pem" })
            {
                Assert.Equal(
                    UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "tls", name)));
            }
        }

        Assert.DoesNotContain("KEY", File.ReadAllText(Path.Combine(_folder, "tls", "authority.crt")), StringComparison.Ordinal);

        var second = Source(new(), "whistle.example.com");
        Assert.Equal(
            (first.AuthorityFingerprint, first.Current.Leaf.Thumbprint), (second.AuthorityFingerprint, second.Current.Leaf.Thumbprint));
        // Another name needs another certificate, and no other authority.
        var third = Source(new(), "whistle.example.org");
        Assert.True(third.Current.IsFor("whistle.example.org"));
        Assert.Equal(first.AuthorityFingerprint, third.AuthorityFingerprint);
    }

    [Fact]
    public void A_kept_certificate_that_another_authority_signed_is_replaced()
    {
        var first = Source(new());
        File.Delete(Path.Combine(_folder, "tls", "authority.pem"));
        var second = Source(new());

        Assert.NotEqual(first.AuthorityFingerprint, second.AuthorityFingerprint);
        Assert.NotEqual(first.Current.Leaf.Thumbprint, second.Current.Leaf.Thumbprint);
    }

    [Fact]
    public void One_between_the_certificate_and_its_authority_is_shown_too()
    {
        using var key = RSA.Create(2048);
        var (from, until) = (_time.GetUtcNow().AddDays(-2), _time.GetUtcNow().AddDays(20));
        var request = new CertificateRequest("CN=between", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var signed = request.Create(_authority.Certificate, from, until, [1]);
        using var between = signed.CopyWithPrivateKey(key);
        var ofLeaf = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var leaf = ofLeaf.Create(between, from, until, [2]);
        PrivateText.Write(
            PathOf("chain"), $"{leaf.ExportCertificatePem()}\n{between.ExportCertificatePem()}\n{key.ExportPkcs8PrivateKeyPem()}\n");

        var shown = Source(new TlsOptions { CertificateFile = PathOf("chain") }).Current.Context.IntermediateCertificates;
        Assert.Equal(between.Thumbprint, Assert.Single(shown).Thumbprint);
    }

    [Fact]
    public void The_own_certificate_is_renewed_before_it_ends_and_the_authority_proves_the_new_one()
    {
        var source = Source(new());
        var first = source.Current.Leaf;
        _time.Advance(TimeSpan.FromDays(360));
        source.Look();
        Assert.Equal(first.Thumbprint, source.Current.Leaf.Thumbprint);
        _time.Advance(TimeSpan.FromDays(10));
        source.Look();

        Assert.NotEqual(first.Thumbprint, source.Current.Leaf.Thumbprint);
        Assert.True(source.Current.EndsAt > _time.GetUtcNow().AddDays(365));
        Assert.Empty(_health.Problems());
        using var authority = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(_folder, "tls", "authority.crt"));
        Assert.Equal(Convert.ToHexString(SHA256.HashData(authority.RawData)), source.AuthorityFingerprint);
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        Assert.True(chain.Build(source.Current.Leaf), string.Join(' ', chain.ChainStatus.Select(s => s.StatusInformation)));
    }

    [Fact]
    public void A_certificate_that_counts_later_is_taken_when_it_counts()
    {
        var source = Source(Pem(_authority.Sign("a")));
        Pem(_authority.Sign("b", from: 1));
        source.Look();
        source.Look();
        Assert.True(source.Current.IsFor("a"));
        Assert.Contains("counts only from", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);

        _time.Advance(TimeSpan.FromDays(1.1));
        source.Look();
        Assert.True(source.Current.IsFor("b"));
        Assert.Empty(_health.Problems());
    }

    [Fact]
    public void A_damaged_authority_keeps_the_server_from_starting_since_no_agent_would_believe_another()
    {
        Source(new());
        PrivateText.Write(Path.Combine(_folder, "tls", "authority.pem"), "-----BEGIN CERTIFICATE-----\n");

        Assert.Contains("from a backup", Assert.Throws<StartException>(() => Source(new())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_clock_that_was_ahead_and_is_set_right_leaves_a_certificate_that_counts()
    {
        _time.Advance(TimeSpan.FromDays(100));
        var ahead = Source(new());
        var behind = new FakeTimeProvider(_time.GetUtcNow().AddDays(-100));
        var source = new CertificateSource(new(), [], _folder, behind, _health, NullLogger<CertificateSource>.Instance);

        Assert.Equal(ahead.AuthorityFingerprint, source.AuthorityFingerprint);
        Assert.True(source.Current.BeginsAt < behind.GetUtcNow());
    }

    [Fact]
    public void Near_its_authority_s_end_the_own_certificate_is_not_made_anew_each_minute_and_people_are_told()
    {
        var source = Source(new());
        _time.Advance(TimeSpan.FromDays(7290));
        source.Look();
        var last = source.Current.Leaf.Thumbprint;
        _time.Advance(TimeSpan.FromMinutes(2));
        source.Look();

        Assert.Equal(last, source.Current.Leaf.Thumbprint);
        Assert.Contains("own authority ends", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_fingerprint_of_the_own_authority_proves_it_in_a_handshake_and_another_s_does_not()
    {
        var source = Source(new());
        using var other = new TestAuthority("another");

        await HandshakeAsync(source, new() { Fingerprint = source.AuthorityFingerprint });
        await HandshakeAsync(source, new() { Fingerprint = ServerTrust.FingerprintOf(source.Current.Leaf) });
        await HandshakeAsync(source, new() { AuthorityFile = Path.Combine(_folder, "tls", "authority.crt") });
        await Assert.ThrowsAsync<UnprovenException>(() => HandshakeAsync(source, new() { Fingerprint = other.Fingerprint }));
    }

    static async Task HandshakeAsync(CertificateSource source, ServerTrust trust)
    {
        using var handler = new SocketsHttpHandler();
        trust.Apply(handler);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint, TestContext.Current.CancellationToken);
        using var accepted = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        await using var server = new SslStream(accepted.GetStream());
        await using var asking = new SslStream(client.GetStream());
        var serving = server.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions { ServerCertificateContext = source.Current.Context },
            TestContext.Current.CancellationToken);
        await asking.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                RemoteCertificateValidationCallback = handler.SslOptions.RemoteCertificateValidationCallback,
            },
            TestContext.Current.CancellationToken);
        await serving;
    }

    CertificateSource Source(TlsOptions options, params string[] names) =>
        new(options, names, _folder, _time, _health, NullLogger<CertificateSource>.Instance);

    string PathOf(string name) => Path.Combine(_folder, name);

    TlsOptions Pem(X509Certificate2 leaf)
    {
        PrivateText.Write(PathOf("certificate"), leaf.ExportCertificatePem());
        PrivateText.Write(PathOf("key"), TestAuthority.KeyOf(leaf));
        return new() { CertificateFile = PathOf("certificate"), KeyFile = PathOf("key") };
    }
}
