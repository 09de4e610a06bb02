using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Fixtures;
using Whistle.Inventory.Access;
using Whistle.State.Health;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The server beyond the loopback: what it shows, whom it answers, and what it does not say without TLS.</summary>
public sealed class TlsTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-tls-").FullName;
    readonly TestAuthority _authority = new("real");

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task From_the_fingerprint_that_the_server_prints_an_agent_and_the_command_line_reach_it()
    {
        var port = ChildProcess.FreePort();
        await using var server = new ServerProcess(_folder, "--no-agent", "--listen", $"https://127.0.0.1:{port}");
        await server.StartAsync(Cancellation);
        // It is ready before it has printed all.
        string? printed = null;
        await UntilAsync(() =>
            (printed = server.Output.FirstOrDefault(l => l.Contains("--ca-fingerprint ", StringComparison.Ordinal))) is not null);
        var fingerprint = printed!.Trim().Split(' ')[1];
        var address = $"https://127.0.0.1:{port}";
        string[] asks = ["agents", "add", "--cluster", "c", "--node", "n", "--server", address, "--token-file", $"{_folder}/token"];

        var (enrolled, token) = await RunAsync("Whistle", "whistle.dll", [.. asks, "--ca-fingerprint", fingerprint]);
        Assert.Equal(0, enrolled);
        var (refused, wrong) = await RunAsync("Whistle", "whistle.dll", [.. asks, "--ca-fingerprint", new string('A', 64)]);
        Assert.Equal(1, refused);
        Assert.Contains("else somebody stands in between", wrong, StringComparison.Ordinal);
        var (unproven, hint) = await RunAsync("Whistle", "whistle.dll", [.. asks, "--data", "/nowhere"]);
        Assert.Equal(1, unproven);
        Assert.Contains("name its fingerprint with --ca-fingerprint", hint, StringComparison.Ordinal);

        var file = PrivateText.Write(Path.Combine(_folder, "node.token"), token.Trim().Split('\n')[^1].Trim());
        string[] reports = ["run", "--server", address, "--token-file", file, "--interval", "1s", "--buffer", $"{_folder}/buffer"];
        using var agent = ChildProcess.StartProject("Whistle.Agent", "whistle-agent.dll", [.. reports, "--ca-fingerprint", fingerprint]);
        try
        {
            await agent.UntilAsync(
                async c => (await server.Http.GetStringAsync("api/v1/query?query=node_boot_time_seconds", c))
                    .Contains("\"node\":\"n\"", StringComparison.Ordinal),
                Cancellation);
        }
        finally
        {
            await agent.KillAndWaitAsync();
        }
    }

    [Fact]
    public async Task A_certificate_that_is_replaced_under_load_fails_no_request_and_a_broken_one_changes_nothing()
    {
        var first = _authority.Sign("localhost");
        WriteCertificate(first);
        await using var server = await StartAsync(o => o with { Tls = Files });
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(() => AskUntilAsync(server.App.Address, stop.Token), Cancellation)).ToList();
        var source = server.App.Services.GetRequiredService<Whistle.Tls.CertificateSource>();
        var second = _authority.Sign("localhost");
        WriteCertificate(second);
        await UntilAsync(() => source.Current.Leaf.Thumbprint == second.Thumbprint);
        Assert.Equal(second.Thumbprint, await ShownAsync(server.App.Address.Port));

        PrivateText.Write(Path.Combine(_folder, "key"), "no key");
        await UntilAsync(() => server.App.Services.GetRequiredService<HealthBoard>().Problems().Any(p => p.Component == "tls"));
        Assert.Equal(second.Thumbprint, await ShownAsync(server.App.Address.Port));
        await stop.CancelAsync();
        var answered = await Task.WhenAll(load);
        Assert.All(answered, count => Assert.True(count > 0));
    }

    [Fact]
    public async Task What_is_wrong_with_the_certificate_stands_on_the_pages_until_it_is_mended()
    {
        WriteCertificate(_authority.Sign("localhost", until: 10));
        await using var server = await StartAsync(o => o with { Tls = Files });
        await ShowsAsync(server.Http, "The server&#x27;s certificate ends at ");
        WriteCertificate(_authority.Sign("localhost"));
        await ShowsAsync(server.Http, "certificate", false);

        PrivateText.Write(Path.Combine(_folder, "key"), "no key");
        await ShowsAsync(server.Http, $"{_folder}/key has no key in it.");
        await ShowsAsync(server.Http, "The certificate from before stays in use.");
        var customer = await new Tenancy(server, "acme").SomeoneAsync(Role.Customer, AccessScope.Of("acme"));
        await ShowsAsync(customer.Http, "Whoever runs the server sees what it is.");
        await ShowsAsync(customer.Http, _folder, false);

        WriteCertificate(_authority.Sign("localhost"));
        await ShowsAsync(server.Http, "Whistle is degraded", false);
        await ShowsAsync(customer.Http, "Whistle is degraded", false);

        async Task ShowsAsync(HttpClient person, string words, bool shown = true)
        {
            // Whatever certificate it is.
            using var http = Client();
            http.DefaultRequestHeaders.Authorization = person.DefaultRequestHeaders.Authorization;
            await UntilAsync(async () =>
                (await http.GetStringAsync(server.App.Address, Cancellation)).Contains(words, StringComparison.Ordinal) == shown);
        }
    }

    [Fact]
    public async Task It_speaks_TLS_1_2_and_1_3_and_HTTP_2_and_nothing_older()
    {
        await using var server = await StartAsync();
        foreach (var protocol in new[] { SslProtocols.Tls12, SslProtocols.Tls13 })
        {
            await using var tls = await ConnectAsync(server.App.Address.Port, protocol);
            Assert.Equal((protocol, SslApplicationProtocol.Http2), (tls.SslProtocol, tls.NegotiatedApplicationProtocol));
        }

        // This machine's own library would not ask for less, so it is asked by hand; TLS 1.2 in the same words is answered (22).
        Assert.Equal(22, await HelloAsync(server.App.Address.Port, 0x03));
        foreach (var older in new byte[] { 0x01, 0x02 })
            Assert.NotEqual(22, await HelloAsync(server.App.Address.Port, older));
    }

    [Theory]
    [InlineData("TLS_AES_256_GCM_SHA384", true)]
    [InlineData("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", true)]
    [InlineData("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", true)]
    [InlineData("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", false)]
    [InlineData("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", false)]
    [InlineData("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", false)]
    [InlineData("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", true, true)]
    [InlineData("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", false, true)]
    [InlineData("TLS_RSA_WITH_AES_128_GCM_SHA256", false, true)]
    [InlineData("TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", false, true)]
    public async Task Only_ciphers_with_forward_secrecy_and_authentication_are_spoken(string cipher, bool isSpoken, bool isRsa = false)
    {
        using var key = RSA.Create(3072);
        var now = TimeProvider.System.GetUtcNow();
        if (isRsa)
        {
            using var own = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                .CreateSelfSigned(now.AddDays(-1), now.AddDays(30));
            PrivateText.Write(Path.Combine(_folder, "certificate"), own.ExportCertificatePem());
            PrivateText.Write(Path.Combine(_folder, "key"), key.ExportPkcs8PrivateKeyPem());
        }

        // Its own certificate has a key on a curve.
        await using var server = await StartAsync(o => isRsa ? o with { Tls = Files } : o);
        var suite = Enum.Parse<TlsCipherSuite>(cipher);
        var asked = ConnectAsync(server.App.Address.Port, SslProtocols.None, suite);
        if (isSpoken)
        {
            await using var tls = await asked;
            Assert.Equal(suite, tls.NegotiatedCipherSuite);
        }
        else
        {
            await Assert.ThrowsAnyAsync<Exception>(() => asked);
        }
    }

    [Fact]
    public async Task An_address_for_agents_answers_no_person_and_one_for_people_no_agent()
    {
        await using var server = await StartAsync(o => o with
        {
            Listen = [new("http://127.0.0.1:0")],
            ListenForAgents = [new("https://127.0.0.1:0")],
            ListenForPeople = [new("https://[::1]:0")],
        });
        var (agents, people) = (server.App.Addresses[1], server.App.Addresses[2]);
        using var http = Client(server);

        foreach (var (path, agentsAnswer, peopleAnswer) in new[]
        {
            ("/-/healthy", 200, 200), ("/-/ready", 200, 200), ("/", 404, 302), ("/login", 404, 401), ("/metrics", 404, 401),
            ("/api/v1/query", 404, 401), ("/api/whistle/v1/incidents", 404, 401), ("/openapi/v1.json", 404, 401),
            ("/api/v1/write", 401, 404), ("/agent/v1/commands/lease", 401, 404), ("/api/v1/write/", 401, 404),
        })
        {
            Assert.Equal((path, agentsAnswer), (path, await StatusAsync(http, new(agents, path))));
            Assert.Equal((path, peopleAnswer), (path, await StatusAsync(http, new(people, path))));
        }
    }

    [Fact]
    public async Task Only_a_named_proxy_is_believed_and_only_known_names_are_answered()
    {
        await using var server = await StartAsync(o => o with
        {
            Listen = [new("http://127.0.0.1:0")],
            Names = ["whistle.example.com"],
            Proxies = ["127.0.0.1"],
        });
        await using var plain = await StartAsync(o => o with { Listen = [new("http://127.0.0.1:0")], Names = ["whistle.example.com"] });

        Assert.StartsWith("https://whistle.example.com/login?token=", await LinkAsync(server), StringComparison.Ordinal);
        await using var another = await StartAsync(o => o with
        {
            Listen = [new("http://127.0.0.1:0")],
            Names = ["whistle.example.com"],
            Proxies = ["192.0.2.1", "198.51.100.0/24"],
        });
        Assert.StartsWith("http://127.0.0.1:", await LinkAsync(plain), StringComparison.Ordinal);
        Assert.StartsWith("http://127.0.0.1:", await LinkAsync(another), StringComparison.Ordinal);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/-/healthy") { Headers = { Host = "elsewhere.example.com" } };
        Assert.Equal(HttpStatusCode.BadRequest, (await plain.Http.SendAsync(request, Cancellation)).StatusCode);
        using var known = new HttpRequestMessage(HttpMethod.Get, "/-/healthy") { Headers = { Host = "whistle.example.com" } };
        Assert.Equal(HttpStatusCode.OK, (await plain.Http.SendAsync(known, Cancellation)).StatusCode);
    }

    [Fact]
    public async Task The_servers_own_agent_reports_over_https_alone()
    {
        WriteCertificate(_authority.Sign("whistle.example.com"));
        await using var server = await StartAsync(o => o with { Tls = Files, Agent = true, AgentInterval = TimeSpan.FromSeconds(1) });
        using var http = Client(server);
        var query = new Uri(server.App.Address, "api/v1/query?query=node_boot_time_seconds");
        await UntilAsync(async () => (await http.GetStringAsync(query, Cancellation)).Contains("\"value\"", StringComparison.Ordinal));
    }

    // A hello of TLS 1.(minor - 1) with ciphers of ECDSA keys; answers the type of the server's record, 0 where it just ends.
    static async Task<int> HelloAsync(int port, byte minor)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port, Cancellation);
        byte[] extensions = [0x00, 0x0A, 0, 4, 0, 2, 0x00, 0x17, 0x00, 0x0D, 0, 4, 0, 2, 0x04, 0x03];
        byte[] hello =
        [
            0x03, minor, .. new byte[32], 0, 0, 4, 0xC0, 0x2B, 0xC0, 0x09, 1, 0, 0, (byte)extensions.Length, .. extensions,
        ];
        byte[] handshake = [0x01, 0, 0, (byte)hello.Length, .. hello];
        await socket.SendAsync((byte[])[0x16, 0x03, 0x01, 0, (byte)handshake.Length, .. handshake], Cancellation);
        var answer = new byte[7];
        return await socket.ReceiveAsync(answer, Cancellation) == 0 ? 0 : answer[0];
    }

    Task<InProcessServer> StartAsync(Func<WhistleOptions, WhistleOptions>? change = null)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_folder, Guid.NewGuid().ToString("N"))).FullName;
        return InProcessServer.StartAsync(
            Cancellation, folder, o => (change ?? (x => x))(o with { Listen = [new("https://127.0.0.1:0")] }));
    }

    Whistle.Tls.TlsOptions Files =>
        new() { CertificateFile = Path.Combine(_folder, "certificate"), KeyFile = Path.Combine(_folder, "key") };

    void WriteCertificate(X509Certificate2 leaf)
    {
        PrivateText.Write(Path.Combine(_folder, "certificate"), leaf.ExportCertificatePem());
        PrivateText.Write(Path.Combine(_folder, "key"), TestAuthority.KeyOf(leaf));
    }

    // It does not prove the server, which other tests do.
    static HttpClient Client(InProcessServer? server = null)
    {
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false };
#pragma warning disable CA5359 // See above.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        var http = new HttpClient(handler);
        if (server is not null && server.App.Address.Scheme == "https")
            http.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;
        return http;
    }

    static async Task<int> StatusAsync(HttpClient http, Uri address)
    {
        using var request = new HttpRequestMessage(
            address.AbsolutePath is "/api/v1/write" or "/agent/v1/commands/lease" ? HttpMethod.Post : HttpMethod.Get, address);
        using var answer = await http.SendAsync(request, Cancellation);
        return (int)answer.StatusCode;
    }

    static async Task<string> LinkAsync(InProcessServer server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "api/whistle/v1/login-links");
        request.Headers.Add("X-Forwarded-For", "192.0.2.7");
        request.Headers.Add("X-Forwarded-Proto", "https");
        request.Headers.Add("X-Forwarded-Host", "whistle.example.com");
        using var answer = await server.Http.SendAsync(request, Cancellation);
        return System.Text.Json.JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation)).RootElement.GetProperty("url")
            .GetString()!;
    }

    // Each request on a connection of its own; answers how many there were.
    static async Task<int> AskUntilAsync(Uri address, CancellationToken stop)
    {
        for (var count = 0; ; count++)
        {
            if (stop.IsCancellationRequested)
                return count;
            using var http = Client();
            using var answer = await http.GetAsync(new Uri(address, "/-/healthy"), CancellationToken.None);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    static async Task<string> ShownAsync(int port)
    {
        await using var tls = await ConnectAsync(port, SslProtocols.None);
        return ((X509Certificate2)tls.RemoteCertificate!).Thumbprint;
    }

    static async Task<SslStream> ConnectAsync(int port, SslProtocols protocols, TlsCipherSuite? cipher = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port, Cancellation);
        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        try
        {
            await tls.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = "localhost",
                    EnabledSslProtocols = protocols,
#pragma warning disable CA1416 // The tests run on Linux.
                    CipherSuitesPolicy = cipher is { } one ? new([one]) : null,
#pragma warning restore CA1416
                    ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
#pragma warning disable CA5359 // Which certificate it is, the caller looks at.
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
                },
                Cancellation);
            return tls;
        }
        catch
        {
            await tls.DisposeAsync();
            throw;
        }
    }

    static Task UntilAsync(Func<bool> ready) => UntilAsync(() => Task.FromResult(ready()));

    static async Task UntilAsync(Func<Task<bool>> ready)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        while (!await ready())
            await timer.WaitForNextTickAsync(Cancellation);
    }

    static async Task<(int Exit, string Output)> RunAsync(string project, string assembly, string[] arguments)
    {
        using var process = ChildProcess.StartProject(project, assembly, arguments);
        var output = new StringBuilder();
        process.OutputDataReceived += (_, line) => output.AppendLine(line.Data);
        process.ErrorDataReceived += (_, line) => output.AppendLine(line.Data);
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, output.ToString());
    }
}
