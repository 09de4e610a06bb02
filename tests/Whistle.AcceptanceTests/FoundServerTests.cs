using System.Text.Json;
using System.Text.Json.Nodes;

using Whistle.Data;
using Whistle.Fixtures;
using Whistle.Tls;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The command line finds a server by its data folder alone, and believes nobody else there.</summary>
public sealed class FoundServerTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-found-").FullName;
    readonly TestAuthority _authority = new("real");

    string Data => Path.Combine(_folder, "data");

    string Written => Path.Combine(Data, Listening.FileName);

    public void Dispose()
    {
        _authority.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("https://127.0.0.1:0")]
    [InlineData("https://0.0.0.0:0")]
    public async Task A_verb_finds_a_server_on_any_port_by_its_folder_and_so_does_enrolment(string listen)
    {
        await using (var server = await StartAsync(o => o with { Listen = [new(listen)] }))
        {
            Assert.Equal("600", Shell.Mode(Written));
            Assert.Equal((0, "No node is in service. Enrol one with `whistle agents join-token`.\n"), Two(await AskAsync("nodes", "list")));
            // One that the server itself has enrolled, not the state behind its back.
            var (exit, token, error) = await AskAsync("agents", "add", "--cluster", "c", "--node", "n");
            Assert.Equal((0, "wst_"), (exit, token[..4]));
            Assert.Contains("The cluster default/c was not known, and is added.", error, StringComparison.Ordinal);

            var (_, join, hint) = await AskAsync("agents", "join-token", "--cluster", "c");
            var line = Assert.Single(hint.Split('\n'), l => l.StartsWith("whistle-agent enroll ", StringComparison.Ordinal));
            string[] words = [.. line.Split(' ')[1..^2], "--join-token", join.Trim(), "--folder", $"{_folder}/agent", "--node", "m"];
            var (enrolled, output, _) = await Programs.AgentAsync(words);
            Assert.Equal(0, enrolled);
            Assert.Contains("This node is m of cluster c", output, StringComparison.Ordinal);
        }

        // Whoever has the port now is not asked.
        Assert.False(File.Exists(Written));
    }

    [Fact]
    public async Task A_certificate_from_elsewhere_is_known_by_its_fingerprint_also_once_it_was_replaced()
    {
        Directory.CreateDirectory(_folder);
        WriteCertificate();
        await using var server = await StartAsync(o => o with
        {
            Listen = [new("https://127.0.0.1:0")],
            Tls = new TlsOptions { CertificateFile = Path.Combine(_folder, "certificate"), KeyFile = Path.Combine(_folder, "key") },
        });
        Assert.Equal(0, (await AskAsync("nodes", "list")).Exit);

        var before = await File.ReadAllTextAsync(Written, Cancellation);
        WriteCertificate();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        while (await File.ReadAllTextAsync(Written, Cancellation) == before)
            await timer.WaitForNextTickAsync(Cancellation);
        Assert.Equal(0, (await AskAsync("nodes", "list")).Exit);

        void WriteCertificate()
        {
            var leaf = _authority.Sign("whistle.example.com");
            PrivateText.Write(Path.Combine(_folder, "certificate"), leaf.ExportCertificatePem());
            PrivateText.Write(Path.Combine(_folder, "key"), TestAuthority.KeyOf(leaf));
        }
    }

    [Fact]
    public async Task A_file_that_cannot_be_written_keeps_no_server_from_starting_and_is_written_as_soon_as_it_can()
    {
        Directory.CreateDirectory(Written);
        await using var server = await StartAsync(o => o with { Listen = [new("http://127.0.0.1:0")] });
        using var healthy = await server.Http.GetAsync("-/ready", Cancellation);
        Assert.True(healthy.IsSuccessStatusCode);

        Directory.Delete(Written);
        await AssertWrittenAsync(server);
    }

    [Fact]
    public async Task What_could_be_somebody_elses_is_not_believed()
    {
        await using var server = await StartAsync(o => o with { Listen = [new("https://127.0.0.1:0")] });
        var whole = JsonNode.Parse(await File.ReadAllTextAsync(Written, Cancellation))!.AsObject();

        await RefusedAsync(j => j["fingerprint"] = new string('A', 64), "else somebody stands in between");
        await RefusedAsync(j => j["fingerprint"] = null, "does not say what proves https://127.0.0.1:");
        await RefusedAsync(j => j["fingerprint"] = "short", "is not a SHA-256 fingerprint", exit: 2);
        await RefusedAsync(j => j.Remove("local"), "holds no addresses.");
        await RefusedAsync(j => j["local"] = "file:///etc/passwd", "holds no addresses.");
        await RefusedAsync(_ => { }, "can be read by others", "604");

        async Task RefusedAsync(Action<JsonObject> change, string says, string mode = "600", int exit = 1)
        {
            var changed = whole.DeepClone().AsObject();
            change(changed);
            PrivateText.Write(Written, changed.ToJsonString());
            Shell.Run($"chmod {mode} {Written}");
            var (ended, output, error) = await AskAsync("nodes", "list");
            Assert.Equal((exit, ""), (ended, output));
            Assert.Contains(says, error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void What_a_process_wrote_that_has_ended_says_nothing()
    {
        Directory.CreateDirectory(Data);
        var own = Environment.ProcessId;
        var listening = new Listening(own, Listening.StartOf(own)!, new("http://127.0.0.1:9"), [new("http://127.0.0.1:9")], null);
        PrivateText.Write(Written, JsonSerializer.Serialize(listening, JsonSerializerOptions.Web));
        Assert.Equal(listening.Local, Listening.Read(Data)!.Local);

        // Another process began at another moment, and no moment is told apart from the same of another start of the machine without more.
        Assert.NotEqual(Listening.StartOf(1), listening.Started);
        if (OperatingSystem.IsLinux())
            Assert.EndsWith(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim(), listening.Started, StringComparison.Ordinal);
        // More than any system numbers its processes to, and a number that another process has now.
        foreach (var stale in new[] { listening with { Process = int.MaxValue }, listening with { Started = "1 before" } })
        {
            PrivateText.Write(Written, JsonSerializer.Serialize(stale, JsonSerializerOptions.Web));
            Assert.Null(Listening.Read(Data));
        }
    }

    [Fact]
    public async Task Where_no_server_runs_on_the_folder_its_token_is_sent_to_nobody()
    {
        await using (await StartAsync(o => o with { Listen = [new("http://127.0.0.1:0")] }))
        {
        }

        var (exit, output, error) = await AskAsync("nodes", "list");
        Assert.Equal((3, ""), (exit, output));
        Assert.StartsWith($"No server says that it runs on {Data}. ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_deleted_under_the_server_comes_back()
    {
        await using var server = await StartAsync(o => o with { Listen = [new("http://127.0.0.1:0")] });
        File.Delete(Written);
        await AssertWrittenAsync(server);
    }

    [Fact]
    public async Task Where_nothing_listens_that_is_written_enrolment_works_on_the_state_with_its_lock()
    {
        string written;
        await using (await StartAsync(o => o with { Listen = [new("http://127.0.0.1:0")] }))
            written = await File.ReadAllTextAsync(Written, Cancellation);
        // As a server leaves it that was killed.
        PrivateText.Write(Written, written);

        var (exit, token, error) = await AskAsync("agents", "add", "--cluster", "c", "--node", "n");
        Assert.Equal((0, "wst_"), (exit, token[..4]));
        Assert.DoesNotContain("does not listen", error, StringComparison.Ordinal);
        Assert.Contains(
            "whistle agents", await File.ReadAllTextAsync(Path.Combine(Data, ServerLock.FileName), Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_speaks_the_other_protocol_is_told_the_right_one()
    {
        await using var server = await StartAsync(
            o => o with { Listen = [new("http://127.0.0.1:0")], ListenForAgents = [new("https://127.0.0.1:0")] });
        var (plain, tls) = (server.App.Addresses[0].Authority, server.App.Addresses[1].Authority);
        var token = (await server.App.Credentials.MakeJoinTokenAsync(new("t", "c"), 1, TimeSpan.FromHours(1), false, Cancellation)).Token;
        foreach (var (asked, right) in new[] { ($"http://{tls}", $"https://{tls}"), ($"https://{plain}", $"http://{plain}") })
        {
            var (exit, _, error) = await Programs.AgentAsync(
                "enroll", "--server", asked, "--folder", $"{_folder}/agent", "--node", "m", "--join-token", token);
            Assert.NotEqual(0, exit);
            Assert.Contains($"did you mean {right}?", error, StringComparison.Ordinal);
            Assert.DoesNotContain("inner exception", error, StringComparison.Ordinal);
        }

        var (_, _, wrong) = await Programs.AgentAsync(
            "enroll", "--server", $"https://{tls}", "--folder", $"{_folder}/agent", "--node", "m", "--join-token", token,
            "--ca-fingerprint", new string('A', 64));
        Assert.StartsWith($"https://{tls} is not proven. The server's certificate has the fingerprint ", wrong, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("list")]
    [InlineData("add", "--cluster", "c", "--node", "n")]
    [InlineData("revoke", "--cluster", "c", "--node", "n")]
    [InlineData("list", "--offline")]
    public async Task Where_there_is_no_state_no_verb_makes_one_unasked(params string[] verb)
    {
        foreach (var folder in new[] { Data, _folder })
        {
            var (exit, _, error) = await Programs.WhistleAsync(["agents", .. verb, "--data", folder]);
            Assert.Equal(1, exit);
            Assert.StartsWith($"There is no state in {folder}. ", error, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.GetFileSystemEntries(_folder));
        Assert.Equal(0, (await Programs.WhistleAsync(
            "agents", "add", "--cluster", "c", "--node", "n", "--offline", "--data", Data)).Exit);
    }

    async Task AssertWrittenAsync(InProcessServer server)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        while (!File.Exists(Written))
            await timer.WaitForNextTickAsync(Cancellation);
        Assert.Equal(server.App.Address, Listening.Read(Data)!.Local);
    }

    static (int Exit, string Output) Two((int Exit, string Output, string Error) all) => (all.Exit, all.Output);

    Task<(int Exit, string Output, string Error)> AskAsync(params string[] verb) => Programs.WhistleAsync([.. verb, "--data", Data]);

    Task<InProcessServer> StartAsync(Func<WhistleOptions, WhistleOptions> change)
    {
        Directory.CreateDirectory(Data);
        return InProcessServer.StartAsync(Cancellation, Data, change);
    }
}
