using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

using Whistle.Actions.Protocol;
using Whistle.Fixtures;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>A real agent, as a process of its own, on a million files.</summary>
public sealed class CleanPathsAtScaleTests
{
    const int Folders = 100;
    const int FilesEach = 10_000;

    const int FewFolders = 10;

    // Sixteen bytes a file: less than a table of device and inode numbers takes, not to speak of names.
    const long MostMemory = 16L << 20;

    [Fact]
    public async Task A_million_files_are_measured_planned_and_deleted_in_memory_that_does_not_grow_with_them()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var node = ActionDisk.Memory();
        await using var server = await CommandServer.StartAsync(cancellation);
        using var agent = StartAgent(node, server.Address);
        try
        {
            // All code has run, and what it needs at any rate is allocated.
            MakeFiles(node.Root, FewFolders);
            await AllAsync(server, node, FewFolders, cancellation);
            var few = PeakMemory(agent);
            MakeFiles(node.Root, Folders);
            await AllAsync(server, node, Folders, cancellation);
            var many = PeakMemory(agent);

            TestContext.Current.TestOutputHelper!.WriteLine($"peak memory of the agent: {few >> 10} KiB with {FewFolders * FilesEach} "
                + $"files, {many >> 10} KiB with {Folders * FilesEach}; {server.Begins} permits");
            Assert.Empty(Directory.EnumerateFiles(node.Root, "*", SearchOption.AllDirectories));
            Assert.InRange(many - few, 0, MostMemory);
        }
        finally
        {
            await agent.KillAndWaitAsync();
        }
    }

    static async Task AllAsync(CommandServer server, ActionDisk node, int folders, CancellationToken cancellation)
    {
        var measured = await server.RunAsync(
            "disk.largest-directories", $$"""{ "mountPoint": "{{node.Root}}" }""", dryRun: false, cancellation);
        var planned = await server.RunAsync("disk.clean-paths", "{}", dryRun: true, cancellation);
        var cleaned = await server.RunAsync("disk.clean-paths", "{}", dryRun: false, cancellation);
        foreach (var result in new[] { measured, planned, cleaned })
        {
            Assert.True(result.Outcome == CommandOutcome.Succeeded, result.Summary);
            Assert.Equal(folders * FilesEach, result.Output!.Value.GetProperty("files").GetInt64());
        }
    }

    static Process StartAgent(ActionDisk node, Uri server)
    {
        var home = Path.GetDirectoryName(node.PolicyFile)!;
        PrivateText.Write(Path.Join(home, "token"), AccessToken.New(AccessToken.OfSender));
        // Garbage is collected every 4 MiB on any machine; by itself the runtime waits for as much as the processor caches.
        return ChildProcess.StartProject(
            "Whistle.Agent", "whistle-agent.dll",
            [
                "run", "--server", server.ToString(), "--token-file", Path.Join(home, "token"), "--buffer", Path.Join(home, "buffer"),
                "--policy-file", node.PolicyFile,
            ],
            new Dictionary<string, string> { ["DOTNET_GCgen0size"] = "400000" });
    }

    static long PeakMemory(Process process)
    {
        const string key = "VmHWM:";
        var line = File.ReadLines($"/proc/{process.Id}/status").Single(l => l.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line[key.Length..].Replace("kB", "", StringComparison.Ordinal).Trim()) << 10;
    }

    static void MakeFiles(string root, int folders)
    {
        for (var i = 0; i < folders; i++)
        {
            var folder = Directory.CreateDirectory(Path.Join(root, $"d{i}")).FullName;
            for (var j = 0; j < FilesEach; j++)
                Assert.Equal(0, MakeFile(Encoding.ASCII.GetBytes($"{folder}/f{j}\0"), RegularFile, 0));
        }
    }

    const uint RegularFile = 0x81A4;

    // One call instead of five.
    [DllImport("libc", EntryPoint = "mknod")]
    static extern int MakeFile(byte[] path, uint mode, ulong device);
}
