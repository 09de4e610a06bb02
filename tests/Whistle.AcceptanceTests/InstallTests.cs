using System.Diagnostics;
using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// What README.md promises: every line of its install is run as it stands, in a folder that stands for the root of the machine. systemd's
/// part is
/// done here, by what the units say.
/// </summary>
public sealed partial class InstallTests : IAsyncDisposable
{
    static readonly string Repository = FindRepository();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _root = Directory.CreateTempSubdirectory("whistle-install").FullName;
    readonly Dictionary<string, Process> _units = [];
    readonly string _address = $"http://127.0.0.1:{ChildProcess.FreePort()}";

    public async ValueTask DisposeAsync()
    {
        foreach (var unit in _units.Values)
            await unit.KillAndWaitAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task Whistle_is_installed_started_upgraded_and_removed_as_the_readme_says()
    {
        RequireSdk();
        foreach (var folder in new[] { "usr/bin", "etc/systemd/system", "var/lib", "var/backups" })
            Directory.CreateDirectory(Path.Combine(_root, folder));
        var done = new List<string>();
        foreach (var (step, lines) in Steps())
        {
            done.Add(step);
            foreach (var line in lines)
                await DoAsync(line);
            if (step == "First node")
                await UntilReportedAsync();
            if (step == "Upgrade")
                Assert.Contains("node-7", await OutputAsync($"whistle agents list --data {Place("/var/lib/whistle")}"),
                    StringComparison.Ordinal);
        }

        Assert.Equal(["Install", "Start", "First node", "Upgrade", "Remove"], done);
        Assert.Empty(_units);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_root, "opt")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_root, "usr/bin")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_root, "etc/systemd/system")));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_root, "var/lib")));
    }

    [Fact]
    public async Task The_tool_is_packed_installed_and_serves()
    {
        RequireSdk();
        var lines = Block().Matches(Section("Install"))
            .Select(m => m.Groups[1].Value).Single(b => b.Contains("dotnet pack", StringComparison.Ordinal))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (var line in lines)
        {
            await RunAsync(line.Replace("packages", Path.Combine(_root, "packages"), StringComparison.Ordinal)
                .Replace("--global", $"--tool-path {_root}/tools", StringComparison.Ordinal));
        }

        var data = Path.Combine(_root, "data");
        var server = Start(Path.Combine(_root, "tools", "whistle"), ["serve", "--no-agent", "--data", data], []);
        _units["tool"] = server;
        using var http = new HttpClient { BaseAddress = new Uri(_address) };
        await server.UntilAnswersAsync(http, "-/ready", Cancellation);
        Assert.Contains("node-disk-filling", await OutputAsync($"{_root}/tools/whistle runbooks list --data {data}"),
            StringComparison.Ordinal);
        Assert.Contains("NodeSilent", await OutputAsync($"{_root}/tools/whistle rules list --data {data}"), StringComparison.Ordinal);
    }

    async Task DoAsync(string line)
    {
        switch (line.Split(' '))
        {
            case ["systemctl", "enable", "--now", var unit]:
                await StartUnitAsync(unit);
                break;
            case ["systemctl", "start", var unit]:
                await StartUnitAsync(unit);
                break;
            case ["systemctl", "disable", "--now", .. var units]:
                await StopUnitsAsync(units);
                break;
            case ["systemctl", "stop", .. var units]:
                await StopUnitsAsync(units);
                break;
            case ["useradd", ..]:
                // Of the machine; here all belongs to who runs the test.
                break;
            default:
                await RunAsync(Place(line.Replace("-o whistle -g whistle ", "", StringComparison.Ordinal)));
                break;
        }
    }

    async Task StartUnitAsync(string unit)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(_root, "etc/systemd/system", $"{unit}.service"), Cancellation);
        Verify(unit, text);
        var words = Value(text, "ExecStart").Single().Split(' ');
        foreach (var state in Value(text, "StateDirectory"))
            Shell.Run($"mkdir -p -m 0700 '{_root}/var/lib/{state}'");
        IEnumerable<string> settings =
        [
            .. Value(text, "Environment").Select(Place),
            .. Value(text, "EnvironmentFile").SelectMany(OfFile),
        ];
        string[] own = unit == "whistle-agent" ? ["--buffer", Place("/var/lib/whistle-agent/buffer")] : ["--no-agent"];
        var process = Start(Place(words[0]), [.. words[1..], .. own], settings
            .Select(s => s.Split('=', 2)).ToDictionary(s => s[0], s => s[1]));
        _units[unit] = process;
        using var http = new HttpClient { BaseAddress = new Uri(_address) };
        await process.UntilAnswersAsync(http, "-/ready", Cancellation);
    }

    // With a dash, one that is not there is none.
    string[] OfFile(string file) =>
        !file.StartsWith('-') ? File.ReadAllLines(Place(file))
        : File.Exists(Place(file[1..])) ? File.ReadAllLines(Place(file[1..])) : [];

    void Verify(string unit, string text)
    {
        if (!File.Exists("/usr/bin/systemd-analyze"))
            return;
        var file = Path.Combine(_root, $"{unit}.service");
        File.WriteAllText(file, text.Replace("/usr/bin/", $"{_root}/usr/bin/", StringComparison.Ordinal));
        Assert.Equal("", Shell.Run($"systemd-analyze verify '{file}'"));
    }

    async Task StopUnitsAsync(string[] units)
    {
        foreach (var unit in units)
        {
            using var process = _units[unit];
            // As systemd does; the exit code is that of a stop that was asked for.
            Shell.Run($"kill -TERM {process.Id}");
            await process.WaitForExitAsync(Cancellation);
            Assert.Equal(0, process.ExitCode);
            _units.Remove(unit);
        }
    }

    async Task UntilReportedAsync()
    {
        while (!(await OutputAsync(
            $"whistle query 'node_memory_MemTotal_bytes{{node=\"node-7\"}}' --data {Place("/var/lib/whistle")}")).Contains(
            "node-7", StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Cancellation);
    }

    // A published program brings its runtime: none is to be found where it runs.
    Process Start(string program, IEnumerable<string> arguments, Dictionary<string, string> environment)
    {
        environment["WHISTLE_Listen"] = _address;
        if (!program.Contains("tools", StringComparison.Ordinal))
            environment["DOTNET_ROOT"] = Path.Combine(_root, "none");
        return ChildProcess.Start(program, arguments, environment);
    }

    async Task RunAsync(string line) => await OutputAsync(line);

    async Task<string> OutputAsync(string line)
    {
        var environment = new Dictionary<string, string>
        {
            ["PATH"] = $"{Path.Combine(_root, "usr/bin")}:{Environment.GetEnvironmentVariable("PATH")}",
            ["WHISTLE_SERVER"] = _address,
            // No build server outlives the test.
            ["MSBUILDDISABLENODEREUSE"] = "1",
            ["DOTNET_CLI_USE_MSBUILD_SERVER"] = "0",
        };
        using var process = ChildProcess.Start("bash", ["-euc", $"cd '{Repository}'; {line}"], environment);
        var output = new System.Collections.Concurrent.ConcurrentQueue<string>();
        process.OutputDataReceived += (_, said) => output.Enqueue(said.Data ?? "");
        await process.WaitForExitAsync(Cancellation);
        Assert.True(process.ExitCode == 0, $"`{line}` ended with {process.ExitCode}; see the output.");
        return string.Join('\n', output);
    }

    // The steps of the block are told apart by its comments.
    static IEnumerable<(string Step, string[] Lines)> Steps()
    {
        var block = Block().Matches(Section("Install"))
            .Select(m => m.Groups[1].Value).Single(b => b.Contains("systemctl", StringComparison.Ordinal));
        return block.Split("\n# ").Select(part => part.TrimStart('#', ' ').Split('\n', StringSplitOptions.RemoveEmptyEntries))
            .Select(part => (part[0].Split([':', ',', ';'], 2)[0].Trim(), part[1..]));
    }

    string Place(string text) =>
        PathOfMachine().Replace(text.Replace("http://127.0.0.1:9480", _address, StringComparison.Ordinal), m => _root + m.Value);

    static IEnumerable<string> Value(string unit, string key) =>
        unit.Split('\n').Where(l => l.StartsWith(key + "=", StringComparison.Ordinal)).Select(l => l[(key.Length + 1)..]);

    static string Section(string heading) =>
        File.ReadAllText(Path.Combine(Repository, "README.md")).Split($"\n## {heading}\n")[1].Split("\n## ")[0];

    static void RequireSdk()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The units are systemd's.");
        Assert.SkipUnless(Repository.Length > 0, "The tests do not run in the repository, so there is nothing to publish.");
        Assert.SkipUnless(Shell.Run("dotnet --list-sdks || true").Length > 0, "There is no .NET SDK.");
    }

    static string FindRepository()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Whistle.sln")))
                return folder.FullName;
        }

        return "";
    }

    [GeneratedRegex("```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"/(opt|usr/bin|etc|var/lib|var/backups)\b")]
    private static partial Regex PathOfMachine();
}
