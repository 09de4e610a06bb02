using System.Diagnostics;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Diagnostics;
using Whistle.Actions.Protocol;
using Whistle.Actions.Secrets;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class CaptureTests : IDisposable
{
    const string Name = "diagnostics.capture";

    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task All_parts_are_there_from_the_written_proc()
    {
        WriteProc();
        _node.WriteProgram(
            "journalctl", "echo '2027-01-15T08:00:00+0000 n1 kubelet[7]: PLEG is not healthy --token=abcdef.0123456789abcdef'");
        var report = await _node.RunAsync(Name, """{ "unit": "kubelet.service" }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        var since = (_node.Time.GetUtcNow() - TimeSpan.FromMinutes(15)).ToUnixTimeSeconds();
        Assert.Equal([$"-o short-iso --since=@{since} --no-pager --quiet --lines=5000 --unit=kubelet.service"], _node.Calls("journalctl"));
        Assert.Equal(2, report.Output!.Value.GetProperty("redacted").GetInt32());
        Assert.Equal("2027-01-15T08:00:00+0000 n1 kubelet[7]: PLEG is not healthy --token=[redacted]\n", Part(report, "journal"));
        Assert.Contains("loadavg: 0.20 0.18 0.12 1/80 11206\n", Part(report, "load"), StringComparison.Ordinal);
        Assert.Contains("pressure/io: some avg10=0.00 | full avg10=1.50\n", Part(report, "load"), StringComparison.Ordinal);
        Assert.Contains("1 processes: 1 S\n", Part(report, "processes"), StringComparison.Ordinal);
        Assert.Contains(
            "7 1 S 8192 4 30 /usr/bin/mysqld --password=[redacted] --port 3306\n", Part(report, "processes"), StringComparison.Ordinal);
        Assert.Contains("10.0.0.5\nfe80::1/64 eth0\n", Part(report, "network"), StringComparison.Ordinal);
        Assert.Contains(
            "0.0.0.0/0 via 10.0.0.1 dev eth0 metric 100\n10.0.0.0/24 dev eth0 metric 100\n", Part(report, "network"),
            StringComparison.Ordinal);
        Assert.Contains("tcp: 2 ESTABLISHED, 1 LISTEN\n", Part(report, "network"), StringComparison.Ordinal);
        Assert.Matches(@"/dev/root / ext4 [0-9.]+[KMGTP]iB ", Part(report, "disk"));
        Assert.Contains("server:/x /mnt/x nfs4 not-asked", Part(report, "disk"), StringComparison.Ordinal);
        Assert.Equal(0, _node.Begins);
    }

    [Fact]
    public async Task However_much_there_is_it_stays_within_its_limit_and_says_what_was_cut()
    {
        // The quotes and the newlines take more room as JSON than they have.
        _node.WriteProgram("journalctl", "seq 1 200000 | sed 's/.*/2027-01-15T08:00:00+0000 n1 x[1]: \"&\" ü/'");
        for (var i = 1000; i < 1600; i++)
            WriteProcess(i, $"/usr/bin/program\0{string.Join('\0', Enumerable.Repeat("--some-long-name", 20))}\0");
        var report = await _node.RunAsync(Name);
        Assert.InRange(JsonSerializer.SerializeToUtf8Bytes(report.Output!.Value).Length, 170 << 10, Capture.Largest);
        Assert.Equal(
            ["processes", "journal"],
            Parts(report).Where(p => p.GetProperty("cut").GetBoolean()).Select(p => p.GetProperty("name").GetString()));
        Assert.Contains("Cut: processes, journal.", report.Summary, StringComparison.Ordinal);
        Assert.EndsWith("\"200000\" ü\n", Part(report, "journal"), StringComparison.Ordinal);
        Assert.StartsWith("2027-", Part(report, "journal"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_machine_itself_can_be_captured_and_a_missing_journal_is_told()
    {
        _node.ProcPath = "/proc";
        _node.WriteProgram("journalctl", "echo 'No journal files were found.' >&2; exit 1");
        var report = await _node.RunAsync(Name);
        Assert.Equal(CommandOutcome.Succeeded, report.Outcome);
        Assert.Contains(
            "No journal files were found.",
            Parts(report).Single(p => p.GetProperty("name").GetString() == "journal").GetProperty("missing").GetString(),
            StringComparison.Ordinal);
        Assert.All(["load", "processes", "network", "disk"], p => Assert.True(Part(report, p).Length > 50, p));
    }

    [Theory]
    [InlineData("""{ "unit": "--file=/etc/shadow" }""")]
    [InlineData("""{ "unit": "kubelet" }""")]
    public async Task What_is_no_name_of_a_unit_is_refused(string parameters) =>
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Name, parameters)).Outcome);

    [Theory]
    [InlineData("Authorization: Basic dXNlcjpwYXNz", "Authorization: [redacted]")]
    [InlineData("using Bearer abc.def-ghi_123", "using Bearer [redacted]")]
    [InlineData("DB_PASSWORD=hunter2 HOST=x", "DB_PASSWORD=[redacted] HOST=x")]
    [InlineData("""{"password":"a b","user":"x"}""", """{"password":[redacted],"user":"x"}""")]
    [InlineData("""msg="{\"token\":\"abc\",\"n\":1}" """, """msg="{\"token\":[redacted],\"n\":1}" """)]
    [InlineData("kubeadm join --token abcdef.0123456789abcdef 10.0.0.1:6443", "kubeadm join --token [redacted] 10.0.0.1:6443")]
    [InlineData("got abcdef.0123456789abcdef here", "got [redacted] here")]
    [InlineData("pulled https://user:p@ss@registry.example/x", "pulled https://[redacted]@registry.example/x")]
    [InlineData("key AKIAIOSFODNN7EXAMPLE used", "key [redacted] used")]
    [InlineData("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY done", "secret [redacted] done")]
    [InlineData("jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln ok", "jwt [redacted] ok")]
    [InlineData("    client-key-data: LS0tLS1CRUdJTg==", "    client-key-data: [redacted]")]
    [InlineData(
        "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY----- b", "a -----BEGIN RSA PRIVATE KEY-----[redacted] b")]
    [InlineData(
        @"a -----BEGIN CERTIFICATE-----\nMIIE\nabc=\n-----END CERTIFICATE-----\n b", @"a -----BEGIN CERTIFICATE-----[redacted]\n b")]
    [InlineData(
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData("GET /api/v1/namespaces/kube-system/secrets?limit=500 200", "GET /api/v1/namespaces/kube-system/secrets?limit=500 200")]
    public void Secrets_go_and_the_rest_stays(string text, string without) => Assert.Equal(without, Redaction.Redact(text, out _));

    [Fact]
    public async Task What_a_process_calls_itself_is_not_taken_for_its_program()
    {
        WriteProcess(7, "postgres: alice hunter2db [local] idle\0");
        WriteProcess(8, "worker hunter2\0hunter2\0");
        File.CreateSymbolicLink(Path.Join(_node.ProcPath, "8/exe"), "/usr/lib/app/worker (deleted)");
        WriteProcess(
            9,
            "/usr/sbin/kubelet\0--config=/var/lib/kubelet/config.yaml\0--node-ip\010.0.0.5\0--token\0hunter2\0hunter2\0--v=2\0-phunter2\0");
        var processes = Part(await _node.RunAsync(Name), "processes");
        Assert.DoesNotContain("hunter2", processes, StringComparison.Ordinal);
        Assert.Contains(" [my sql) d]\n", processes, StringComparison.Ordinal);
        Assert.Contains(" /usr/lib/app/worker [redacted]\n", processes, StringComparison.Ordinal);
        Assert.Contains(
            " /usr/sbin/kubelet --config=/var/lib/kubelet/config.yaml --node-ip 10.0.0.5 --token [redacted] --v=2 -p[redacted]\n",
            processes, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_a_real_process_the_program_is_seen_and_no_secret()
    {
        _node.ProcPath = "/proc";
        _node.WriteProgram("journalctl", "exit 1");
        var secret = $"hunter{Guid.NewGuid():n}";
        var start = new ProcessStartInfo(
            "/bin/sh",
            ["-c", "read x", $"-p{secret}", "--pass", secret, $"https://{secret}@h", $"A={secret}", $"--x={secret}"])
        { RedirectStandardInput = true };
        start.Environment["TOKEN"] = secret;
        using var process = Process.Start(start)!;
        try
        {
            var processes = Part(await _node.RunAsync(Name), "processes");
            Assert.DoesNotContain(secret, processes, StringComparison.Ordinal);
            Assert.Matches(
                $@"(?m)^{process.Id} .* /\S*(?:sh|dash|bash) -c \[redacted\] -p\[redacted\] --pass \[redacted\] --x=\[redacted\]$",
                processes);
        }
        finally
        {
            process.StandardInput.Close();
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task The_nodes_policy_narrows_what_is_captured_or_forbids_it()
    {
        _node.WriteProgram("journalctl", "echo line");
        _node.WritePolicy(
            """{ "diagnostics": { "processes": false, "disk": false, "journalUnits": ["kubelet.service", "containerd.service"] } }""");
        var report = await _node.RunAsync(Name);
        Assert.Equal(
            ["processes", "disk"],
            Parts(report).Where(p => p.TryGetProperty("missing", out _)).Select(p => p.GetProperty("name").GetString()));
        Assert.Equal("", Part(report, "processes"));
        Assert.EndsWith(
            "--unit=kubelet.service --unit=containerd.service", Assert.Single(_node.Calls("journalctl")), StringComparison.Ordinal);
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Name, """{ "unit": "ssh.service" }""")).Outcome);

        foreach (var policy in new[]
        {
            """{ "diagnostics": { "load": false, "processes": false, "network": false, "disk": false, "journal": false } }""",
            """{ "diagnostics": { "journalUnits": [] } }""", """{ "diagnostics": { "process": false } }""", "{", "null",
        })
        {
            _node.WritePolicy(policy);
            Assert.Equal((policy, CommandOutcome.Refused), (policy, (await _node.RunAsync(Name)).Outcome));
        }

        Assert.Single(_node.Calls("journalctl"));
        File.Delete(_node.PolicyFile);
        Assert.Equal(CommandOutcome.Succeeded, (await _node.RunAsync(Name)).Outcome);
    }

    [Fact]
    public async Task The_options_of_a_mount_lose_their_values()
    {
        _node.WriteProc(
            "1/mounts",
            "//srv/x /mnt/c cifs rw,vers=3.0,username=bob,password=hunter2 0 0\nhttps://tok3n@dav/x /mnt/d fuse rw,passwd=hunter2 0 0\n");
        var disk = Part(await _node.RunAsync(Name), "disk");
        Assert.DoesNotContain("hunter2", disk, StringComparison.Ordinal);
        Assert.DoesNotContain("tok3n", disk, StringComparison.Ordinal);
        Assert.Contains("rw,vers=3.0,username=[redacted],password=[redacted]\n", disk, StringComparison.Ordinal);
    }

    void WriteProc()
    {
        WriteProcess(7, "/usr/bin/mysqld\0--password=hunter2\0--port\03306\0");
        _node.WriteProc("loadavg", "0.20 0.18 0.12 1/80 11206\n");
        _node.WriteProc("pressure/io", "some avg10=0.00\nfull avg10=1.50\n");
        _node.WriteProc("1/mounts", "/dev/root / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\nserver:/x /mnt/x nfs4 rw 0 0\n");
        _node.WriteProc(
            "1/net/fib_trie",
            "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n");
        _node.WriteProc("1/net/if_inet6", "fe800000000000000000000000000001 02 40 20 80     eth0\n");
        _node.WriteProc("1/net/route",
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
            + "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
            + "eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n");
        _node.WriteProc("1/net/tcp",
            "  sl  local_address rem_address   st tx_queue\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n"
            + "   1: 0500000A:0016 0100000A:D431 01 00000000:00000000\n   2: 0500000A:0016 0100000A:D432 01 00000000:00000000\n");
    }

    void WriteProcess(int id, string command)
    {
        _node.WriteProc($"{id}/stat", $"{id} (my sql) d) S 1 7 7 0 -1 4194560 1 0 0 0 10 20 0 0 20 0 4 0 100 1000000 "
            + $"{8192 * 1024 / Environment.SystemPageSize} 1844 0\n");
        _node.WriteProc($"{id}/cmdline", command);
    }

    static List<JsonElement> Parts(ActionReport report) => [.. report.Output!.Value.GetProperty("parts").EnumerateArray()];

    static string Part(ActionReport report, string name) =>
        Parts(report).Single(p => p.GetProperty("name").GetString() == name).GetProperty("text").GetString()!;
}
