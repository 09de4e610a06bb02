using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The data folder that commit 0f7c562 made (old-data/README.md), and the books of those who sent to it and worked with it, which no store
/// was asked for.
/// </summary>
static class OldData
{
    static string Folder => Path.Combine(AppContext.BaseDirectory, "old-data");

    public static string Rules => Path.Combine(Folder, "rules.yaml");

    public static string Runbooks => Path.Combine(Folder, "runbook.yaml");

    /// <summary>When the old server was stopped, by its own clock.</summary>
    public static DateTimeOffset StoppedAt { get; } = DateTimeOffset.Parse(Lines("stopped-at").Single()[0], CultureInfo.InvariantCulture);

    /// <summary>By series, as <c>name tenant=… cluster=… node=… part=…</c>.</summary>
    public static IReadOnlyDictionary<string, SortedDictionary<long, double>> Samples { get; } = ReadSamples();

    /// <summary>The words of the lines of the state's book that begin so.</summary>
    public static IReadOnlyList<string[]> Lines(string kind) =>
        [.. File.ReadLines(Path.Combine(Folder, "state.txt")).Where(l => l.StartsWith(kind + ' ', StringComparison.Ordinal))
            .Select(l => l.Split(' ')[1..])];

    /// <summary>A copy of it, as it was left.</summary>
    public static void Extract(string folder)
    {
        Directory.CreateDirectory(folder);
        using var file = File.OpenRead(Path.Combine(Folder, "data.tar.gz"));
        using var tar = new GZipStream(file, CompressionMode.Decompress);
        TarFile.ExtractToDirectory(tar, folder, overwriteFiles: false);
    }

    /// <summary>What a server answers to queries for all of it, against the books.</summary>
    public static async Task AssertSamplesAsync(HttpClient http, CancellationToken cancellation)
    {
        var found = new Dictionary<string, SortedDictionary<long, double>>();
        foreach (var name in Samples.Keys.Select(k => k.Split(' ')[0]).Distinct())
        {
            var query = Uri.EscapeDataString($"{name}{{part!=\"\"}}[6h]");
            using var answer = JsonDocument.Parse(await http.GetStringAsync(
                new Uri($"api/v1/query?query={query}&time={StoppedAt.ToUnixTimeSeconds()}", UriKind.Relative), cancellation));
            foreach (var series in answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray())
            {
                string Label(string label) => series.GetProperty("metric").GetProperty(label).GetString()!;
                found[$"{Label("__name__")} tenant={Label("tenant")} cluster={Label("cluster")} node={Label("node")} "
                    + $"part={Label("part")}"] = new(series.GetProperty("values").EnumerateArray()
                    .ToDictionary(
                        v => (long)(v[0].GetDouble() * 1000), v => double.Parse(v[1].GetString()!, CultureInfo.InvariantCulture)));
            }
        }

        Assert.Equal(Samples.Keys.Order(StringComparer.Ordinal), found.Keys.Order(StringComparer.Ordinal));
        Assert.All(Samples, s => Assert.Equal(s.Value, found[s.Key]));
    }

    /// <summary>What a server answers about people's settings, incidents, runs and senders, against the books.</summary>
    public static async Task AssertStateAsync(HttpClient http, WhistleApp app, CancellationToken cancellation)
    {
        async Task<List<JsonElement>> ListAsync(string path)
        {
            using var answer = JsonDocument.Parse(
                await http.GetStringAsync(new Uri($"api/whistle/v1/{path}", UriKind.Relative), cancellation));
            return [.. answer.RootElement.Clone().EnumerateArray()];
        }

        var incident = Assert.Single(
            await ListAsync("incidents?since=720h"), i => i.GetProperty("id").GetString() == Lines("incident").Single()[0]);
        Assert.Equal(string.Join(' ', Lines("incident").Single()[2..]), incident.GetProperty("title").GetString());
        var run = Assert.Single(await ListAsync("runs?since=720h"), r => r.GetProperty("id").GetString() == Lines("run").Single()[0]);
        Assert.Equal(Lines("run").Single()[2], run.GetProperty("runbook").GetString());
        var mode = Assert.Single(await ListAsync("runbook-modes"));
        Assert.Equal(
            string.Join(' ', Lines("mode").Single()), $"{mode.GetProperty("mode").GetString()} {mode.GetProperty("cluster").GetString()}");
        var pause = Assert.Single(await ListAsync("pauses"));
        Assert.Equal(
            string.Join(' ', Lines("pause").Single()),
            $"{pause.GetProperty("cluster").GetString()} {pause.GetProperty("reason").GetString()}");
        Assert.Equal(
            Lines("agent").Select(a => string.Join('/', a)),
            (await app.Credentials.AgentsAsync(TestContext.Current.CancellationToken)).Select(a => a.NodeId.ToString()));
    }

    static Dictionary<string, SortedDictionary<long, double>> ReadSamples()
    {
        var series = new Dictionary<string, SortedDictionary<long, double>>();
        SortedDictionary<long, double> current = [];
        foreach (var line in File.ReadLines(Path.Combine(Folder, "samples.txt")))
        {
            if (!char.IsAsciiDigit(line[0]))
                series[line] = current = [];
            else
                current.Add(
                    long.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture),
                    double.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));
        }

        return series;
    }
}
