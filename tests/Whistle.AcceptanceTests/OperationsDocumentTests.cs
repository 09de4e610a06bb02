using System.Net.Http.Json;
using System.Text.RegularExpressions;

using Npgsql;

using Whistle.Backups;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// docs/operations.md is what people do when something goes wrong: every procedure in it is done here as it stands, from an old data
/// folder.
/// </summary>
public sealed partial class OperationsDocumentTests(PostgreSqlServer postgreSql) : IClassFixture<PostgreSqlServer>, IAsyncDisposable
{
    const string Years = "3650";

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-operations").FullName;
    ServerProcess? _server;
    string? _database;

    string Data => Path.Combine(_folder, "var-lib", "whistle");

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
            await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Theory]
    [InlineData("Back up")]
    [InlineData("Upgrade")]
    [InlineData("Move to another machine")]
    public async Task A_procedure_keeps_every_sample(string heading)
    {
        await StartOnOldDataAsync();
        await DoAsync(heading);
        await OldData.AssertSamplesAsync(_server!.Http, Cancellation);
        Assert.All(Directory.GetDirectories(Place("/var/backups/whistle")), b => Backup.Verify(b, _ => { }, Cancellation));
    }

    [Theory]
    [InlineData("Back up", "Restore")]
    [InlineData("Upgrade", "Downgrade")]
    public async Task What_was_backed_up_comes_back(string before, string heading)
    {
        await StartOnOldDataAsync();
        await DoAsync(before);
        await File.WriteAllTextAsync(Path.Combine(Data, "token"), "not as it was", Cancellation);
        await DoAsync(heading);
        await OldData.AssertSamplesAsync(_server!.Http, Cancellation);
        Assert.Single(Directory.GetDirectories(Path.GetDirectoryName(Data)!, "whistle.before-*"));
        // Only the procedure of the restore says when repairs may go again.
        Assert.Contains(
            heading == "Restore" ? "\"on\":false" : "\"on\":true",
            await _server.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_comes_back_on_another_machine()
    {
        await StartOnOldDataAsync();
        await DoAsync("Back up");
        await _server!.KillAsync();
        Directory.Delete(Data, recursive: true);
        await DoAsync("Restore on another machine");
        await OldData.AssertSamplesAsync(_server.Http, Cancellation);
    }

    [Fact]
    public async Task Telemetry_and_a_dump_of_PostgreSQL_come_back_together()
    {
        _database = await postgreSql.NewDatabaseAsync(Cancellation);
        var file = Path.Combine(_folder, "database");
        await File.WriteAllTextAsync(file, _database, Cancellation);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var config = Path.Combine(_folder, "settings.json");
        await File.WriteAllTextAsync(config, $$"""{ "DatabaseFile": "{{file}}" }""", Cancellation);
        // The old data has its state in a file, so the empty database is accepted first, and what that calls for is looked at.
        await StartOnOldDataAsync("--config", config, "--accept-state");
        using (var off = await _server!.Http.PutAsJsonAsync(
            "api/whistle/v1/kill-switch", new { on = false, reason = "looked at" }, Cancellation))
            off.EnsureSuccessStatusCode();
        await DoAsync("State in PostgreSQL");
        await OldData.AssertSamplesAsync(_server!.Http, Cancellation);
        Assert.Contains(
            "restored from the backup of", await _server.Http.GetStringAsync("api/whistle/v1/kill-switch", Cancellation),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whatever_lies_in_a_data_folder_is_told_in_the_document()
    {
        await StartOnOldDataAsync();
        string[] told = [.. Row().Matches(Document()).Select(m => m.Groups[1].Value)];
        Assert.All(
            Directory.GetFileSystemEntries(Data).Select(Path.GetFileName),
            name => Assert.Contains(told, t => name!.StartsWith(t, StringComparison.Ordinal)));
    }

    async Task StartOnOldDataAsync(params string[] arguments)
    {
        Directory.CreateDirectory(Place("/var/backups/whistle"));
        Directory.CreateDirectory(Place("/mnt/new"));
        OldData.Extract(Data);
        _server = new ServerProcess(
            Data, ["--no-agent", "--retention-days", Years, "--rules", OldData.Rules, "--runbooks", OldData.Runbooks, .. arguments]);
        await _server.StartAsync(Cancellation);
    }

    async Task DoAsync(string heading)
    {
        var blocks = Block().Matches(Section(heading)).Select(m => m.Groups[1].Value).ToList();
        Assert.NotEmpty(blocks);
        foreach (var line in string.Join('\n', blocks).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(l => l[0] != '#'))
        {
            switch (line)
            {
                case "systemctl stop whistle":
                    await _server!.KillAsync();
                    break;
                case "systemctl start whistle":
                    await _server!.StartAsync(Cancellation);
                    break;
                default:
                    await ShellAsync(line);
                    break;
            }
        }

        // The old machine's server is stopped for good; the copy is the new one's.
        if (heading.StartsWith("Move", StringComparison.Ordinal))
        {
            Directory.Delete(Data, recursive: true);
            Directory.Move(Path.Combine(Place("/mnt/new"), "whistle"), Data);
            await _server!.StartAsync(Cancellation);
        }
    }

    async Task ShellAsync(string line)
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(here.Parent!.Parent!.FullName, "Whistle", here.Name, "whistle.dll");
        var script = $"whistle() {{ dotnet {program} \"$@\"; }}\n{PathOfOurs().Replace(line, m => Place(m.Value))}";
        var environment = new Dictionary<string, string>
        {
            ["WHISTLE_DATA"] = Data,
            ["WHISTLE_SERVER"] = _server!.Address.ToString(),
            ["WHISTLE_DATABASE"] = _database is null ? "" : ForLibpq(_database),
            ["PATH"] = $"{(_database is null ? "" : Requirement.PostgreSql() + ":")}{Environment.GetEnvironmentVariable("PATH")}",
        };
        using var process = ChildProcess.Start("bash", ["-euc", script], environment);
        await process.WaitForExitAsync(Cancellation);
        Assert.True(process.ExitCode == 0, $"`{line}` ended with {process.ExitCode}; see the output.");
    }

    static string ForLibpq(string database)
    {
        var parts = new NpgsqlConnectionStringBuilder(database);
        return $"host={parts.Host} dbname={parts.Database} user={parts.Username}";
    }

    // The paths of the document, in the folder of this test.
    string Place(string path) => path
        .Replace("/var/lib/whistle", Data, StringComparison.Ordinal)
        .Replace("/var/backups/whistle", Path.Combine(_folder, "backups"), StringComparison.Ordinal)
        .Replace("/mnt/new", Path.Combine(_folder, "new"), StringComparison.Ordinal);

    static string Section(string heading)
    {
        var lines = Document().Split('\n').SkipWhile(l => l != $"## {heading}").Skip(1)
            .TakeWhile(l => !l.StartsWith("## ", StringComparison.Ordinal));
        return string.Join('\n', lines);
    }

    static string Document()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Whistle.sln")))
            folder = folder.Parent!;
        return File.ReadAllText(Path.Combine(folder.FullName, "docs", "operations.md"));
    }

    [GeneratedRegex(@"^```sh\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"^\| `([^`]+)` \|", RegexOptions.Multiline)]
    private static partial Regex Row();

    [GeneratedRegex(@"/(var/lib/whistle|var/backups/whistle|mnt/new)")]
    private static partial Regex PathOfOurs();
}
