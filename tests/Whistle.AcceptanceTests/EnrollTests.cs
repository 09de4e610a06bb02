using System.Diagnostics;
using System.Text;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Two machines, which two network namespaces stand for: the server on one, an agent on the other that enrols itself.</summary>
public sealed class EnrollTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // A network of documentation (RFC 5737), and names that tell this process's namespaces from another's.
    const string ServerAddress = "198.51.100.1";

    readonly string _server = $"whistle-s{Environment.ProcessId}";
    readonly string _node = $"whistle-n{Environment.ProcessId}";
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-two-").FullName;

    public void Dispose()
    {
        Shell.Try($"ip netns del {_server}; ip netns del {_node}");
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_second_node_reports_over_TLS_after_five_commands_and_nobody_in_between_is_believed()
    {
        Requirement.Namespaces();
        MakeNetwork();
        var address = $"https://{ServerAddress}:9443";
        var data = Path.Combine(_folder, "data");
        // 1. The server.
        var printed = new StringBuilder();
        using var server = Start(_server, "Whistle", "whistle.dll", printed,
            ["serve", "--data", data, "--no-agent", "--listen", "http://127.0.0.1:9480", "--listen", "https://0.0.0.0:9443"]);
        try
        {
            await server.UntilAsync(
                _ => Task.FromResult(Said(printed).Contains("Tls:CertificateFile", StringComparison.Ordinal)), Cancellation);
            var fingerprint = Said(printed).Split("--ca-fingerprint ")[1].Split('\n')[0].Trim();
            // 2. A token for the cluster.
            var token = Token(await RunAsync(_server, "whistle.dll",
                ["agents", "join-token", "--cluster", "prod-1", "--uses", "2", "--for", "1h", "--data", data]));

            string[] enroll = ["enroll", "--server", address, "--folder", $"{_folder}/node", "--node", "node-2", "--join-token", token];
            await AssertRefusedAsync([.. enroll, "--ca-fingerprint", new string('0', 64)], "else somebody stands in between");
            await AssertRefusedAsync(enroll, "name its fingerprint with --ca-fingerprint");
            await AssertRefusedAsync(
                ["enroll", "--server", $"http://{ServerAddress}:9443", "--folder", $"{_folder}/node", "--join-token", token],
                "would show the token to the network", exit: 2);
            Assert.False(File.Exists($"{_folder}/node/token"));

            // 3. The node enrols itself, 4. and reports.
            var enrolled = await RunAsync(_node, "whistle-agent.dll", [.. enroll, "--ca-fingerprint", fingerprint]);
            Assert.Contains("This node is node-2 of cluster prod-1", enrolled.Output, StringComparison.Ordinal);
            Assert.Equal("600", Shell.Mode($"{_folder}/node/token"));
            var said = new StringBuilder();
            using var agent = Start(
                _node, "Whistle.Agent", "whistle-agent.dll", said, ["run", "--folder", $"{_folder}/node", "--interval", "1s"]);
            try
            {
                // 5. Its telemetry is there.
                await agent.UntilAsync(
                    async _ => (await QueryAsync(data, "node_boot_time_seconds")).Contains("node-2", StringComparison.Ordinal),
                    Cancellation);

                string[] elsewhere = [.. enroll.Select(a => a.EndsWith("/node", StringComparison.Ordinal) ? $"{_folder}/other" : a)];
                await AssertRefusedAsync([.. elsewhere, "--ca-fingerprint", fingerprint], "is enrolled already");
                // Revoked, it is told so, and its reports wait.
                await RunAsync(_server, "whistle.dll", ["agents", "revoke", "--cluster", "prod-1", "--node", "node-2", "--data", data]);
                await agent.UntilAsync(
                    _ => Task.FromResult(Said(said).Contains("Check the agent's token", StringComparison.Ordinal)), Cancellation);
            }
            finally
            {
                await agent.KillAndWaitAsync();
            }
        }
        finally
        {
            await server.KillAndWaitAsync();
        }
    }

    void MakeNetwork()
    {
        Shell.Run($"ip netns add {_server} && ip netns add {_node}");
        Shell.Run($"ip link add whs{Environment.ProcessId} netns {_server} type veth peer name whn{Environment.ProcessId} netns {_node}");
        foreach (var (space, link, address) in new[]
        {
            (_server, $"whs{Environment.ProcessId}", ServerAddress), (_node, $"whn{Environment.ProcessId}", "198.51.100.2"),
        })
        {
            Shell.Run($"ip -n {space} link set lo up && ip -n {space} addr add {address}/24 dev {link}");
            Shell.Run($"ip -n {space} link set {link} up");
        }
    }

    async Task AssertRefusedAsync(string[] arguments, string says, int exit = 1)
    {
        var refused = await RunAsync(_node, "whistle-agent.dll", arguments);
        Assert.Equal(exit, refused.Exit);
        Assert.Contains(says, refused.Output, StringComparison.Ordinal);
    }

    async Task<string> QueryAsync(string data, string query) =>
        (await RunAsync(_server, "whistle.dll", ["query", query, "--data", data])).Output;

    static string Token((int Exit, string Output) made)
    {
        Assert.Equal(0, made.Exit);
        return made.Output.Split('\n').Single(l => l.StartsWith("wsj_", StringComparison.Ordinal)).Trim();
    }

    static async Task<(int Exit, string Output)> RunAsync(string space, string assembly, string[] arguments)
    {
        var printed = new StringBuilder();
        using var process = Start(space, assembly == "whistle.dll" ? "Whistle" : "Whistle.Agent", assembly, printed, arguments);
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, Said(printed));
    }

    static Process Start(string space, string project, string assembly, StringBuilder printed, string[] arguments)
    {
        var process = ChildProcess.Start(
            "ip", ["netns", "exec", space, "dotnet", ChildProcess.PathOf(project, assembly), .. arguments]);
        process.OutputDataReceived += (_, line) => Add(line.Data);
        process.ErrorDataReceived += (_, line) => Add(line.Data);
        return process;

        void Add(string? line)
        {
            lock (printed)
                printed.Append(line).Append('\n');
        }
    }

    static string Said(StringBuilder printed)
    {
        lock (printed)
            return printed.ToString();
    }
}
