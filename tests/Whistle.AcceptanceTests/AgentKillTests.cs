using System.Diagnostics;

using Microsoft.Extensions.Logging.Abstractions;

using Snappier;

using Whistle.Agent;
using Whistle.Agent.Buffering;
using Whistle.Agent.Settings;
using Whistle.Fixtures;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class AgentKillTests : IDisposable
{
    const int Kills = 20;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-agent-kill").FullName;

    string Buffer => Path.Combine(_folder, "buffer");

    string TokenFile => Path.Combine(_folder, "token");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// The agent reports every second over a network that delivers, refuses, or loses the answer, and is killed at random moments. Whatever
    /// the server acknowledged, and whatever lay on the agent's disk when it died, must be in the store in the end.
    /// </summary>
    [Fact(Timeout = 600_000)]
    public async Task No_sample_is_lost_when_the_agent_is_killed_twenty_times()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var random = Seed.New();
        await using var server = await InProcessServer.StartAsync(cancellation);
        PrivateText.Write(
            TokenFile, await server.App.Credentials.EnrollAsync(new("default", "c1"), "n1", TestContext.Current.CancellationToken));
        await using var network = await FaultyNetwork.StartAsync(server.App.Address, random.Next(), cancellation);
        var expected = new Dictionary<(Labels, long), double>();

        for (var kill = 0; kill < Kills; kill++)
        {
            network.Faulty = random.Next(2) == 0;
            using var agent = StartAgent(network.Address);
            // A moment within whatever the agent does: now and then while it starts, mostly while it reports and sends.
            if (random.Next(5) > 0)
                await network.RequestsAsync(random.Next(1, 4), cancellation);
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(0, 1000)), TimeProvider.System, cancellation);
            agent.Kill();
            await agent.WaitForExitAsync(cancellation);
            ReadBuffer(expected);
        }

        network.Faulty = false;
        await DrainAsync(network.Address, cancellation);

        foreach (var body in network.Acknowledged)
            Remember(body, expected);
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{expected.Count} samples to be found; {network.Acknowledged.Count} acknowledged requests, {network.Faults} faults");
        Assert.True(expected.Count > 2000 && network.Faults > 0, "That was no load.");
        AssertStored(server, expected);
    }

    Process StartAgent(Uri server) => ChildProcess.StartProject(
        "Whistle.Agent", "whistle-agent.dll",
        ["run", "--server", server.ToString(), "--token-file", TokenFile, "--interval", "1s", "--buffer", Buffer]);

    async Task DrainAsync(Uri server, CancellationToken cancellation)
    {
        using var agent = new WhistleAgent(
            new AgentOptions { Server = server, TokenFile = TokenFile, Buffer = new BufferOptions { Folder = Buffer } },
            NullLogger.Instance);
        Assert.True(await agent.SendPendingAsync(cancellation));
    }

    // Reads a copy, so that the agent finds its files as the kill left them.
    void ReadBuffer(Dictionary<(Labels, long), double> expected)
    {
        var copy = Directory.CreateDirectory(Path.Combine(_folder, "copy")).FullName;
        if (!Directory.Exists(Buffer))
            return;
        foreach (var file in Directory.EnumerateFiles(Buffer, "*.reports"))
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        using (var buffer = new ReportBuffer(new BufferOptions { Folder = copy }, TimeProvider.System, NullLogger.Instance))
        {
            while (buffer.Peek() is { } report)
            {
                Remember(report.Payload, expected);
                buffer.Remove(report);
            }
        }

        Directory.Delete(copy, recursive: true);
    }

    static void Remember(byte[] compressed, Dictionary<(Labels, long), double> expected)
    {
        var reader = new WriteRequestReader(Snappy.DecompressToArray(compressed), RemoteWriteVersion.V2, new WriteRequestScratch());
        while (reader.ReadSeries())
        {
            var labels = LabelsCodec.Decode(reader.Key, LabelLimits.Default);
            while (reader.ReadSample(out var sample))
                expected[(labels, sample.Time)] = sample.Value;
        }
    }

    static void AssertStored(InProcessServer server, Dictionary<(Labels Labels, long Time), double> expected)
    {
        var stored = server.App.Telemetry.Select([new LabelMatcher("node", MatchOperator.Equal, "n1")], 0, long.MaxValue)
            .ToDictionary(
                s => s.Labels.Drop(["tenant", "cluster", "node"]), s => s.Times.Zip(s.Values).ToDictionary(p => p.First, p => p.Second));
        Assert.All(expected, sample => Assert.Equal(
            BitConverter.DoubleToInt64Bits(sample.Value), BitConverter.DoubleToInt64Bits(stored[sample.Key.Labels][sample.Key.Time])));
    }
}
