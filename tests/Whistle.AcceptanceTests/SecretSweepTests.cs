using System.Security.Cryptography.X509Certificates;

using Microsoft.AspNetCore.DataProtection.KeyManagement;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

using Whistle.Actions.Files;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;
using Whistle.Alerting.Mail;
using Whistle.Alerting.PagerDuty;
using Whistle.Commands;
using Whistle.Data;
using Whistle.Fixtures;
using Whistle.State.Health;
using Whistle.Telemetry;
using Whistle.Tls;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Every secret file of the project, each through what reads it, with everything that can be wrong with a file.</summary>
public sealed class SecretSweepTests : IDisposable
{
    static readonly string Key = new('k', 32);
    static readonly string Token = AccessToken.New(AccessToken.OfSender);

    static readonly TestAuthority Authority = new("sweep");
    static readonly X509Certificate2 Leaf = Authority.Sign("whistle.example.com");

    static readonly Dictionary<string, Func<SecretSweepTests, string, Task<string>>> Readers = new()
    {
        ["token"] = (test, file) => test.ServeAsync(file, _ => Task.CompletedTask),
        ["instance"] = (test, file) => test.ServeAsync(file, _ => Task.CompletedTask),
        ["keys/key.xml"] = (test, file) => test.ServeAsync(file, async app =>
        {
            await Task.CompletedTask;
            app.Services.GetRequiredService<IKeyManager>().GetAllKeys();
        }),
        ["agent/token"] = (test, file) => test.ServeAsync(file, StartAsync, agent: true),
        ["owner"] = (test, file) => Read(() => new SecretFile(file, ServerFolder.OwnerForm).ReadOrMake(
            () => Guid.NewGuid().ToString("N"), TimeProvider.System, test._said.Add)),
        ["token of the command line"] = (_, file) => Read(() => ServerConnection.TokenOf(Path.GetDirectoryName(file)!)),
        ["whistle --token-file"] = (_, file) => Read(() => ServerConnection.TokenIn(file)),
        ["agent --token-file"] = (_, file) => Read(
            () => ReportSender.Token(new AgentOptions { TokenFile = file, Buffer = new BufferOptions { Folder = "/none" } })!),
        ["routing key"] = (_, file) => Check(new() { Alerting = new() { Channels = [new PagerDutyOptions { RoutingKeyFile = file }] } }),
        ["mail password"] = (_, file) => Check(new()
        {
            Alerting = new()
            {
                Channels = [new MailOptions { Host = "h", From = "a@b.c", To = ["a@b.c"], User = "u", PasswordFile = file }],
            },
        }),
        ["database"] = (_, file) => Check(new() { DatabaseFile = file }),
        ["tls/authority.pem"] = (_, file) =>
            Read(() => OwnAuthority.In(file[..^"/tls/authority.pem".Length], TimeProvider.System).Certificate.Subject),
        ["certificate's key"] = (test, file) =>
            Check(new() { Tls = new() { CertificateFile = test.Public("leaf.pem", Leaf.ExportCertificatePem()), KeyFile = file } }),
        ["certificate's password"] = (test, file) =>
            Check(new() { Tls = new() { CertificateFile = test.Pfx(), PasswordFile = file } }),
        ["enrolment.json"] = (_, file) => Read(() =>
            Enrolment.Read(Path.GetDirectoryName(file)!)?.Server.ToString() ?? throw new CommandException("It is not enrolled.")),
    };

    static readonly Dictionary<string, string> Contents = new()
    {
        ["token"] = AccessToken.New(AccessToken.OfServer),
        ["instance"] = AccessToken.New("wsi_"),
        ["keys/key.xml"] = "<key id=\"5e0ec29a-4a07-4ee6-8ad2-f4b0ddd1b1a4\" "
            + "version=\"1\"><creationDate>2026-01-01T00:00:00Z</creationDate><activationDate>2026-01-01T00:00:00Z</activationDate>"
            + "<expirationDate>2099-01-01T00:00:00Z</expirationDate>"
            + "<descriptor deserializerType=\"Microsoft.AspNetCore.DataProtection.AuthenticatedEncryption.ConfigurationModel."
            + "AuthenticatedEncryptorDescriptorDeserializer, Microsoft.AspNetCore.DataProtection\"><descriptor>"
            + "<encryption algorithm=\"AES_256_CBC\" /><validation algorithm=\"HMACSHA256\" "
            + "/><masterKey><value>AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==</value>"
            + "</masterKey></descriptor></descriptor></key>",
        ["agent/token"] = Token,
        ["owner"] = Guid.NewGuid().ToString("N"),
        ["token of the command line"] = AccessToken.New(AccessToken.OfServer),
        ["whistle --token-file"] = AccessToken.New(AccessToken.OfServer),
        ["agent --token-file"] = Token,
        ["routing key"] = Key,
        ["mail password"] = "correct horse battery staple",
        ["database"] = "Host=db.example.com;Database=whistle;Username=whistle",
        ["tls/authority.pem"] = $"{Authority.Certificate.ExportCertificatePem()}\n{Authority.Key}\n",
        ["certificate's key"] = TestAuthority.KeyOf(Leaf),
        ["certificate's password"] = "correct horse battery staple",
        ["enrolment.json"] =
            """{ "server": "https://whistle.example.com:9443", "node": "n1", "fingerprint": null, "authorityFile": null }""",
    };

    // What must not be taken, whoever wrote it and however it came there. {0} is the file, {1} a folder beside it.
    static readonly Dictionary<string, Action<string, string>> Faults = new()
    {
        ["missing"] = (file, _) => File.Delete(file),
        ["empty"] = (file, _) => PrivateText.Write(file, ""),
        ["no-break space only"] = (file, _) => PrivateText.Write(file, "\u00a0\n"),
        ["truncated"] = (file, _) => PrivateText.Write(file, File.ReadAllText(file)[..^5]),
        ["garbled"] = (file, _) => File.WriteAllBytes(file, [.. File.ReadAllBytes(file).Select(b => (byte)(b ^ 0xd7))]),
        ["too long"] = (file, _) => File.AppendAllText(file, new string('A', 300 << 10)),
        ["two lines"] = (file, _) => File.AppendAllText(file, "\nsecond line\n"),
        ["a folder"] = (file, _) => Run($"rm '{file}'; mkdir -m 700 '{file}'"),
        ["root's link to root's file"] = (file, beside) => Run($"mv '{file}' '{beside}/x'; ln -s '{beside}/x' '{file}'"),
        ["a link to what a stranger owns"] =
            (file, beside) => Run($"mv '{file}' '{beside}/x'; chown 4711 '{beside}/x'; ln -s '{beside}/x' '{file}'"),
        ["a stranger's link"] = (file, beside) => Run($"mv '{file}' '{beside}/x'; ln -s '{beside}/x' '{file}'; chown -h 4711 '{file}'"),
        ["a link into a stranger's folder"] =
            (file, beside) => Run($"mv '{file}' '{beside}/x'; chown 4711 '{beside}'; ln -s '{beside}/x' '{file}'"),
        ["a pipe"] = (file, _) => Run($"rm '{file}'; mkfifo -m 600 '{file}'"),
        ["a device"] = (file, _) => Run($"rm '{file}'; mknod -m 600 '{file}' c 1 3"),
        ["readable by its group"] = (file, _) => Run($"chmod 640 '{file}'"),
        ["readable by everybody"] = (file, _) => Run($"chmod 644 '{file}'"),
        ["writable by its group"] = (file, _) => Run($"chmod 620 '{file}'"),
        ["writable by everybody"] = (file, _) => Run($"chmod 602 '{file}'"),
        ["a stranger's"] = (file, _) => Run($"chown 4711 '{file}'"),
        ["in a folder that everybody may write"] = (file, _) => Run($"chmod 777 '{Path.GetDirectoryName(file)}'"),
        ["in a stranger's folder"] = (file, _) => Run($"chown 4711 '{Path.GetDirectoryName(file)}'"),
    };

    // What people put there has no form of its own that would show it.
    static readonly HashSet<(string, string)> Unknowable =
        [("mail password", "truncated"), ("database", "truncated")];

    // As orchestrators and services have it: root links it, and a service's group reads it.
    static readonly HashSet<string> Placed =
        ["agent --token-file", "routing key", "mail password", "database", "certificate's key", "certificate's password"];
    static readonly HashSet<string> PlacedSo = ["root's link to root's file", "readable by its group"];

    // Made again by the server, which says so; what it made in their place must be whole.
    static readonly HashSet<string> Made = ["token", "instance", "keys/key.xml", "agent/token", "owner"];
    static readonly HashSet<string> Damages = ["missing", "empty", "no-break space only", "truncated", "garbled", "too long", "two lines"];

    // Older versions left them so, under a folder that nobody else could enter: closed, said, and read.
    static readonly HashSet<(string, string)> Closed =
        [("keys/key.xml", "readable by everybody"), ("keys/key.xml", "readable by its group")];

    // An authority is made where there is none, and PEM may have other lines around it. A folder of a key's name is no key; and root may
    // stop the repairs of another user's server.
    static readonly HashSet<(string, string)> Fine =
    [
        ("keys/key.xml", "missing"), ("keys/key.xml", "a folder"),
        ("token of the command line", "in a stranger's folder"), ("tls/authority.pem", "missing"), ("tls/authority.pem", "two lines"),
        ("certificate's key", "two lines"),
    ];

    readonly string _base = Directory.CreateTempSubdirectory("whistle-sweep").FullName;
    readonly List<string> _said = [];

    public SecretSweepTests() => Requirement.Root();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string> Secrets => [.. Contents.Keys];

    public void Dispose() => Run($"rm -rf '{_base}'");

    [Theory]
    [MemberData(nameof(Secrets))]
    public async Task A_secret_file_with_anything_wrong_is_refused_or_set_aside_and_never_taken(string secret)
    {
        var sound = Prepare(secret, "sound", out _);
        Assert.Equal("taken", await Readers[secret](this, sound));
        // A token that no state knows is sound as a file, and of no use.
        if (secret != "agent/token")
            Assert.Equal(Contents[secret], File.ReadAllText(sound));

        List<string> table = [];
        foreach (var (fault, make) in Faults)
        {
            var file = Prepare(secret, fault, out var beside);
            make(file, beside);
            _said.Clear();
            var outcome = await Readers[secret](this, file);
            table.Add($"{secret} | {fault} | {outcome}");
            TestContext.Current.TestOutputHelper!.WriteLine(table[^1]);
            if (Unknowable.Contains((secret, fault)) || Fine.Contains((secret, fault)) || Closed.Contains((secret, fault))
                || (Placed.Contains(secret) && PlacedSo.Contains(fault)))
                Assert.Equal("taken", outcome);
            else if (Made.Contains(secret) && Damages.Contains(fault))
                AssertMadeAgain(secret, file, fault, outcome);
            else
                Assert.True(outcome.StartsWith("refused: ", StringComparison.Ordinal), table[^1]);
            Assert.DoesNotContain(Contents[secret].Trim()[..20], outcome, StringComparison.Ordinal);
        }

        Assert.Equal(Faults.Count, table.Count);
    }

    [Theory]
    [InlineData("<key/>")]
    [InlineData("<revocation/>")]
    [InlineData("<html/>")]
    [InlineData("a file")]
    public async Task Keys_that_are_none_are_set_aside_and_said_and_people_log_in(string content)
    {
        var data = Directory.CreateDirectory(Path.Combine(_base, "data")).FullName;
        Run($"chmod 700 '{data}'");
        var file = Path.Combine(data, content == "a file" ? "keys" : "keys/key.xml");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        PrivateText.Write(file, content);

        await using var server = await InProcessServer.StartAsync(Cancellation, data);
        using var browser = new HttpClient { BaseAddress = server.App.Address };
        using var login = await browser.GetAsync(new Uri(server.App.LoginLink()), Cancellation);

        Assert.True(login.IsSuccessStatusCode, $"{login.StatusCode}");
        var aside = Assert.Single(Directory.GetFileSystemEntries(Path.GetDirectoryName(file)!, "*.damaged-*"));
        var problems = server.App.Services.GetRequiredService<HealthBoard>().Problems();
        Assert.Contains(problems, p => p.Component == "data-folder" && p.Reason.Contains(aside, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_token_of_this_machines_agent_that_the_state_does_not_know_is_replaced_and_said()
    {
        var file = Prepare("agent/token", "unknown", out _);
        Assert.Equal("taken", await ServeAsync(file, StartAsync, agent: true));
        var made = File.ReadAllText(file);
        Assert.NotEqual(Token, made.Trim());
        Assert.Contains(_said, s => s.Contains("The state does not know the token", StringComparison.Ordinal));
        _said.Clear();

        Assert.Equal("taken", await ServeAsync(file, StartAsync, agent: true));
        Assert.Equal(made, File.ReadAllText(file));
        Assert.All(_said, s => Assert.Contains("No notification channel", s, StringComparison.Ordinal));
    }

    void AssertMadeAgain(string secret, string file, string fault, string outcome)
    {
        Assert.Equal((secret, fault, "taken"), (secret, fault, outcome));
        // Set aside, not lost, and said.
        var aside = Directory.GetFiles(Path.GetDirectoryName(file)!, "*.damaged-*");
        Assert.Equal(fault == "missing" ? 0 : 1, aside.Length);
        Assert.All(aside, a => Assert.Contains(_said, s => s.Contains(a, StringComparison.Ordinal)));
        if (secret is "keys/key.xml")
            return;
        Assert.NotEqual(Contents[secret], File.ReadAllText(file).Trim());
        Assert.Equal(Contents[secret].Length, File.ReadAllText(file).Trim().Length);
        Assert.Equal("600", Shell.Mode(file));
    }

    string Prepare(string secret, string fault, out string beside)
    {
        var name = secret == "token of the command line" ? "token"
            : secret.Replace(' ', '-').Replace("'", "", StringComparison.Ordinal);
        var folder = Directory.CreateDirectory(
            Path.Combine(_base, fault.Replace(' ', '-').Replace("'", "", StringComparison.Ordinal), "data")).FullName;
        beside = Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(folder)!, "beside")).FullName;
        var file = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        Run($"chmod 700 '{folder}' '{beside}'");
        return PrivateText.Write(file, Contents[secret]);
    }

    // The server starts or does not, with this in its data folder.
    async Task<string> ServeAsync(string file, Func<WhistleApp, Task> use, bool agent = false)
    {
        var folder = file[..(file.IndexOf("/data/", StringComparison.Ordinal) + 5)];
        try
        {
            var options = new WhistleOptions
            {
                DataFolder = folder,
                Listen = [new("http://127.0.0.1:0")],
                Agent = agent,
                AcceptState = agent,
                LeastLogged = LogLevel.None,
                RunTimers = false,
            };
            await using var app = await WhistleApp.OpenAsync(options, Cancellation);
            await use(app);
            var problems = app.Services.GetRequiredService<HealthBoard>().Problems();
            _said.AddRange(problems.Select(p => p.Reason));
            return problems.FirstOrDefault(p => p.Component == "agent") is { } failed ? $"refused: {failed.Reason}" : "taken";
        }
        catch (Exception e) when (e is StartException or SecretException)
        {
            return $"refused: {e.Message}";
        }
    }

    string Public(string name, string content)
    {
        var file = Path.Combine(_base, name);
        File.WriteAllText(file, content);
        return file;
    }

    string Pfx()
    {
        var file = PrivateText.Write(Path.Combine(_base, "leaf.pfx"), "");
        File.WriteAllBytes(file, Leaf.Export(X509ContentType.Pfx, Contents["certificate's password"]));
        return file;
    }

    static async Task StartAsync(WhistleApp app)
    {
        await app.StartAsync(Cancellation);
        // The agent begins by itself: it is enrolled, or the board says why not.
        var board = app.Services.GetRequiredService<HealthBoard>();
        var folder = app.Services.GetRequiredService<WhistleOptions>().DataFolder;
        while (!board.Problems().Any(p => p.Component == "agent") && !File.Exists(Path.Combine(folder, "agent", "buffer", "lock")))
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation);
    }

    static Task<string> Check(WhistleOptions options) =>
        Task.FromResult(options.Errors() is [var error, ..] ? $"refused: {error.Reason}" : "taken");

    static Task<string> Read(Func<string> read)
    {
        try
        {
            return Task.FromResult(read().Length > 0 ? "taken" : "taken empty");
        }
        catch (Exception e) when (e is SecretException or CommandException)
        {
            return Task.FromResult($"refused: {e.Message}");
        }
    }

    static void Run(string command) => Shell.Run(command);
}
